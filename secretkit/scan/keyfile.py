"""Keyfile: one user's own random key for fingerprints, made on first use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from secretkit.errors import ScanError
from secretkit.scan.fingerprint import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["user_key"]

_NAME: Final = "scan.key"
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def user_key(folder: Path) -> bytes:
    """Give the key that stands in ``folder``, 0600; the first call makes folder and key.

    Safe between processes: all get the same key, whoever makes it.

    Raises:
        ScanError: if it cannot be made or read, or is no key.
    """
    file = folder / _NAME
    try:
        try:
            return _read(file)
        except FileNotFoundError:
            _make(file)
            return _read(file)
    except OSError as error:
        raise ScanError(
            f"{file}: {error.strerror}", hint="it holds the key for fingerprints, and is yours"
        ) from None


def _read(file: Path) -> bytes:
    descriptor = os.open(file, _READ)
    try:
        found, text = os.fstat(descriptor), os.read(descriptor, 2 * KEY_BYTES + 2)
    finally:
        os.close(descriptor)
    if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        try:
            key = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            key = b""
        if len(key) == KEY_BYTES:
            return key
    raise ScanError(
        f"{file} is no key that only you can read",
        hint=f"rm {file}: fingerprints outside of baselines change then, and nothing else",
    )


def _make(file: Path) -> None:
    """Write the whole key under another name first: whoever sees the file sees a key."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{_NAME}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w") as out:
            out.write(f"{os.urandom(KEY_BYTES).hex()}\n")
        try:
            os.link(draft, file)  # unlike a rename, it does not replace another's key
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
