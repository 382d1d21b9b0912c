"""Packfile: which objects a pack of git holds, of which kind, and which are deltas of which.

A pack is hostile input: every offset, length and count in it is checked before it is used, and
what is odd is left to git itself. Format: https://git-scm.com/docs/gitformat-pack
"""

from __future__ import annotations

import array
import mmap
import os
import stat
import sys
import zlib
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Self

from secretkit.errors import ScanError
from secretkit.scan.beneath import open_file

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BLOB", "COMMIT", "LARGEST", "DamageError", "Pack"]

COMMIT: Final = 1
BLOB: Final = 3
LARGEST: Final = 16 << 20  # an object is inflated here up to this size
_OFFSET_DELTA: Final = 6
_ID_DELTA: Final = 7
_PLAIN: Final = (1, 2, 3, 4)
_FANOUT: Final = 8
_IDS: Final = 8 + 1024
_HEADER: Final = 12
_FAR: Final = 1 << 31
_VARINT: Final = 10  # bytes: 70 bits, more than any size or distance there is
_MOST: Final = 2_000_000  # objects; 30 bytes of memory each
_SMALL: Final = 16 << 10  # compressed bytes, which zlib inflates to at most 1,032 times as many
_FORGET: Final = 64 << 20  # bytes


class DamageError(ScanError):
    """A pack, or an object in it, is not what git would have written."""


class Pack:
    """A pack and its index, mapped into memory. Objects are numbered by rank: their order in it.

    ``kind[rank]`` is the kind of an object, also of a delta, or 0 where it cannot be known here.
    The deltas of an object are ``child[rank]`` and then ``sibling`` of that, until -1. ``roots``
    are the blobs that are no deltas. Costs about 1 µs an object. A fork shares the memory.
    """

    def __init__(self, folder: int, name: str, *, width: int) -> None:
        """Open ``name`` (without ``.pack``) in the directory ``folder``; ids have ``width`` bytes.

        Raises:
            DamageError: for what is damaged, or of a version or size that is not known here.
        """
        self.name = name
        self._width = width
        self._index = _mapped(folder, f"{name}.idx")
        self._data = _mapped(folder, f"{name}.pack")
        self._view = memoryview(self._data)
        self._touched = 0
        self.count = self._checked()
        places = self._places()
        by_place = sorted(range(self.count), key=places.__getitem__)
        self._position = array.array("I", by_place)
        self.offsets = array.array("Q", [places[position] for position in by_place])
        self.kind = bytearray(self.count)
        self.child = array.array("i", [-1]) * self.count
        self.sibling = array.array("i", [-1]) * self.count
        self.roots = array.array("I")
        self._read_headers()

    def _checked(self) -> int:
        """Give the number of objects, on which index and pack must agree."""
        index, data = self._index, self._data
        if index[:8] != b"\377tOc\0\0\0\2" or data[:8] not in {b"PACK\0\0\0\2", b"PACK\0\0\0\3"}:
            raise DamageError("is no pack with an index of version 2")
        count = int.from_bytes(index[_IDS - 4 : _IDS], "big")
        if count != int.from_bytes(data[8:_HEADER], "big") or count > _MOST:
            raise DamageError("the pack and its index disagree, or are very large")
        self._far = _IDS + count * (self._width + 8)
        if len(index) < self._far + 2 * self._width or len(data) < _HEADER + self._width:
            raise DamageError("is cut off")
        self._end = len(data) - self._width
        return count

    def _places(self) -> Sequence[int]:
        """Give where each object begins, in order of ids."""
        low = self._far - 4 * self.count
        near = array.array("I", self._index[low : self._far])
        if sys.byteorder == "little":
            near.byteswap()
        places: Sequence[int] = near
        if near and max(near) >= _FAR:
            places = [self._distant(one & ~_FAR) if one & _FAR else one for one in near]
        if places and (min(places) < _HEADER or max(places) >= self._end):
            raise DamageError("an object lies outside of its pack")
        return places

    def _distant(self, number: int) -> int:
        at = self._far + 8 * number
        if at + 8 > len(self._index) - 2 * self._width:
            raise DamageError("the index names an offset that it does not hold")
        return int.from_bytes(self._index[at : at + 8], "big")

    def _read_headers(self) -> None:
        """Read kind and parent of every object. A parent lies before its delta, or has an id."""
        kind, waiting = self.kind, []
        for rank in range(self.count):
            stored, parent = self._parent(rank)
            if stored in _PLAIN:
                kind[rank] = stored
            elif parent >= 0:
                self.sibling[rank] = self.child[parent]
                self.child[parent] = rank
                kind[rank] = kind[parent]
                if parent > rank or not kind[parent]:
                    waiting.append(rank)
            if stored == BLOB:
                self.roots.append(rank)
        if waiting:
            self._settle()

    def _settle(self) -> None:
        """Hand kinds down from parents that stand behind their deltas."""
        stack = [rank for rank in range(self.count) if self.kind[rank]]
        while stack:
            rank = stack.pop()
            for kid in self.children(rank):
                if not self.kind[kid]:
                    self.kind[kid] = self.kind[rank]
                    stack.append(kid)

    def _parent(self, rank: int) -> tuple[int, int]:
        """Give the stored kind of an object, and the rank of what it is a delta of, or -1."""
        data, at = self._data, self.offsets[rank]
        byte = data[at]
        stored = byte >> 4 & 7
        if stored in _PLAIN:
            return stored, -1
        if stored not in {_OFFSET_DELTA, _ID_DELTA}:
            return 0, -1
        end = self._end - 1  # behind it stands the trailer, so a byte too far is no fault
        last = min(at + _VARINT, end)
        while byte & 0x80 and at < last:
            at += 1
            byte = data[at]
        at += 1
        if stored == _ID_DELTA:
            return stored, self.rank(data[at : at + self._width])
        byte = data[at]
        back = byte & 0x7F
        last = min(at + _VARINT, end)
        while byte & 0x80 and at < last:
            at += 1
            byte = data[at]
            back = (back + 1 << 7) | (byte & 0x7F)
        wanted = self.offsets[rank] - back
        found = bisect_left(self.offsets, wanted, 0, rank)
        return stored, found if found < rank and self.offsets[found] == wanted else -1

    def children(self, rank: int) -> list[int]:
        """Give the ranks of the deltas of an object."""
        found: list[int] = []
        kid = self.child[rank]
        while kid >= 0:
            found.append(kid)
            kid = self.sibling[kid]
        return found

    def oid(self, rank: int) -> bytes:
        """Give the id of an object."""
        at = _IDS + self._position[rank] * self._width
        return self._index[at : at + self._width]

    def rank(self, oid: bytes) -> int:
        """Give the rank of the object with an id, or -1. Costs one search of the offsets more."""
        position = self._find(oid)
        if position < 0:
            return -1
        return bisect_left(self.offsets, self._places_of(position))

    def holds(self, oid: bytes) -> bool:
        """Say whether an object is in this pack."""
        return self._find(oid) >= 0

    def _find(self, oid: bytes) -> int:
        index, width = self._index, self._width
        if len(oid) != width:
            return -1
        at = _FANOUT + 4 * oid[0]
        low = int.from_bytes(index[at - 4 : at], "big") if oid[0] else 0
        high = min(int.from_bytes(index[at : at + 4], "big"), self.count)
        while low < high:
            middle = (low + high) // 2
            here = index[_IDS + middle * width : _IDS + (middle + 1) * width]
            if here == oid:
                return middle
            low, high = (middle + 1, high) if here < oid else (low, middle)
        return -1

    def _places_of(self, position: int) -> int:
        at = self._far - 4 * (self.count - position)
        place = int.from_bytes(self._index[at : at + 4], "big")
        return self._distant(place & ~_FAR) if place & _FAR else place

    def content(self, rank: int) -> bytes:
        """Give what is stored for an object: its content, or its delta.

        Raises:
            DamageError: for what cannot be inflated, or is not as long as it says.
        """
        data, at = self._data, self.offsets[rank]
        stop = self.offsets[rank + 1] if rank + 1 < self.count else self._end
        size, at = _size(data, at)
        stored = data[self.offsets[rank]] >> 4 & 7
        if stored == _OFFSET_DELTA:
            while data[at] & 0x80 and at < stop:
                at += 1
            at += 1
        elif stored == _ID_DELTA:
            at += self._width
        if size > LARGEST or at >= stop:
            raise DamageError("is too large to be inflated here")
        self._forget(stop - at)
        return _inflated(self._view[at:stop], size)

    def size(self, rank: int) -> int:
        """Give the size that is stored for an object: of its content, or of its delta."""
        return _size(self._data, self.offsets[rank])[0]

    def _forget(self, count: int) -> None:
        """Take pages that were read out of this process again: they count as its memory."""
        self._touched += count
        if self._touched > _FORGET and hasattr(mmap, "MADV_DONTNEED"):
            self._touched = 0
            self._data.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Unmap both files."""
        self._view.release()
        self._data.close()
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _mapped(folder: int, leaf: str) -> mmap.mmap:
    try:
        descriptor = open_file(folder, leaf)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DamageError("is no file")
            return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise DamageError(f"cannot be read: {type(error).__name__}") from None


def _size(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Give the size in the header at ``at``, and where that header ends."""
    byte = data[at]
    size, shift, last = byte & 15, 4, min(at + _VARINT, len(data) - 2)
    while byte & 0x80 and at < last:
        at += 1
        byte = data[at]
        size |= (byte & 0x7F) << shift
        shift += 7
    return size, at + 1


def _inflated(stored: memoryview, size: int) -> bytes:
    try:
        if len(stored) <= _SMALL:
            content = zlib.decompress(stored, bufsize=size or 1)
        else:
            content = zlib.decompressobj().decompress(stored, size + 1)
    except zlib.error:
        raise DamageError("is damaged: it cannot be inflated") from None
    if len(content) != size:
        raise DamageError("is damaged: it is not as long as it says")
    return content
