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
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from secretkit.core.secret import Secret

__all__ = ["SecretFiles", "inherited", "secret_files"]

_HOLDS_CREDENTIAL: Final = re.compile(
    r"(?:.*_)?(?:API_?KEY|TOKEN|SECRET|SECRET_?KEY|ACCESS_?KEY(?:_ID)?|PRIVATE_?KEY|PASSWORD|PASSWD"
    r"|PASSPHRASE|CREDENTIALS?)|PGPASSWORD|MYSQL_PWD",
    re.IGNORECASE,
)
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a memory file system; the directory in it is 0700


def inherited(
    environ: Mapping[str, str], *, keep: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Give the environment without credentials, except those in ``keep``; and what was left out."""
    left_out = sorted(
        name for name in environ if _HOLDS_CREDENTIAL.fullmatch(name) and name not in keep
    )
    return {k: v for k, v in environ.items() if k not in left_out}, left_out


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
