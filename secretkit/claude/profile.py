"""Profile: an Anthropic profile with a short-lived token, for the SDKs and tools that read one.

Two files in ``$ANTHROPIC_CONFIG_DIR``, else ``~/.config/anthropic``: ``configs/NAME.json`` says
that somebody else keeps the token (``user_oauth`` without ``client_id``), and
``credentials/NAME.json`` is the token. Facts: ``lib/credentials`` of anthropic 2.12 and of
@anthropic-ai/sdk 1.12. Its ``expires_at`` is a near and real end: 0 is fatal in the Node SDK, and
null is kept for ever by the Python SDK.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.credential import AccessToken
from secretkit.errors import AccessDeniedError, ConfigError
from secretkit.providers.ownership import physical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from secretkit.core.lease import Lease

__all__ = ["Profile", "profile_directory", "token_of"]

_VERSION: Final = "1.0"
_AUTHENTICATION: Final = {"type": "user_oauth"}
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_LEFT: Final = re.compile(r"\..+\.[0-9a-f]{16}\.new")
_MOST: Final = 64 * 1024
_OTHERS_WRITE: Final = 0o022
_OTHERS: Final = 0o077
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def profile_directory(environ: Mapping[str, str]) -> Path:
    """Give the directory in which the SDKs look for profiles.

    Raises:
        ConfigError: if there is neither ANTHROPIC_CONFIG_DIR nor HOME, or it is no whole path.
    """
    stated, home = environ.get("ANTHROPIC_CONFIG_DIR", ""), environ.get("HOME", "")
    path = Path(stated) if stated else Path(home) / ".config" / "anthropic"
    if not path.is_absolute():
        raise ConfigError(
            "there is no directory for profiles",
            hint="set ANTHROPIC_CONFIG_DIR to a whole path, or HOME",
        )
    return path


def token_of(lease: Lease) -> tuple[AccessToken, datetime]:
    """Give the token of a lease with its end, which its issuer must have stated.

    Raises:
        ConfigError: if it is none that a profile can hold.
    """
    found = lease.credential
    if isinstance(found, AccessToken) and found.expires_at is not None:
        return found, found.expires_at
    raise ConfigError(
        f"{lease.name!r} is no token with a stated end, and a profile holds nothing else",
        hint='use a credential of kind = "anthropic-federation"',
    )


class Profile:
    """The two files of one profile. Each is replaced in one step, and never written through a link.

    Raises:
        ConfigError: for a name that the SDKs refuse.
    """

    def __init__(self, directory: Path, *, name: str, base_url: str = "") -> None:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                "this name cannot be a profile's",
                hint="use letters, digits, '_', '-' and '.', not starting with '.' or '-'",
            )
        self.name = name
        self._directory = directory
        self._config: dict[str, Any] = {
            "version": _VERSION,
            **({"base_url": base_url} if base_url else {}),
            "authentication": _AUTHENTICATION,
        }

    def __repr__(self) -> str:
        return f"<Profile {self.name} in {self._directory}>"

    @property
    def credentials(self) -> Path:
        """The file that holds the token."""
        return self._directory / "credentials" / f"{self.name}.json"

    @property
    def config(self) -> Path:
        """The file that says how the token is kept; it holds no secret."""
        return self._directory / "configs" / f"{self.name}.json"

    def describe(self) -> None:
        """Write the file without a secret, and make the directories (0700) that are missing.

        Raises:
            ConfigError: if there is a profile of that name which somebody else keeps.
            AccessDeniedError: if others could reach or replace the files.
        """
        with _explained(self._directory):
            for folder in (self._directory, self.config.parent, self.credentials.parent):
                _made(folder)
                _sweep(folder)
            if self._is_foreign():
                raise ConfigError(
                    f"{self.config} is a profile that somebody else keeps",
                    hint="choose another name: --profile NAME",
                )
            _replace(self.config, json.dumps(self._config, indent=2).encode() + b"\n")

    def write(self, token: AccessToken, *, expires_at: datetime) -> None:
        """Replace the token; the file's mode is 0600. Raises like :meth:`describe`."""
        with _explained(self._directory):
            for folder in (self._directory, self.credentials.parent):
                _checked(folder)
            _replace(self.credentials, _document(token, expires_at))

    def activate(self) -> None:
        """Make it the profile that is used where none is named. Raises like :meth:`describe`."""
        with _explained(self._directory):
            _checked(self._directory)
            _replace(self._directory / "active_config", self.name.encode())

    def _is_foreign(self) -> bool:
        """Say whether there is a profile here that is not kept by us."""
        try:
            with self.config.open("rb") as file:
                found = json.loads(file.read(_MOST))
        except FileNotFoundError:
            return self.credentials.exists()
        except ValueError:
            return True
        return not isinstance(found, dict) or found.get("authentication") != _AUTHENTICATION


def _document(token: AccessToken, expires_at: datetime) -> bytes:
    return json.dumps(
        {
            "version": _VERSION,
            "type": "oauth_token",
            "access_token": token.secret.reveal(),
            "expires_at": int(expires_at.timestamp()),
        }
    ).encode()


def _made(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _checked(folder)


def _sweep(folder: Path) -> None:
    """Remove what a writer that was killed has left behind: it may hold a token."""
    for left in folder.iterdir():
        if _LEFT.fullmatch(left.name):
            left.unlink(missing_ok=True)


def _checked(folder: Path) -> None:
    """Refuse a directory in which, or above which, others could put something else."""
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise AccessDeniedError(
            f"{folder} is a symbolic link", hint="set ANTHROPIC_CONFIG_DIR to the real directory"
        )
    if status.st_mode & (_OTHERS if folder.name == "credentials" else _OTHERS_WRITE):
        raise AccessDeniedError(
            f"others can reach into {folder} (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"if nobody has used that, type: chmod 700 {folder}",
        )
    physical(str(folder / "file"))


def _replace(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of a file in one step, beneath a directory that stays open."""
    if path.is_symlink():
        raise AccessDeniedError(f"{path} is a symbolic link", hint="remove it")
    folder = os.open(path.parent, _FOLDER)
    fresh = f".{path.name}.{secrets.token_hex(8)}.new"
    try:
        _write(folder, fresh, data)
        os.rename(fresh, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh, dir_fd=folder)
        raise
    finally:
        os.close(folder)


def _write(folder: int, name: str, data: bytes) -> None:
    with os.fdopen(os.open(name, _CREATE, 0o600, dir_fd=folder), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask took away
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise ConfigError(
            f"{error.filename or directory} cannot be written: {problem}",
            hint="make room, or set ANTHROPIC_CONFIG_DIR to a directory of your own",
        ) from None
