"""Place: files only we can read, in a directory only we can write, made without a window.

Refuses rather than repairs: a mode that is too wide may already have been used.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.errors import LedgerError
from secretkit.ledger.failure import lasting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["check_file", "create_file", "directory", "keep", "locked", "telling"]

_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def directory(path: str) -> None:
    """Make ``path`` with mode 0700 where it is missing, and check it and all above it.

    Raises:
        LedgerError: if it is a link or not ours, or if others may write to it or swap it.
    """
    with telling(path):
        if not os.path.lexists(path):
            _make(path)
        real = os.path.realpath(Path(path).parent)
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode):
            raise lasting(f"{path} is not a directory (links are not followed)", hint=_elsewhere())
        if found.st_uid != os.geteuid():
            raise lasting(f"{path} belongs to another user", hint=_elsewhere())
        if found.st_mode & _OTHERS_WRITE:
            raise lasting(f"others may write to {path}", hint=f"chmod 700 {path}")
        for parent in {*Path(path).parents, Path(real), *Path(real).parents}:
            if _swappable(os.lstat(parent)):
                raise lasting(f"others may replace what is in {parent}", hint=_elsewhere())


def _swappable(found: os.stat_result) -> bool:
    writable = found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX
    is_link = stat.S_ISLNK(found.st_mode)  # whose own mode means nothing
    return found.st_uid not in {0, os.geteuid()} or bool(writable and not is_link)


def _make(path: str) -> None:
    missing = [path]
    while not os.path.lexists(parent := str(Path(missing[-1]).parent)):
        missing.append(parent)
    for each in reversed(missing):
        try:
            os.mkdir(each, 0o700)  # noqa: PTH102 - Path.mkdir cannot be told apart from the rest here
        except FileExistsError:
            continue  # another process was faster; the checks look at what it made


def check_file(path: str) -> None:
    """Refuse a file that is a link, not ours, or open to others. Does not open it.

    Opening and closing it here would drop the locks that SQLite holds on it in this process
    (https://sqlite.org/howtocorrupt.html §2.2).

    Raises:
        LedgerError: with the command that cures it, where one does.
    """
    with telling(path):
        found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise lasting(f"{path} is not a plain file of one name", hint=_elsewhere())
    if found.st_uid != os.geteuid():
        raise lasting(f"{path} belongs to another user", hint=_elsewhere())
    if found.st_mode & _OTHERS:
        raise lasting(f"others may read or write {path}", hint=f"chmod 600 {path}")


def create_file(path: str, content: Callable[[], bytes] = bytes) -> None:
    """Make a new file with mode 0600, written through to the disk, and its directory entry.

    ``content`` is asked for only where it is written, so that no frame here keeps a key.

    Raises:
        LedgerError: if it exists or cannot be written; nothing half-written stays.
    """
    with telling(path):
        handle = os.open(path, _NEW, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content())
                file.flush()
                os.fsync(handle)
        except OSError:
            Path(path).unlink()
            raise
        _sync(str(Path(path).parent))


def keep(source: str, target: str) -> None:
    """Give a file its final name, durably."""
    with telling(target):
        os.rename(source, target)  # noqa: PTH104 - beside fsync
        _sync(str(Path(target).parent))


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: str, *, seconds: float) -> Iterator[None]:
    """Hold the directory ``path`` against other processes that make a ledger in it.

    Raises:
        LedgerError: if it is still held after ``seconds``.
    """
    import fcntl  # noqa: PLC0415 - only a new ledger needs it

    with telling(path):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise LedgerError(
                        f"another process is still making a ledger in {path}",
                        hint=f"try again; fuser {path} says who holds it",
                    ) from None
                threading.Event().wait(0.01)
        yield
    finally:
        os.close(handle)


@contextmanager
def telling(path: str) -> Iterator[None]:
    """Turn an OSError into a LedgerError that names ``path`` and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LedgerError(f"{path}: {reason}", hint=_HINTS.get(error.errno or 0, _HINT)) from None


_HINT: Final = "check the path in ledger.url, and try again"
_HINTS: Final = {
    errno.ENOSPC: "free some space there, and try again; what was written before is intact",
    errno.EDQUOT: "free some of your quota there, and try again; what was written before is intact",
    errno.EROFS: "point ledger.url to a place that can be written",
    errno.EACCES: "check who may enter and write that directory: ls -ld",
}


def _elsewhere() -> str:
    return "point ledger.url to a directory of your own, or let its owner run secretkit"
