"""The local store's ``key`` option: from a table in the configuration to a key source."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, ProviderUnavailableError
from secretkit.ports import Writable
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.ports import ProviderContext
    from secretkit.providers.keysource import KeySource

__all__ = ["in_state_dir", "key_source", "located"]

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
        path = given.text("path") or in_state_dir("keys/store.key", context)
        return keysource.KeyFile(located(path, "key.path", context))
    if kind == "keyring":
        return _keyring(given.text("service", default="secretkit"), context)
    variable = given.text("env")
    if not variable:
        raise given.wrong("env", expected="the name of the variable that holds the passphrase")
    return keysource.Passphrase(_from_environ(variable, context))


def _from_environ(variable: str, context: ProviderContext) -> Callable[[], Secret]:
    def ask() -> Secret:
        if not context.environ.get(variable):
            raise ProviderUnavailableError(
                f"the passphrase of the local store is not in the variable {variable}",
                hint=f"set {variable} for this process, or choose another key source",
            )
        return Secret(context.environ[variable])

    return ask


def _keyring(service: str, context: ProviderContext) -> KeySource:
    from secretkit.providers.keysource import KeyringKey  # noqa: PLC0415 - not for a --help

    ref = SecretRef(provider="keyring", path=f"{service}/{_KEY_NAME}")

    def fetch() -> Secret:
        return context.resolve("keyring").fetch(ref, timeout=_PATIENCE).secret

    def keep(key: Secret) -> None:
        keyring = context.resolve("keyring")
        if not isinstance(keyring, Writable):
            raise ConfigError("the keyring provider cannot be written", key_path="key.type")
        keyring.write(ref, key, expected_version="0")

    return KeyringKey(fetch, keep)


def in_state_dir(name: str, context: ProviderContext) -> str:
    """Give a default path.

    Raises:
        ConfigError: if there is no state directory.
    """
    if not context.state_dir.startswith("/"):
        raise ConfigError("there is no state directory", hint="set path and key.path to files")
    return f"{context.state_dir.rstrip('/')}/{name}"


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
