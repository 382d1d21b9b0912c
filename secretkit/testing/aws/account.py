"""Who there is: users with long-term keys, roles with their trust, sessions, second factors."""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from secretkit.ports import Clock

__all__ = ["ACCOUNT", "Accounts", "Grant", "Holder", "Role", "Trust"]

ACCOUNT: Final = "123456789012"
_ROLE: Final = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):iam::(\d{12}):role/(?:[\w+=,.@-]+/)*([\w+=,.@-]+)"
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A role's trust policy, as far as the stand-in reads one.

    ``principals`` are ARNs of users and roles, an account's ``:root``, or ``*``. ``issuer``,
    ``audience`` and ``subject`` (exact, or a start followed by ``*``) are for web identities.
    """

    principals: tuple[str, ...] = ()
    external_id: str = ""
    mfa: bool = False
    issuer: str = ""
    audience: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role: its ARN, who may assume it, and for how long at most."""

    arn: str
    trust: Trust
    longest: timedelta = _HOUR
    unique_id: str = field(default_factory=lambda: f"AROA{_random(17)}")

    @property
    def account(self) -> str:
        """The twelve digits of the account."""
        return self.arn.split(":")[4]

    def session_arn(self, session: str) -> str:
        """Give the ARN of a session; it has the role's name without its path."""
        _, partition, _, _, account, _ = self.arn.split(":")
        name = self.arn.rpartition("/")[2]
        return f"arn:{partition}:sts::{account}:assumed-role/{name}/{session}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a session was begun with; of ``tags`` a chain hands on those in ``transitive``."""

    policy: str = field(default="", repr=False)
    tags: dict[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    mfa: bool = False


@dataclass(slots=True, kw_only=True)
class Holder:
    """Who stands behind an access key id. ``role`` is empty for a user."""

    arn: str
    user_id: str
    credentials: AwsCredentials = field(repr=False)
    role: str = ""
    ends_at: datetime | None = None
    inactive: bool = False
    grant: Grant = field(default_factory=Grant)

    @property
    def account(self) -> str:
        """The twelve digits of the account."""
        return self.arn.split(":")[4]

    def principals(self) -> set[str]:
        """What a trust policy may call this one."""
        partition = self.arn.split(":")[1]
        own = {self.arn, self.role} - {""}
        return own | {f"arn:{partition}:iam::{self.account}:root", "*"}


class Accounts:
    """All of them. Thread-safe; ``life`` replaces what a session would live."""

    def __init__(self, *, clock: Clock, life: timedelta | None) -> None:
        self.clock, self.life = clock, life
        self._lock = threading.Lock()
        self._holders: dict[str, Holder] = {}
        self._roles: dict[str, Role] = {}
        self._devices: dict[str, set[str]] = {}

    def add_user(self, name: str, *, account: str = ACCOUNT) -> AwsCredentials:
        """Make a user with a key pair and give the pair."""
        credentials = AwsCredentials(f"AKIA{_random(16)}", Secret(secrets.token_urlsafe(30)))
        holder = Holder(
            arn=f"arn:aws:iam::{account}:user/{name}",
            user_id=f"AIDA{_random(17)}",
            credentials=credentials,
        )
        with self._lock:
            self._holders[credentials.access_key_id] = holder
        return credentials

    def add_role(self, arn: str, *, trust: Trust, longest: timedelta = _HOUR) -> Role:
        """Make a role, or replace the one of that ARN."""
        if not _ROLE.fullmatch(arn):
            raise ConfigError(
                f"{arn!r} is no role's ARN", hint=f"for example arn:aws:iam::{ACCOUNT}:role/reader"
            )
        role = Role(arn=arn, trust=trust, longest=longest)
        with self._lock:
            self._roles[arn] = role
        return role

    def add_device(self, serial: str, *, codes: tuple[str, ...]) -> None:
        """Make a second factor; each of its codes works once."""
        with self._lock:
            self._devices[serial] = set(codes)

    def start_session(
        self, role: Role, *, name: str, duration: timedelta, grant: Grant | None = None
    ) -> Holder:
        """Begin a session of ``role``."""
        life = self.life or duration
        ends_at = (self.clock.now() + life).replace(microsecond=0)
        credentials = AwsCredentials(
            f"ASIA{_random(16)}",
            Secret(secrets.token_urlsafe(30)),
            Secret(f"IQoJb3JpZ2lu{secrets.token_urlsafe(300)}"),
            ends_at,
        )
        holder = Holder(
            arn=role.session_arn(name),
            user_id=f"{role.unique_id}:{name}",
            credentials=credentials,
            role=role.arn,
            ends_at=ends_at,
            grant=grant or Grant(),
        )
        with self._lock:
            self._holders[credentials.access_key_id] = holder
        return holder

    def find(self, access_key_id: str) -> Holder | None:
        """Give who holds this key, also an ended session."""
        with self._lock:
            return self._holders.get(access_key_id)

    def role(self, arn: str) -> Role | None:
        """Give the role of this ARN."""
        with self._lock:
            return self._roles.get(arn)

    def deactivate(self, access_key_id: str) -> None:
        """Refuse this key from now on, as an inactive or deleted one."""
        self._known(access_key_id).inactive = True

    def expire(self, access_key_id: str) -> None:
        """End this session now."""
        self._known(access_key_id).ends_at = self.clock.now()

    def take_code(self, serial: str, code: str) -> bool:
        """Use up a code of a second factor; say whether it was right."""
        with self._lock:
            codes = self._devices.get(serial, set())
            right = code in codes
            codes.discard(code)
            return right

    def _known(self, access_key_id: str) -> Holder:
        holder = self.find(access_key_id)
        if holder is None:
            raise ConfigError("no such access key id", hint="give one that the stand-in issued")
        return holder


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
