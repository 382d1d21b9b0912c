"""The local store's ``key`` option: from a table in the configuration to a key source."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, ProviderUnavailableError
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.ports import ProviderContext
    from secretkit.providers.keysource import KeySource

__all__ = ["key_source", "located"]

_CREDENTIALS: Final = "$CREDENTIALS_DIRECTORY/"
_KEY_NAME: Final = "secretkit-local-store"
_PATIENCE: Final = timedelta(seconds=5)


def key_source(table: Mapping[str, object], context: ProviderContext) -> KeySource:
    """Give the source that a ``key`` table names; an empty table is a key file in the state dir.

    Raises:
        ConfigError: for an option that is unknown, missing or malformed.
    """
    from secretkit.providers import keysource  # noqa: PLC0415 - not for a --help

    kinds = {"key-file": ("path",), "passphrase": ("env",), "keyring": ("service",)}
    kind = Options(table, type_name="local", known=sum(kinds.values(), ())).choice(
        "type", among=tuple(kinds)
    )
    given = Options(table, type_name=f"local ({kind})", known=kinds[kind])
    if kind == "key-file":
        path = given.text("path") or f"{context.state_dir}/keys/store.key"
        return keysource.KeyFile(located(path, "key.path", context))
    if kind == "keyring":
        return keysource.KeyringKey(
            _from_keyring(given.text("service", default="secretkit"), context)
        )
    variable = given.text("env")
    if not variable:
        raise given.wrong("env", expected="the name of the variable that holds the passphrase")
    return keysource.Passphrase(_from_environ(variable, context))


def _from_environ(variable: str, context: ProviderContext) -> Callable[[], Secret]:
    def ask() -> Secret:
        if not context.environ.get(variable):
            raise ProviderUnavailableError(
                f"the passphrase of the local store is not in the variable {variable}",
                hint=f"export {variable} before starting, or choose another key",
            )
        return Secret(context.environ[variable])

    return ask


def _from_keyring(service: str, context: ProviderContext) -> Callable[[], Secret]:
    ref = SecretRef(provider="keyring", path=f"{service}/{_KEY_NAME}")

    def ask() -> Secret:
        return context.resolve("keyring").fetch(ref, timeout=_PATIENCE).secret

    return ask


def located(path: str, key_path: str, context: ProviderContext) -> str:
    """Give the absolute path: ``~`` is HOME, else relative to the configuration file."""
    start, rest = "", path
    if path.startswith(_CREDENTIALS):  # set by systemd for a unit with LoadCredential=
        start, rest = context.environ.get(_CREDENTIALS[1:-1], ""), path.removeprefix(_CREDENTIALS)
    elif path.startswith("~/"):
        start, rest = context.environ.get("HOME", ""), path[2:]
    elif not path.startswith("/"):
        start = context.config_dir
    else:
        return path
    if not start.startswith("/") or (path.startswith("~") and not path.startswith("~/")):
        raise ConfigError(
            f"{path!r} does not lead anywhere: its start is not known here",
            key_path=key_path,
            hint="write the whole path, starting with '/'",
        )
    return f"{start.rstrip('/')}/{rest}"
