"""Pack: a compiled database and the rules it stands for, in one run of bytes.

Layout, little-endian: the magic; a BLAKE2b digest of all that follows but the database; the length
of the database and the number of rules; the end of each rule's record; the records; the database.
A record is the rule's fields as UTF-8, in an order that :mod:`secretkit.scan.rule` knows, joined by
a zero byte. The database is left out of the digest, which would take 2 ms: hyperscan checks a
CRC-32 of its own when it loads one.
"""

from __future__ import annotations

import os
from _blake2 import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FORMAT", "Pack", "decode", "encode", "load"]

FORMAT = 1
_MAGIC = b"secretkit pack\x00%c" % FORMAT
_DIGEST = 32
_HEAD = len(_MAGIC) + _DIGEST
_WIDE = 4


class Pack:
    """What a cache file holds: ``database`` for hyperscan, and a record for each rule."""

    __slots__ = ("_data", "_ends", "_start", "database")

    def __init__(self, data: bytes, database: bytes) -> None:
        count = _number(data, _HEAD + _WIDE)
        self._data = data
        self._ends = _HEAD + 2 * _WIDE
        self._start = self._ends + count * _WIDE
        self.database = database

    def __len__(self) -> int:
        return (self._start - self._ends) // _WIDE

    def record(self, index: int) -> bytes:
        """Give the record of rule ``index``."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        at = self._ends + index * _WIDE
        low = _number(self._data, at - _WIDE) if index else 0
        return self._data[self._start + low : self._start + _number(self._data, at)]


def encode(database: bytes, records: Sequence[bytes]) -> bytes:
    """Give the bytes of a pack."""
    ends, end = [], 0
    for record in records:
        end += len(record)
        ends.append(end.to_bytes(_WIDE, "little"))
    numbers = (len(database), len(records))
    head = b"".join(number.to_bytes(_WIDE, "little") for number in numbers)
    body = b"".join((head, *ends, *records))
    return _MAGIC + blake2b(body, digest_size=_DIGEST).digest() + body + database


def decode(data: bytes) -> Pack | None:
    """Give the pack in ``data``, or None if it is damaged, cut off, or of another format.

    The digest finds damage, not an enemy: who may write the file is the cache's to check.
    """
    end = _end(data[: _HEAD + _WIDE], len(data))
    return _checked(data[:end], data[end:])


def load(file: int, *, size: int) -> Pack | None:
    """Give the pack in the open file of ``size`` bytes; the rest is as in :func:`decode`.

    The database, most of it, is read into memory of its own and copied nowhere.
    """
    end = _end(os.pread(file, _HEAD + _WIDE, 0), size)
    return _checked(os.pread(file, end, 0), os.pread(file, size - end, end)) if end else None


def _end(head: bytes, size: int) -> int:
    """Give where the records end, in a pack of ``size`` bytes that begins so; 0 if it is none."""
    if not head.startswith(_MAGIC) or len(head) < _HEAD + _WIDE:
        return 0
    return max(size - _number(head, _HEAD), 0)


def _checked(data: bytes, database: bytes) -> Pack | None:
    if len(data) < _HEAD + 2 * _WIDE or _number(data, _HEAD) != len(database):
        return None
    digest = blake2b(memoryview(data)[_HEAD:], digest_size=_DIGEST).digest()
    return Pack(data, database) if digest == data[len(_MAGIC) : _HEAD] else None


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + _WIDE], "little")
