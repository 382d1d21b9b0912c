"""Loose: reads objects that git keeps in files of their own. They are hostile input too."""

from __future__ import annotations

import errno
import os
import re
import stat
import zlib
from typing import TYPE_CHECKING, Final

from secretkit.scan.beneath import open_file
from secretkit.scan.packfile import LARGEST, DamageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["files", "read_loose", "walk_loose"]

_FANOUT: Final = re.compile(r"[0-9a-f]{2}")
_HEADER: Final = re.compile(rb"(blob|tree|commit|tag) ([0-9]{1,15})\0")
_HEAD: Final = 64  # bytes that hold every header


def walk_loose(folder: int, *, width: int) -> Iterator[str]:
    """Give the ids of the loose objects below a directory of objects, sorted; ``width`` in bytes.

    Raises:
        OSError: if a directory cannot be read.
    """
    rest = re.compile(rf"[0-9a-f]{{{2 * width - 2}}}")
    for fanout in sorted(os.listdir(folder)):
        if _FANOUT.fullmatch(fanout):
            inner = os.open(fanout, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
            try:
                names = sorted(files(inner))
            finally:
                os.close(inner)
            yield from (fanout + name for name in names if rest.fullmatch(name))


def files(folder: int) -> list[str]:
    """Give the names of the files in a directory.

    Raises:
        OSError: if there is a FIFO or a device in it: git would wait for it, maybe for ever.
    """
    with os.scandir(folder) as entries:
        found = list(entries)
    for one in found:
        if not (one.is_file() or one.is_dir() or one.is_symlink()):
            raise OSError(errno.EINVAL, "there is something in it that is no file")
    return [one.name for one in found]


def read_loose(folder: int, oid: str) -> tuple[str, bytes]:
    """Give the kind of a loose object, and its content if it is a blob.

    Raises:
        DamageError: for what cannot be read, is not as long as it says, or over 16 MiB.
    """
    stored = _stored(folder, oid)
    inflater = zlib.decompressobj()
    try:
        head = inflater.decompress(stored, _HEAD)
        found = _HEADER.match(head)
        if found is None:
            raise DamageError("is no object")
        kind, size = found[1].decode("ascii"), int(found[2])
        if kind != "blob":
            return kind, b""
        if size > LARGEST:
            raise DamageError("is too large to be inflated here")
        missing = size + found.end() - len(head)
        rest = inflater.decompress(inflater.unconsumed_tail, missing + 1) if missing >= 0 else b""
    except zlib.error:
        raise DamageError("is damaged: it cannot be inflated") from None
    if missing != len(rest) or not inflater.eof:
        raise DamageError("is damaged: it is not as long as it says")
    return kind, head[found.end() :] + rest


def _stored(folder: int, oid: str) -> bytes:
    try:
        inner = os.open(oid[:2], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            descriptor = open_file(inner, oid[2:])
        finally:
            os.close(inner)
    except OSError as error:
        raise DamageError(f"cannot be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST:
            raise DamageError("is no file, or too large to be inflated here")
        return file.read(LARGEST + 1)
