"""Compressed: what gzip, bzip2 and xz streams hold."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from secretkit.scan.decode.budget import Nested
from secretkit.scan.finding import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from secretkit.scan.decode.budget import Budget

__all__ = ["decompressor", "unpacked"]

_MEMORY: Final = 64 << 20  # an xz header may ask for 4 GiB
_BROKEN: Final = "is damaged: the rest was not scanned"
_FAULTS: Final = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...

    @property
    def eof(self) -> bool: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)


_KINDS: Final[Mapping[bytes, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b\x08": _gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": _xz,
}


def decompressor(data: bytes) -> Callable[[], _Decompressor] | None:
    """Give what unpacks ``data``, by its first bytes, or None."""
    return next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), None)


def unpacked(
    data: bytes,
    kind: Callable[[], _Decompressor],
    *,
    path: str,
    budget: Budget,
    skipped: list[Skipped],
) -> Iterator[Nested]:
    """Give what the stream holds, as ``!`` and the name it was packed from.

    Of several streams one behind the other, as ``gzip`` joins them, each is given. A stream that
    breaks off is given as far as it goes, and joins ``skipped``.
    """
    name, rest = f"!{_inner(path)}", data
    while rest and decompressor(rest) is kind:
        budget.piece(path=path, skipped=skipped)
        stream = _Stream(kind(), rest)
        content = budget.read(stream.read, path=path + name, skipped=skipped)
        if not stream.whole:
            skipped.append(Skipped(path=path, reason=_BROKEN))
        yield Nested(data=content, name=name)
        rest = stream.rest


class _Stream:
    """Reads from a decompressor; an error ends it."""

    def __init__(self, decompressor: _Decompressor, data: bytes) -> None:
        self._decompressor = decompressor
        self._waiting = data
        self.whole = True

    def read(self, count: int) -> bytes:
        if self._decompressor.eof:
            return b""
        try:
            part = self._decompressor.decompress(self._waiting, count)
        except _FAULTS:
            self.whole = False
            return b""
        self._waiting = getattr(self._decompressor, "unconsumed_tail", b"")
        if not part and not self._decompressor.eof:
            self.whole = False
        return part

    @property
    def rest(self) -> bytes:
        return getattr(self._decompressor, "unused_data", b"")


def _inner(path: str) -> str:
    """Give the name of what was packed: of ``a/b.tar.gz`` it is ``b.tar``."""
    leaf = path.rpartition("/")[2].rpartition("!")[2]
    stem, dot, suffix = leaf.rpartition(".")
    if suffix in {"tgz", "tbz2", "txz"}:
        return f"{stem}.tar"
    return stem if dot and stem else "content"
