"""What a child of ``run`` is given: an environment, and files only it and we can read.

The environment is ours without the keys of others: a variable whose name says that it holds a
credential is passed on only if it was chosen.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from secretkit.config.schema import Config
    from secretkit.core.secret import Secret

__all__ = ["SecretFiles", "inherited", "secret_files", "variables_used"]

_HOLDS_CREDENTIAL: Final = re.compile(
    r"(?:.*_)?(?:API_?KEYS?|TOKEN|SECRETS?|ACCESS_?KEY(?:_ID)?|PRIVATE_?KEY|PASSWORDS?|PASSWD"
    r"|PASSPHRASE|CREDENTIALS?|CREDS)|.+_(?:KEYS?|TOKENS|PAT|PASS|PHRASE|PWD|PW|PIN)"
    r"|PGPASSWORD|(?:MYSQL|SSH|SUDO)?PASS",
    re.IGNORECASE,
)
_NUMBERS: Final = re.compile(r"(?:.*_)?(?:MAX|MIN|NUM|TOTAL)(?:_.*)?_TOKENS", re.IGNORECASE)
_WITH_PASSWORD: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]*:[^/?#\s]+@", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEDGER: Final = "SECRETKIT_LEDGER_URL"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a memory file system; the directory in it is 0700


def inherited(
    environ: Mapping[str, str], *, keep: Collection[str], used: Collection[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Give the environment without credentials, except those in ``keep``; and what was left out.

    Left out are names that say they hold one, values that are URLs with a password, and ``used``:
    what the configuration itself reads.
    """
    left_out = sorted(
        name
        for name, value in environ.items()
        if name not in keep and (name in used or _holds_credential(name, value))
    )
    return {k: v for k, v in environ.items() if k not in left_out}, left_out


def _holds_credential(name: str, value: str) -> bool:
    if _WITH_PASSWORD.search(value):
        return True
    return bool(_HOLDS_CREDENTIAL.fullmatch(name)) and not _NUMBERS.fullmatch(name)


def variables_used(config: Config) -> set[str]:
    """Give the variables that the configuration reads secrets from, and the ledger's."""
    found = {_LEDGER}
    for one in config.credentials.values():
        found |= {ref.path for ref in one.sources if _reads_environ(ref.provider, config)}
        found |= set(_named_in(one.options, config))
    for table in config.providers.values():
        found |= set(_named_in(table.options, config))
    for identity in config.identities.values():
        found |= set(_named_in(identity, config))
    return found


def _reads_environ(provider: str, config: Config) -> bool:
    """Say whether it is env, or a chain, which may ask env for the same path."""
    table = config.providers.get(provider)
    return (table.type if table else provider) in {"env", "chain"}


def _named_in(option: object, config: Config, *, key: str = "") -> Iterator[str]:
    """Give the variables an option names: as ``env``, as ``…_env``, or in a reference."""
    if isinstance(option, Mapping):
        provider, path = option.get("provider"), option.get("path")
        if isinstance(path, str) and _reads_environ(str(provider), config):
            yield path
        for name, value in option.items():
            yield from _named_in(value, config, key=str(name))
    elif isinstance(option, list | tuple):
        for value in option:
            yield from _named_in(value, config)
    elif isinstance(option, str):
        provider, colon, path = option.partition(":")
        if colon and _reads_environ(provider, config):
            yield path.partition("#")[0]
        elif (key == "env" or key.endswith("_env")) and _VARIABLE.fullmatch(option):
            yield option


class SecretFiles:
    """Writes secrets into files of mode 0600 in one directory of mode 0700."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._paths: dict[str, Path] = {}

    def path(self, name: str, secret: Secret) -> Path:
        """Give the file that holds ``secret``, written once for each ``name``.

        Raises:
            ConfigError: if it cannot be written.
        """
        if name not in self._paths:
            path = self._directory / secrets.token_hex(8)
            problem = _write(path, secret)
            if problem:
                raise ConfigError(
                    f"{path} cannot be written: {problem}", hint="free some space there"
                )
            self._paths[name] = path
        return self._paths[name]


def _write(path: Path, secret: Secret) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0) as file:
            file.write(secret.reveal().encode())
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


@contextmanager
def secret_files() -> Iterator[SecretFiles]:
    """Give a place for files that is removed at the end; in memory where the system has that.

    Killed with SIGKILL we cannot remove it; in memory it is gone with the next start.
    """
    base = _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="secretkit-", dir=base))
    try:
        yield SecretFiles(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
