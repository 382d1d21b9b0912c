"""AppRole: a role id and a secret id, which may come wrapped in a token for one use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from secretkit.core.credential import check_header_value
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ProviderError, SecretError
from secretkit.providers.vault.login import granted
from secretkit.providers.vault.reason import inner, login_refused

if TYPE_CHECKING:
    from secretkit.core.message import Reply
    from secretkit.ports import Clock
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.client import Client
    from secretkit.providers.vault.login import Shown
    from secretkit.providers.vault.token import Grant

__all__ = ["ApproleLogin", "WrappedSecretId"]

_OK: Final = 200


class WrappedSecretId:
    """Unwraps a secret id once and keeps it in memory, until another wrapping token is shown.

    Used by one thread at a time: the token keeper's, which logs in.

    The wrapping token's path is looked at first: one that somebody else made for another purpose is
    not unwrapped (https://developer.hashicorp.com/vault/docs/concepts/response-wrapping).
    """

    def __init__(self, wrapping: Shown, *, mount: str, clock: Clock) -> None:
        self._shown = wrapping
        self._clock = clock
        self._path = re.compile(rf"auth/{re.escape(mount)}/role/[^/]+/secret-id")
        self._opened: tuple[Secret, Secret] | None = None

    def read(self, client: Client, *, ref: str, deadline: Deadline) -> Secret:
        """Give the secret id.

        Raises:
            AccessDeniedError: if the wrapping token was used, has ended, or wraps something else.
        """
        wrapping = self._shown.read(ref=ref, deadline=deadline)
        check_header_value(wrapping, what="a wrapping token")
        if self._opened is None or self._opened[0] != wrapping:
            self._opened = wrapping, self._unwrapped(client, wrapping, ref, deadline)
        return self._opened[1]

    def _unwrapped(self, client: Client, wrapping: Secret, ref: str, deadline: Deadline) -> Secret:
        reply = client.ask(
            lambda hvac: hvac.write_data("sys/wrapping/lookup", data={"token": wrapping.reveal()}),
            ref=ref,
            deadline=deadline,
        )
        self._check(reply, ref)
        made_by = inner(reply, "data", ref=ref).get("creation_path")
        if not isinstance(made_by, str) or not self._path.fullmatch(made_by):
            raise AccessDeniedError(
                f"{ref}: the wrapping token does not hold a secret id of this AppRole mount",
                ref=ref,
                hint="somebody may have put another one in its place: tell your security team",
            )
        reply = client.ask(
            lambda hvac: hvac.sys.unwrap(), ref=ref, deadline=deadline, token=wrapping
        )
        self._check(reply, ref)
        found = _secret_id(reply, ref)
        if isinstance(found, ProviderError):
            raise found
        return found

    def _check(self, reply: Reply, ref: str) -> None:
        failure = login_refused(reply, ref=ref, now=self._clock.now(), method="wrapped secret id")
        if isinstance(failure, AccessDeniedError):
            failure = AccessDeniedError(
                f"{ref}: the wrapping token is not valid any more, it was used or has ended",
                ref=ref,
                hint="if it was not you who used it, someone else may have unwrapped it: destroy "
                "that secret id, then wrap a new one",
            )
        if failure is not None:
            raise failure


def _secret_id(reply: Reply, ref: str) -> Secret | ProviderError:
    try:
        return Secret(inner(reply, "data", ref=ref).get("secret_id") or "")
    except SecretError:
        return ProviderError(
            f"{ref}: what was unwrapped holds no secret id",
            ref=ref,
            hint="wrap it so: bao write -wrap-ttl=5m -f auth/approle/role/ROLE/secret-id",
        )


class ApproleLogin:
    """A role id, which is no secret, with a secret id."""

    def __init__(
        self,
        role_id: str | Shown,
        secret_id: Shown | WrappedSecretId | None,
        *,
        mount: str,
        clock: Clock,
    ) -> None:
        self._role_id = role_id
        self._secret_id = secret_id
        self._mount = mount
        self._clock = clock

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Log in; see :class:`secretkit.providers.vault.token.Login`."""
        role_id = self._role_id
        role = Secret(role_id) if isinstance(role_id, str) else _read(role_id, ref, deadline)
        shown = self._secret_id
        if isinstance(shown, WrappedSecretId):
            secret: Secret | None = shown.read(client, ref=ref, deadline=deadline)
        else:
            secret = None if shown is None else _read(shown, ref, deadline)
        reply = client.ask(
            lambda hvac: hvac.auth.approle.login(
                role.reveal(),
                secret_id=None if secret is None else secret.reveal(),
                use_token=False,
                mount_point=self._mount,
            ),
            ref=ref,
            deadline=deadline,
        )
        return granted(reply, ref=ref, clock=self._clock, method="approle")


def _read(shown: Shown, ref: str, deadline: Deadline) -> Secret:
    return shown.read(ref=ref, deadline=deadline)
