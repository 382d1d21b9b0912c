"""Which project files the user trusts: absolute path and SHA-256 of the content.

A cloned repository can hold a configuration that names commands and addresses, so it is inert
until the user says otherwise, and inert again once it changes.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from secretkit.config.owned import read_owned
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["digest", "trust", "trusted_digest"]

_FILE: Final = "trusted.json"


def digest(raw: bytes) -> str:
    """Give the SHA-256 of a file's content, as the list keeps it."""
    import hashlib  # noqa: PLC0415 - 4 ms, and only a project file needs it

    return hashlib.sha256(raw).hexdigest()


def trusted_digest(path: Path, *, state_dir: Path) -> str:
    """Give the digest with which ``path`` was trusted, or an empty string.

    Raises:
        ConfigError: if the list cannot be used.
    """
    return _read(state_dir / _FILE).get(str(path.absolute()), "")


def trust(path: Path, *, state_dir: Path) -> str:
    """Trust ``path`` with its present content, and give the digest. Atomic and durable.

    Raises:
        ConfigError: if the file or the list cannot be read, or the list cannot be written.
    """
    try:
        noted = digest(read_owned(path))
    except FileNotFoundError:
        raise ConfigError("there is no such file", hint="ls", file=str(path)) from None
    listing = state_dir / _FILE
    known = _read(listing) | {str(path.absolute()): noted}
    try:
        _write(listing, json.dumps({"version": 1, "files": known}, indent=1, sort_keys=True))
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", hint=f"ls -ld {state_dir}", file=str(listing)
        ) from None
    return noted


def _read(listing: Path) -> dict[str, str]:
    try:
        kept = json.loads(read_owned(listing))["files"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, RecursionError):
        kept = None
    if isinstance(kept, dict) and all(isinstance(noted, str) for noted in kept.values()):
        return kept
    raise ConfigError(
        "the list of trusted files is damaged",
        hint=f"rm {listing}, then run secretkit config trust again where you need it",
        file=str(listing),
    )


def _write(listing: Path, text: str) -> None:
    listing.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = listing.with_name(f".{_FILE}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(listing)
    finally:
        draft.unlink(missing_ok=True)
