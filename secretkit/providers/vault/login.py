"""Logins: how a token is got. Each reads what it shows anew, so a rotated file needs no restart.

https://developer.hashicorp.com/vault/docs/auth. An interactive login in the browser (OIDC) is left
out: it belongs to a person, not to a program.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.credential import check_header_value
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderUnavailableError,
    SecretError,
    SecretkitError,
)
from secretkit.providers.vault.reason import document, inner, is_denial, login_refused
from secretkit.providers.vault.token import Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.core.message import Reply
    from secretkit.core.ref import SecretRef
    from secretkit.ports import Assertion, Clock, IdentitySource, Provider
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.client import Client
    from secretkit.providers.vault.token import Login

__all__ = [
    "CertificateLogin",
    "JwtLogin",
    "OutermostLogin",
    "Shown",
    "TokenLogin",
    "UserpassLogin",
    "granted",
]

_OK: Final = 200


class Shown:
    """Reads what a login shows: a secret of another provider."""

    def __init__(self, source: SecretRef, *, resolve: Callable[[str], Provider]) -> None:
        self._source = source
        self._resolve = resolve

    def read(self, *, ref: str, deadline: Deadline) -> Secret:
        """Fetch it.

        Raises:
            ProviderUnavailableError: if it cannot be had; Vault was not asked then.
        """
        try:
            provider = self._resolve(self._source.provider)
            return provider.fetch(self._source, timeout=deadline.left).secret
        except SecretkitError as error:
            message, hint = f"{ref}: there is no login to Vault: {error}", error.hint
        except Exception as error:  # noqa: BLE001 - a provider is third-party code
            message = f"{ref}: there is no login to Vault: {self._source} ({type(error).__name__})"
            hint = "this is a defect of the provider; its message could hold the value"
        raise ProviderUnavailableError(message, ref=ref, hint=hint)


def granted(reply: Reply, *, ref: str, clock: Clock, method: str) -> Grant:
    """Read the answer to a login.

    Raises:
        AccessDeniedError: if Vault refuses.
        ProviderError: for anything else that is no token.
    """
    found = login_refused(reply, ref=ref, now=clock.now(), method=method) or _grant(reply, ref)
    if isinstance(found, ProviderError):
        raise found
    return found


def _grant(reply: Reply, ref: str) -> Grant | ProviderError:
    """Read a login's answer. Errors are given back: this frame holds the token in clear."""
    auth = document(reply, ref=ref).get("auth")
    if not isinstance(auth, dict):
        auth = {}
    if auth.get("mfa_requirement"):
        return AccessDeniedError(
            f"{ref}: Vault wants a second factor, which a program has not",
            ref=ref,
            hint="take this login out of the MFA enforcement, or use another method",
        )
    seconds = auth.get("lease_duration", 0)
    try:
        secret = Secret(auth.get("client_token") or "")
        check_header_value(secret, what="a Vault token")
    except SecretError:
        secret = None
    if secret is None or isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        return ProviderError(
            f"{ref}: the answer to the login holds no token",
            ref=ref,
            hint="look whether the address names Vault itself",
        )
    return Grant(secret=secret, seconds=seconds, renewable=auth.get("renewable") is True)


class OutermostLogin:
    """Refuses a login that reads what it shows from the provider that it is for."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._thread = threading.local()

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Log in; see :class:`secretkit.providers.vault.token.Login`."""
        if getattr(self._thread, "is_in", False):
            raise ProviderUnavailableError(
                f"{ref}: reading this needs the login that it is for",
                ref=ref,
                hint="let auth name a reference of another provider, such as file or env",
            )
        self._thread.is_in = True
        try:
            return self._login.grant(client, ref=ref, deadline=deadline)
        finally:
            self._thread.is_in = False


class TokenLogin:
    """A token that someone else made. It is looked up, renewed where it may be, never revoked."""

    def __init__(self, token: Shown, *, clock: Clock) -> None:
        self._shown = token
        self._clock = clock

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Read the token and look it up; one that may not look itself up is taken as it is."""
        secret = self._shown.read(ref=ref, deadline=deadline)
        check_header_value(secret, what="a Vault token")
        reply = client.ask(
            lambda hvac: hvac.auth.token.lookup_self(), ref=ref, deadline=deadline, token=secret
        )
        if is_denial(reply):
            return Grant(secret=secret, own=False, blind=True)
        if reply.status != _OK:
            return granted(reply, ref=ref, clock=self._clock, method="token")
        data = inner(reply, "data", ref=ref)
        left = data.get("ttl")
        if left == 0 and data.get("expire_time"):
            left = 1  # its last second, cut off; without an end, expire_time is null
        return Grant(
            secret=secret,
            seconds=left if isinstance(left, int) and left > 0 else 0,
            renewable=data.get("renewable") is True,
            own=False,
        )


class UserpassLogin:
    """A user name and a password."""

    def __init__(self, username: str, password: Shown, *, mount: str, clock: Clock) -> None:
        self._username = username
        self._password = password
        self._mount = mount
        self._clock = clock

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Log in; see :class:`secretkit.providers.vault.token.Login`."""
        password = self._password.read(ref=ref, deadline=deadline)
        reply = client.ask(
            lambda hvac: hvac.auth.userpass.login(
                self._username, password.reveal(), use_token=False, mount_point=self._mount
            ),
            ref=ref,
            deadline=deadline,
        )
        return granted(reply, ref=ref, clock=self._clock, method="userpass")


class JwtLogin:
    """A signed statement of an identity, fresh for each login: for ``jwt`` and ``kubernetes``."""

    def __init__(
        self,
        identity: IdentitySource,
        *,
        method: str,
        role: str,
        mount: str,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._method = method
        self._role = role
        self._mount = mount
        self._clock = clock

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Log in; see :class:`secretkit.providers.vault.token.Login`."""
        assertion = self._asserted(ref, deadline)

        def call(hvac: Any) -> Any:  # noqa: ANN401 - hvac has no types
            token = assertion.secret
            if self._method == "kubernetes":
                return hvac.auth.kubernetes.login(
                    self._role, token.reveal(), use_token=False, mount_point=self._mount
                )
            return hvac.auth.jwt.jwt_login(
                self._role, token.reveal(), use_token=False, path=self._mount
            )

        reply = client.ask(call, ref=ref, deadline=deadline)
        return granted(reply, ref=ref, clock=self._clock, method=self._method)

    def _asserted(self, ref: str, deadline: Deadline) -> Assertion:
        try:
            return self._identity.assertion(timeout=deadline.left)
        except AccessDeniedError as error:  # it is the only way in, so this is a no
            failure: ProviderError = AccessDeniedError(
                f"{ref}: there is no identity to log in to Vault with: {error}",
                ref=ref,
                hint=error.hint,
            )
        except SecretkitError as error:
            failure = ProviderUnavailableError(
                f"{ref}: there is no identity to log in to Vault with: {error}",
                ref=ref,
                hint=error.hint,
            )
        raise failure


class CertificateLogin:
    """The client certificate of the TLS connection. ``name`` picks a role, "" any that fits.

    The token is bound to the certificate: renewing it takes the same one.
    """

    def __init__(self, name: str, *, mount: str, clock: Clock) -> None:
        self._name = name
        self._mount = mount
        self._clock = clock

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Log in; see :class:`secretkit.providers.vault.token.Login`."""
        data = {"name": self._name} if self._name else {}
        # Not hvac's own method for it: that one looks for the files itself.
        reply = client.ask(
            lambda hvac: hvac.write_data(f"auth/{self._mount}/login", data=data),
            ref=ref,
            deadline=deadline,
        )
        return granted(reply, ref=ref, clock=self._clock, method="cert")
