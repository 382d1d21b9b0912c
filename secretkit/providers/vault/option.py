"""Option: what the tables ``[providers.NAME]`` and ``auth`` say, as a login and a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError, RefError
from secretkit.providers.vault.approle import ApproleLogin, WrappedSecretId
from secretkit.providers.vault.iam import IamLogin
from secretkit.providers.vault.login import (
    CertificateLogin,
    JwtLogin,
    Shown,
    TokenLogin,
    UserpassLogin,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.ports import IdentitySource, ProviderContext
    from secretkit.providers.options import Options
    from secretkit.providers.vault.token import Login

__all__ = ["KNOWN", "auth_of", "login_of", "parameters_of"]

KNOWN: Final = (
    "address",
    "auth",
    "ca_bundle",
    "kv_version",
    "mount",
    "namespace",
    "parameters",
    "timeout",
)
_METHODS: Final = {
    "token": ("token",),
    "approle": ("role_id", "secret_id", "wrapped"),
    "userpass": ("username", "password"),
    "jwt": ("role", "identity"),
    "kubernetes": ("role", "identity"),
    "cert": ("certificate", "private_key_file", "role"),
    "aws": ("base", "region", "role", "server_id"),
}
_AUDIENCE: Final = "vault"


def auth_of(options: Options) -> Options:
    """Give the options of ``auth``, only those that its method has.

    Raises:
        ConfigError: if there is no such method, or an option belongs to another.
    """
    whole = {key for keys in _METHODS.values() for key in keys}
    loose = options.inner("auth", known={"method", "mount", *whole})
    if "method" not in loose:
        raise loose.wrong("method", expected="one of " + ", ".join(_METHODS))
    method = loose.choice("method", among=tuple(_METHODS))
    return options.inner("auth", known={"method", "mount", *_METHODS[method]})


def login_of(auth: Options, context: ProviderContext) -> Login:
    """Give the login that ``auth`` describes; nothing is opened, read or asked yet.

    Raises:
        ConfigError: for an option that is missing or malformed.
    """
    method = auth.choice("method", among=tuple(_METHODS))
    mount = auth.text("mount", default=method)
    clock = context.clock
    if method == "token":
        return TokenLogin(_shown(auth, "token", context), clock=clock)
    if method == "approle":
        return _approle(auth, mount, context)
    if method == "userpass":
        password = _shown(auth, "password", context)
        return UserpassLogin(auth.required("username"), password, mount=mount, clock=clock)
    if method == "cert":
        auth.required("certificate")
        auth.required("private_key_file")
        return CertificateLogin(auth.text("role"), mount=mount, clock=clock)
    if method == "aws":
        return _iam(auth, mount, context)
    role = auth.required("role")
    identity = _identity(auth, context)
    return JwtLogin(identity, method=method, role=role, mount=mount, clock=clock)


def parameters_of(options: Options) -> Mapping[str, Mapping[str, object]]:
    """Give what is sent for each path.

    Raises:
        ConfigError: if one is not a table.
    """
    found: dict[str, Mapping[str, object]] = {}
    for path, table in options.table("parameters").items():
        if not isinstance(table, dict):
            raise options.wrong(
                "parameters", expected='a table for each path: { "pki/issue/web" = { … } }'
            )
        found[path] = table
    return found


def _approle(auth: Options, mount: str, context: ProviderContext) -> ApproleLogin:
    named = auth.required("role_id")
    try:
        role_id: str | Shown = Shown(SecretRef.parse(named), resolve=context.resolve)
    except RefError:  # the id itself: it is no secret
        role_id = named
    secret_id: Shown | WrappedSecretId | None = None
    if "secret_id" in auth:
        secret_id = _shown(auth, "secret_id", context)
        if auth.flag("wrapped"):
            secret_id = WrappedSecretId(secret_id, mount=mount, clock=context.clock)
    elif "wrapped" in auth:
        raise auth.wrong("secret_id", expected="a reference to the wrapping token")
    return ApproleLogin(role_id, secret_id, mount=mount, clock=context.clock)


def _iam(auth: Options, mount: str, context: ProviderContext) -> IamLogin:
    base = auth.required("base", expected="the name of a credential of the kind aws")
    return IamLogin(
        lambda: context.credential(base),
        role=auth.text("role"),
        region=auth.text("region"),
        server_id=auth.text("server_id"),
        mount=mount,
        clock=context.clock,
    )


def _identity(auth: Options, context: ProviderContext) -> IdentitySource:
    if "identity" not in auth:
        raise auth.wrong("identity", expected='a table such as { type = "spiffe" }')
    table = auth.table("identity")
    try:
        return context.identity(table, _AUDIENCE)
    except ConfigError as error:
        place = ".".join(filter(None, ("auth.identity", error.key_path)))
        raise ConfigError(error.args[0], hint=error.hint, key_path=place) from None


def _shown(auth: Options, key: str, context: ProviderContext) -> Shown:
    source = auth.ref(key)
    if source is None:
        raise auth.wrong(key, expected="a reference such as file:/run/secrets/token or env:TOKEN")
    return Shown(source, resolve=context.resolve)
