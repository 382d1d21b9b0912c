"""Tree: which files to read, and reading them without being led out of the tree."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.errors import ScanError
from secretkit.scan.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_BYTES", "open_beneath", "paths", "read"]

MAX_BYTES: Final = 8 << 20


def paths(folder: Path) -> Iterator[str]:
    """Give the files under ``folder``, relative and sorted; links are given, never followed.

    Inside a git repository: what is tracked, and what is new and not ignored.

    Raises:
        ScanError: if git cannot list a repository.
    """
    if any(os.path.lexists(above / ".git") for above in (folder, *folder.parents)):
        yield from _tracked(folder)
    else:
        yield from _walked(folder, "")


def _tracked(folder: Path) -> list[str]:
    wanted = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    names = Git(folder).run(*wanted).split(b"\0")
    return sorted({os.fsdecode(name) for name in names if name})


def _walked(folder: Path, inside: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        name = f"{inside}{entry.name}"
        if not entry.is_dir(follow_symlinks=False):
            yield name
        elif entry.name != ".git":
            yield from _walked(Path(entry.path), f"{name}/")


def open_beneath(folder: int, name: str) -> int:
    """Open ``name`` below the directory ``folder`` (a descriptor) without following any link.

    Gives a descriptor; a FIFO or a device does not block.

    Raises:
        OSError: also for a link anywhere in ``name``.
    """
    *parents, last = name.split("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.ExitStack() as opened:
        for part in parents:
            folder = os.open(part, flags | os.O_DIRECTORY, dir_fd=folder)
            opened.callback(os.close, folder)
        return os.open(last, flags | os.O_NONBLOCK, dir_fd=folder)


def read(folder: int, name: str) -> str | None:
    """Give the text of a regular file, or None for a link, device, directory or missing file.

    Raises:
        ScanError: for a file that is too large or cannot be read.
    """
    try:
        descriptor = open_beneath(folder, name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if _leads_elsewhere(folder, name):
            return None
        raise ScanError(f"cannot be opened: {error.strerror}") from None
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        if facts.st_size > MAX_BYTES:
            raise ScanError(f"is larger than {MAX_BYTES >> 20} MiB and was not read")
        try:
            content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ScanError(f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ScanError(f"grew past {MAX_BYTES >> 20} MiB while it was read")
    return _text(content)


def _leads_elsewhere(folder: int, name: str) -> bool:
    """Say whether ``name`` is a link or a special file, or lies behind a link."""
    *parents, last = _prefixes(name)
    try:
        modes = [os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode for part in parents]
        if any(stat.S_ISLNK(mode) for mode in modes):
            return True
        return not stat.S_ISREG(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _prefixes(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8", errors="surrogateescape")
