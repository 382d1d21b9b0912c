"""Nesting: which parts of an object are worth decoding, around the signs that an engine saw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["DISTANT", "Part", "is_notebook", "is_packed", "line_around", "parts"]

DISTANT: Final = frozenset({"kubernetes", "block"})
"""Encodings of which the sign may stand far from what is encoded."""

_AROUND: Final = 300  # bytes
_LINE: Final = 4096  # bytes that are looked through for the beginning and the end of a line
_RUN: Final = 1 << 16  # bytes that encoded text is followed for
_BEGINNINGS: Final = (b"PK", b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"BZh", b"\xfd7zXZ")
_HEAD: Final = 1024
_ENCODED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-%"
# A line of a block without spaces, or a string literal that is joined to others.
_CODED_LINE: Final = re.compile(
    rb"[ \t]*(?:\S{8,}|(?:[+.&|<>]{1,2}[ \t]*)?[rbuf@$]?[\"'`][^\"'`\n]*[\"'`][ \t]*"
    rb"[+.&|<>\\(),;]{0,2})[ \t\r]*\n?"
)


class Part(NamedTuple):
    """``[start, stop)`` of an object, and what may be encoded there."""

    start: int
    stop: int
    hints: frozenset[str]


def parts(
    data: bytes,
    signs: Iterable[tuple[int, str]],
    windows: Sequence[tuple[int, int]] | None,
    *,
    before: frozenset[str],
) -> Iterator[Part]:
    """Give the parts of ``data`` to decode: around ``signs``, which are (offset, encoding).

    Only ``windows`` of it have changed, or all of it. ``before`` is what was seen of
    :data:`DISTANT` in what it is a delta of.
    """
    seen: list[Part] = []
    for at, hint in sorted(signs):
        if hint in DISTANT:
            before |= {hint}
        low, high = max(0, at - _AROUND), at + _AROUND
        if seen and low <= seen[-1].stop:
            seen[-1] = Part(seen[-1].start, high, seen[-1].hints | {hint})
        else:
            seen.append(Part(low, high, frozenset({hint})))
    for part in seen:
        low, high = line_around(data, part.start, part.stop)
        yield Part(_back(data, low), _ahead(data, high), part.hints)
    if "kubernetes" in before:
        for low, high in [(0, len(data))] if windows is None else windows:
            yield Part(low, high, frozenset({"kubernetes"}))
    if "block" in before and windows is not None:
        for low, high in windows:
            start = _back(data, low)
            if data.count(b"\n", start, low) > 1:  # its own line, and at least one of a block
                yield Part(start, _ahead(data, high), frozenset({"block"}))


def line_around(data: bytes, low: int, high: int) -> tuple[int, int]:
    """Widen ``[low, high)`` to whole lines, by at most 4 KiB either way."""
    edge = max(0, low - _LINE)
    newline = data.rfind(b"\n", edge, low)
    end = data.find(b"\n", high, high + _LINE)
    return newline + 1 if newline >= 0 else edge, end if end >= 0 else min(high + _LINE, len(data))


def _back(data: bytes, low: int) -> int:
    """Follow encoded text to its beginning, and to the line before it, which may name it."""
    edge = max(0, low - _RUN)
    if low and data[low - 1 : low] != b"\n":
        low = edge + len(data[edge:low].rstrip(_ENCODED))
        low = data.rfind(b"\n", max(edge, low - _LINE), low) + 1 or low
    while low > edge:
        above = data.rfind(b"\n", edge, low - 1) + 1 or edge
        if not _CODED_LINE.fullmatch(data, above, low):
            break
        low = above
    return data.rfind(b"\n", max(0, low - _LINE), max(0, low - 1)) + 1 or low


def _ahead(data: bytes, high: int) -> int:
    """Follow encoded text to its end."""
    edge = min(len(data), high + _RUN)
    if high < edge and data[high : high + 1] != b"\n":
        high = edge - len(data[high:edge].lstrip(_ENCODED))
    while high < edge:
        below = data.find(b"\n", high + 1, edge)
        below = below if below >= 0 else edge
        if not _CODED_LINE.fullmatch(data, high + 1, below):
            break
        high = below
    return high


def is_packed(data: bytes) -> bool:
    """Say whether ``data`` is binary, packed, UTF-16 or a notebook: no part is read by itself."""
    return (
        data.startswith(_BEGINNINGS)
        or b"\0" in data[:_HEAD]
        or (data[:1] in b"{ \n" and is_notebook(data))
    )


def is_notebook(data: bytes) -> bool:
    """Say whether ``data`` looks like a Jupyter notebook."""
    return b'"cell_type"' in data[: 4 * _HEAD] and data.lstrip()[:1] == b"{"
