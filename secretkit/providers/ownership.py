"""Files that nobody else may touch: who owns them, and who can write on the way to them.

Everything is refused and nothing repaired: a wrong mode says that somebody may have read or
changed the file already, and only its owner can judge that.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.errors import AccessDeniedError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.core.secret import Secret

__all__ = ["check_file", "create_empty", "physical", "read_private", "write_once"]

_LINKS: Final = 40  # the kernel's own bound (path_resolution(7))
_MOST: Final = 4096
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022
_ROOT_CREDENTIAL: Final = 0o440


def physical(path: str) -> str:
    """Give the absolute ``path`` with every link to its directory resolved and judged.

    Each directory and each link on the way belongs to us or to root. Nobody else can write one,
    except a sticky directory such as /tmp, and the last one not even then.

    Raises:
        AccessDeniedError: where that does not hold.
        FileNotFoundError: if a directory on the way is missing.
    """
    return _walk(path, make=None)


def create_empty(path: str) -> str:
    """Make an empty file of mode 0600 and the directories it needs at 0700; give its real path.

    A file that is there already is left as it is and judged like any other.

    Raises:
        AccessDeniedError: if others could reach the file.
        LedgerError: if it cannot be made.
    """
    with _translated(path):
        path = _walk(path, make=0o700)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600))
        except FileExistsError:
            check_file(path)
        else:
            _sync(Path(path).parent)
    return path


def check_file(path: str) -> os.stat_result:
    """Judge a file without opening it: closing a descriptor would drop SQLite's locks on it.

    Raises:
        AccessDeniedError: if it is not a regular file of ours with one name and mode 0600.
        FileNotFoundError: if there is none.
    """
    status = os.lstat(path)
    _judge(status, path)
    return status


def read_private(path: str) -> bytes:
    """Give the contents, at most 4 KiB, of a file that only we can read.

    Raises:
        AccessDeniedError: if others could have read or changed it, or if we may not read it.
        FileNotFoundError: if there is none.
    """
    with _translated(path):
        descriptor = os.open(_walk(path, make=None), os.O_RDONLY | _FLAGS)
        try:
            _judge(os.fstat(descriptor), path, credential=True)
            return os.read(descriptor, _MOST)
        finally:
            os.close(descriptor)


def write_once(path: str, secret: Secret) -> None:
    """Write a new file of mode 0600, unless it already holds something; safe to run twice at once.

    A file left empty by an interrupted run is filled.
    """
    import fcntl  # noqa: PLC0415 - only where a file is made

    path = create_empty(path)
    with _translated(path):
        descriptor = os.open(path, os.O_RDWR | _FLAGS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _judge(os.fstat(descriptor), path)
            if os.fstat(descriptor).st_size == 0:
                _write_all(descriptor, secret)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, secret: Secret) -> None:
    try:
        whole = os.write(descriptor, secret.reveal().encode()) == len(secret.reveal().encode())
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, 0)
        raise
    if not whole:  # a disk that fills up takes a part
        os.ftruncate(descriptor, 0)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(path: str, *, make: int | None) -> str:
    """Follow ``path`` as the kernel does, one part at a time, judging each."""
    if not path.startswith("/"):
        raise ValueError("a path to walk is absolute")
    *pending, last = [part for part in path.split("/") if part not in ("", ".")] or [".."]
    if last == "..":
        raise AccessDeniedError(f"{path} does not name a file", hint="write the file's whole path")
    pending.reverse()
    current, links = "/", 0
    while pending:
        part = pending.pop()
        if part == "..":
            current = current.rpartition("/")[0] or "/"
            continue
        here = f"{current.rstrip('/')}/{part}"
        status = _entry(here, make)
        if stat.S_ISLNK(status.st_mode):
            links += 1
            _judge_link(here, status, links)
            target = str(Path(here).readlink())
            current = "/" if target.startswith("/") else current
            pending += [one for one in reversed(target.split("/")) if one not in ("", ".")]
        else:
            _judge_directory(here, status, sticky_will_do=True)
            current = here
    _judge_directory(current, os.lstat(current), sticky_will_do=False)
    return f"{current.rstrip('/')}/{last}"


def _entry(here: str, make: int | None) -> os.stat_result:
    try:
        return os.lstat(here)
    except FileNotFoundError:
        if make is None:
            raise
    with suppress(FileExistsError):  # another process made it just now
        Path(here).mkdir(make)
        _sync(Path(here).parent)
    return os.lstat(here)


def _trusted(owner: int) -> bool:
    return owner in (0, os.geteuid())


def _judge_link(path: str, status: os.stat_result, links: int) -> None:
    if not _trusted(status.st_uid):
        raise AccessDeniedError(
            f"{path} is a symbolic link that belongs to uid {status.st_uid}",
            hint="use a path on which every link is yours",
        )
    if links > _LINKS:
        raise AccessDeniedError(f"{path} leads through too many links", hint="use its real path")


def _quoted(path: str) -> str:
    import shlex  # noqa: PLC0415 - only a refusal needs it

    return shlex.quote(path)


def _judge_directory(path: str, status: os.stat_result, *, sticky_will_do: bool) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise AccessDeniedError(f"{path} is not a directory", hint="correct the path")
    if not _trusted(status.st_uid):
        raise AccessDeniedError(
            f"the directory {path} belongs to uid {status.st_uid}, who could replace what is in it",
            hint="use a directory of your own, such as ~/.local/state/secretkit",
        )
    sticky = sticky_will_do and status.st_mode & stat.S_ISVTX
    if status.st_mode & _OTHERS_WRITE and not sticky:
        raise AccessDeniedError(
            f"others can write the directory {path} (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"if nobody has used that, type: chmod go-w {_quoted(path)}",
        )


def _judge(status: os.stat_result, path: str, *, credential: bool = False) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
        raise AccessDeniedError(f"{path} is {kind}", hint="use the path of the file itself")
    if not _trusted(status.st_uid):
        raise AccessDeniedError(
            f"{path} belongs to uid {status.st_uid}, not to you (uid {os.geteuid()})",
            hint=f"if its contents are yours, type: chown {os.geteuid()} {_quoted(path)}",
        )
    # systemd gives a credential as root:root 0440: the group bits are the mask of an access
    # list that names the service's user alone (systemd.exec(5), "Credentials").
    credential = credential and (status.st_uid, status.st_gid) == (0, 0)
    if mode & _OTHERS and not (credential and not mode & ~_ROOT_CREDENTIAL):
        raise AccessDeniedError(
            f"others can reach {path} (mode {mode:04o})",
            hint=f"if nobody has used that, type: chmod 600 {_quoted(path)}",
        )
    if status.st_nlink != 1:
        raise AccessDeniedError(
            f"{path} has {status.st_nlink} names (hard links)",
            hint=f"remove the others; this finds them: find / -xdev -samefile {_quoted(path)}",
        )


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise AccessDeniedError(
            f"{error.filename or path}: permission denied", hint="run as the user who owns it"
        ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise AccessDeniedError(
                f"{path} is a symbolic link", hint="use the path of the file itself"
            ) from None
        raise LedgerError(
            f"{path}: {error.strerror or 'input/output error'}",
            hint="make room or make the directory writable; nothing was changed",
        ) from None
