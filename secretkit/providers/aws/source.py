"""Source: credentials of kind ``aws``: where they start, and the roles that are assumed from there.

One of ``base`` (``"default"``: botocore's own chain; ``"profile:NAME"``; or the name of another
credential of kind ``aws``), ``profile``, ``process``, ``source`` and ``identity`` says where they
start; with ``identity`` STS takes a signed statement of another service instead of credentials.
``assume_role`` is the first role, ``then`` a list of further ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from secretkit.errors import AccessDeniedError, ConfigError
from secretkit.ports import Acquired, Probe
from secretkit.providers.aws.ambient import Ambient
from secretkit.providers.aws.caller import Caller
from secretkit.providers.aws.hop import read_hop
from secretkit.providers.aws.origin import Kept, Leased, Stored
from secretkit.providers.aws.process import Process
from secretkit.providers.aws.reason import Refusal
from secretkit.providers.aws.role import RoleStep
from secretkit.providers.aws.service import open_service, region_of
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from secretkit.core.credential import AwsCredentials
    from secretkit.core.secret import Secret
    from secretkit.ports import IdentitySource, ProviderContext
    from secretkit.providers.aws.hop import Hop
    from secretkit.providers.aws.origin import Origin

__all__ = ["AwsSource", "open_source"]

_STARTS: Final = ("base", "profile", "process", "source", "identity")
_KNOWN: Final = (
    *_STARTS,
    *("assume_role", "then", "mfa_serial", "endpoint"),
    *("kind", "ttl", "platform", "region", "workspace_id", "base_url"),
)
_AUDIENCE: Final = "sts.amazonaws.com"
_USUAL: Final = "us-east-1"  # only to ask who we are, where no region is named
_SERIAL: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:mfa/[\w+=,.@/-]{1,200}|[A-Z0-9]{9,40}")


class AwsSource:
    """Gives one snapshot of AWS credentials for each :meth:`acquire`. Thread-safe.

    Nothing is retried, but for credentials to start from that AWS says are over: they are asked
    for once more. What they are is kept for 0.6 of their life where they have one; the session of
    the role itself is not kept here: that is the broker's.
    """

    def __init__(  # noqa: PLR0913 - the parts of one table
        self,
        *,
        ref: str,
        origin: Origin | None,
        identity: IdentitySource | None,
        steps: Sequence[RoleStep],
        caller: Caller,
        context: ProviderContext,
    ) -> None:
        self.ref = ref
        self._origin = Kept(origin, ref=ref, clock=context.clock) if origin else None
        self._identity = identity
        self._steps = tuple(steps)
        self._caller = caller
        self._context = context

    def __repr__(self) -> str:
        return f"<AwsSource {self.ref}>"

    @property
    def method(self) -> str:
        """Where they start, for a person."""
        if self._origin is not None:
            return self._origin.method
        return f"identity {self._identity.ref}" if self._identity is not None else ""

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        """Give credentials that ``refused`` does not know; one deadline covers every step.

        Raises:
            AccessDeniedError: if the start or a role is refused, if STS answers for another role,
                or if there is no role and the service takes the start no longer.
            ProviderUnavailableError: if STS, or what is asked before, cannot be reached.
            ProviderError: for any other failure, naming STS's code.
        """
        deadline = Deadline(timeout, clock=self._context.clock)
        found = self._assumed(deadline)
        if refused(found.secret) and self._origin is not None:
            self._origin.refuse(found)
            found = self._assumed(deadline)
        if refused(found.secret):
            raise AccessDeniedError(
                f"{self.ref}: the service takes these credentials no longer, and there are no "
                "others",
                ref=self.ref,
                hint=f"look at where they come from: {self.method}",
            )
        return Acquired(credential=found, ref=self.ref)

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Do nothing: a session of STS ends by itself."""

    def probe(self, *, timeout: timedelta) -> Probe:
        """Ask STS who these credentials are: a session is started, and left to end."""
        deadline = Deadline(timeout, clock=self._context.clock)
        found = self._assumed(deadline)
        arn = self._caller.arn(found, deadline=deadline)
        return Probe(
            reached=self._caller.service.host,
            identity=f"{arn} (by {self.method})",
            expires_at=found.expires_at,
        )

    def _assumed(self, deadline: Deadline) -> AwsCredentials:
        """Go the whole way: the start, and each role by the session before it."""
        if self._identity is None:
            found, rest = self._begun(deadline)
        else:
            first, rest = self._steps[0], self._steps[1:]
            found = first.taken(first.assume_as(self._identity, deadline))
        for step in rest:
            found = step.taken(step.assume(found, deadline))
        return found

    def _begun(self, deadline: Deadline) -> tuple[AwsCredentials, tuple[RoleStep, ...]]:
        """Give the first credentials, and the roles that are left; what is over is renewed once."""
        if self._origin is None:
            raise ConfigError("credentials start somewhere", key_path="base")
        start = self._origin.credentials(timeout=deadline.left)
        if not self._steps:
            return start, ()
        first = self._steps[0]
        found = first.assume(start, deadline)
        if isinstance(found, Refusal) and found.is_stale:
            self._origin.heard(start, found)
            other = self._origin.credentials(timeout=deadline.left)
            if other.secret != start.secret:
                found = first.assume(other, deadline)
                if isinstance(found, Refusal):
                    self._origin.heard(other, found)
        return first.taken(found), self._steps[1:]


def open_source(options: Mapping[str, object], *, ref: str, context: ProviderContext) -> AwsSource:
    """Read a ``[credentials.NAME]`` table of kind ``aws``; nothing is asked.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    read = Options(options, type_name="aws", known=_KNOWN, noun="credential")
    given = [key for key in _STARTS if key in read]
    if len(given) > 1:
        raise read.wrong(given[1], expected=f"one of {', '.join(_STARTS)}, not several")
    hops = _hops(read)
    identity = None
    if "identity" in read:
        if not hops:
            raise read.wrong("assume_role", expected="the role that the identity may assume")
        _refuse_signed(read, hops[0])
        identity = context.identity(read.table("identity"), _AUDIENCE)
    endpoint = read.text("endpoint")
    serial = _serial(read, hops)
    steps = [
        RoleStep(
            hop,
            endpoint=endpoint,
            serial="" if number else serial,
            ref=ref,
            context=context,
        )
        for number, hop in enumerate(hops)
    ]
    last = hops[-1].region if hops else region_of(read, default=_USUAL)
    return AwsSource(
        ref=ref,
        origin=None if identity else _origin(read, ref=ref, context=context),
        identity=identity,
        steps=steps,
        caller=Caller(
            open_service("sts", region=last, endpoint=endpoint, context=context), ref=ref
        ),
        context=context,
    )


def _hops(read: Options) -> list[Hop]:
    region = read.text("region")
    first = read.table("assume_role")
    later = read.items("then") if "then" in read else ()
    if later and not first:
        raise read.wrong("assume_role", expected="the first role, before those of then")
    hops = [read_hop(first, path="assume_role", region=region)] if first else []
    for number, table in enumerate(later):
        path = f"then[{number}]"
        if not isinstance(table, dict):
            raise read.wrong("then", expected='a list of tables: [{ role_arn = "arn:…" }]')
        hops.append(read_hop(table, path=path, region=region, position="later"))
    return hops


def _refuse_signed(read: Options, hop: Hop) -> None:
    """Refuse what AssumeRoleWithWebIdentity has no parameter for."""
    if hop.external_id is not None or hop.tags or hop.source_identity:
        raise read.wrong(
            "assume_role",
            expected="no external_id, tags or source_identity there: with an identity, the "
            "identity's own claims say that",
        )


def _serial(read: Options, hops: Sequence[Hop]) -> str:
    serial = read.text("mfa_serial")
    if serial and (not _SERIAL.fullmatch(serial) or not hops or "identity" in read):
        raise read.wrong(
            "mfa_serial",
            expected='"arn:aws:iam::123456789012:mfa/NAME", with assume_role and no identity',
        )
    return serial


def _origin(read: Options, *, ref: str, context: ProviderContext) -> Origin:
    process, at = read.texts("process"), read.ref("source")
    if process:
        return Process(process, ref=ref, context=context)
    if at is not None:
        return Stored(at, ref=ref, context=context)
    base = f"profile:{read.text('profile')}" if "profile" in read else read.text("base")
    kind, colon, profile = base.partition(":")
    if colon and (kind != "profile" or not profile):
        raise read.wrong("base", expected='"default", "profile:NAME" or another credential')
    if colon or base in {"", "default"}:
        return Ambient(profile, ref=ref, clock=context.clock)
    return Leased(context.credential(base), name=base, ref=ref)
