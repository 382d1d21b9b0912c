"""Leases: secrets that an engine makes for us, with an end, which can be renewed and given back.

A lease hangs on the token that asked for it and dies with it, so the end that is told is the
earlier of both (https://developer.hashicorp.com/vault/docs/concepts/lease).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    SecretError,
    SecretkitError,
    SecretNotFoundError,
)
from secretkit.ports import Fetched
from secretkit.providers.contents import field_of, no_version
from secretkit.providers.vault.reason import document, has_text, inner
from secretkit.providers.vault.value import wrapped_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.core.message import Reply
    from secretkit.core.ref import SecretRef
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.mount import Mount
    from secretkit.providers.vault.session import Session

__all__ = ["LeaseStore"]

_LONGEST: Final = 10 * 365 * 86_400  # seconds; dates can hold it
_GONE: Final = frozenset({400, 404})
_PAST: Final = "past the max ttl"  # with HTTP 500, measured on OpenBao 2.7.2
_TRANSIT: Final = "transit"
_ROTATED: Final = "last_vault_rotation"  # a static role has it, of the database engine or of LDAP


@record(kw_only=True)
class _Made:
    """What an engine gave: the document, its life in seconds (0: not said), its lease."""

    secret: Secret
    seconds: int = 0
    ends_at: datetime | None = None
    lease_id: str = ""


class LeaseStore:
    """Asks engines that make secrets. Thread-safe.

    ``parameters`` is what is sent for a path, such as the common_name for ``pki/issue/web``.
    """

    def __init__(self, session: Session, *, parameters: Mapping[str, Mapping[str, object]]) -> None:
        self._session = session
        self._parameters = parameters
        self._running: set[str] = set()

    @property
    def are_running(self) -> bool:
        """Whether there are leases that this process gave out and did not take back."""
        keeper = self._session.keeper
        return any(keeper.knows(int(one.partition(":")[0])) for one in self._running)

    def fetch(self, ref: SecretRef, mount: Mount, *, deadline: Deadline) -> Fetched:
        """Have a secret made; as :meth:`Provider.fetch`. Each call makes a new one."""
        no_version(ref)
        clock = self._session.clock
        asked_at = clock.now()
        if mount.engine == _TRANSIT:
            return Fetched(secret=self._decrypted(ref, mount, deadline))
        reply, token = self._session.send(self._call(ref), ref=str(ref), deadline=deadline)
        self._session.check(reply, ref=str(ref), deadline=deadline)
        made = _made(reply, str(ref))
        if isinstance(made, ProviderError):
            raise made
        ends = [] if made.ends_at is None else [made.ends_at]
        if made.seconds:
            ends.append(asked_at + timedelta(seconds=made.seconds))
        handle = None
        if made.lease_id:
            handle = f"{token.number}:{made.lease_id}"
            self._running.add(handle)
            left = self._session.keeper.seconds_left(token.number)
            if left is not None:
                ends.append(clock.now() + timedelta(seconds=left))
        try:
            secret = field_of(made.secret, ref=ref)
        except SecretkitError:
            if handle is not None:
                self._returned(handle, deadline)
            raise
        return Fetched(secret=secret, expires_at=min(ends, default=None), handle=handle)

    def renew(self, handle: str, *, deadline: Deadline) -> datetime:
        """Renew a lease; give the end it has, or that of the token it hangs on.

        Raises:
            SecretNotFoundError: if it is gone, or of a kind that is not renewed.
        """
        number, _, lease_id = handle.partition(":")
        ref = _shown(lease_id)
        asked_at = self._session.clock.now()
        reply, _ = self._session.send(
            lambda hvac: hvac.sys.renew_lease(lease_id), ref=ref, deadline=deadline
        )
        if reply.status in _GONE or has_text(reply, _PAST):
            self._running.discard(handle)
            raise SecretNotFoundError(
                f"{ref}: this lease is gone, or cannot be renewed", ref=ref, hint="lease it again"
            )
        self._session.check(reply, ref=ref, deadline=deadline)
        seconds = _seconds(document(reply, ref=ref).get("lease_duration")) or 0
        left = self._session.keeper.seconds_left(int(number))
        life = seconds if left is None else min(seconds, left)
        return asked_at + timedelta(seconds=life)

    def revoke(self, handle: str, *, deadline: Deadline) -> None:
        """Take a lease back; safe to repeat.

        Raises:
            AccessDeniedError: if the policy does not allow it. The lease then ends with the token,
                which closing the provider revokes.
        """
        lease_id = handle.partition(":")[2]
        ref = _shown(lease_id)
        self._running.discard(handle)
        reply, _ = self._session.send(
            lambda hvac: hvac.sys.revoke_lease(lease_id), ref=ref, deadline=deadline
        )
        if reply.status in _GONE:
            return
        try:
            self._session.check(reply, ref=ref, deadline=deadline)
        except AccessDeniedError as error:
            error.hint = 'allow it: path "sys/leases/revoke" { capabilities = ["update"] }'
            raise

    def _returned(self, handle: str, deadline: Deadline) -> None:
        """Take back what nobody gets; where that fails it ends with the token."""
        with suppress(SecretkitError):
            self.revoke(handle, deadline=deadline)

    def _call(self, ref: SecretRef) -> Any:  # noqa: ANN401 - hvac has no types
        given = self._parameters.get(ref.path)
        path = quote(ref.path)
        if given is None:
            return lambda hvac: hvac.read(path)
        return lambda hvac: hvac.write_data(path, data=dict(given))

    def _decrypted(self, ref: SecretRef, mount: Mount, deadline: Deadline) -> Secret:
        """Decrypt the ciphertext that stands as the field of the reference."""
        action, _, key = mount.inside(ref).partition("/")
        if action != "decrypt" or not key or ref.field is None:
            raise SecretNotFoundError(
                f"{ref}: of transit only decrypting can be read",
                ref=str(ref),
                hint="write vault:transit/decrypt/KEY#vault:v1:…, the ciphertext behind the '#'",
            )
        text = ref.field
        reply = self._session.good(
            lambda hvac: hvac.secrets.transit.decrypt_data(key, text, mount_point=mount.path),
            ref=str(ref),
            deadline=deadline,
        )
        found = _plaintext(reply, str(ref))
        if isinstance(found, SecretError):
            raise found
        return found


def _made(reply: Reply, ref: str) -> _Made | ProviderError:
    """Wrap what was made. Errors are given back: this frame holds it in clear."""
    answer = document(reply, ref=ref)
    data, lease_id = answer.get("data"), answer.get("lease_id") or ""
    if not isinstance(data, dict) or not data or not isinstance(lease_id, str):
        return ProviderError(
            f"{ref}: the answer holds no secret",
            ref=ref,
            hint="look whether this path is one that gives secrets",
        )
    if not lease_id.isprintable() or len(lease_id) > 256:  # noqa: PLR2004 - what the ledger keeps
        return ProviderError(
            f"{ref}: the answer's lease has no usable id", ref=ref, hint="this is no Vault"
        )
    if data.get("ttl") == 0 and _ROTATED in data:
        return ProviderError(
            f"{ref}: Vault is changing this password now",
            ref=ref,
            hint="it takes a moment: try again",
            retry_after=timedelta(seconds=1),
        )
    seconds = _seconds(answer.get("lease_duration") if lease_id else data.get("ttl"))
    secret = wrapped_json(data, ref=ref)
    if isinstance(secret, ProviderError):
        return secret
    return _Made(
        secret=secret,
        seconds=seconds or 0,
        ends_at=_moment(data.get("expiration")),
        lease_id=lease_id,
    )


def _plaintext(reply: Reply, ref: str) -> Secret | SecretError:
    from base64 import b64decode  # noqa: PLC0415 - for transit alone

    try:
        coded = inner(reply, "data", ref=ref).get("plaintext")
        return Secret(b64decode(coded or "", validate=True).decode())
    except (ValueError, TypeError, SecretError):
        return SecretError(
            f"{ref}: what transit decrypted is no text",
            hint="only text can be a secret here; it was encrypted from something else",
        )


def _seconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    return min(value, _LONGEST)


def _moment(value: object) -> datetime | None:
    """Read the end of a certificate, in seconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _shown(lease_id: str) -> str:
    """Give a lease's path for messages, without its own id, which some engines use as a key."""
    return "lease " + lease_id.rpartition("/")[0]
