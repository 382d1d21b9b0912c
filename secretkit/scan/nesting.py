"""Nesting: which parts of an object are worth decoding, around the signs that an engine saw."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["DISTANT", "Part", "changed_parts", "is_notebook", "is_packed", "line_around", "parts"]

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
_NEAR: Final = 64  # bytes around a sign that tell whether it is one
_JOINS: Final = rb"(?:\+|\.\.?|&|\|\||<>|\\)"
_LOOKS: Final = {
    "base64": re.compile(rb"[A-Za-z0-9+/_-]{40}"),
    "literals": re.compile(
        rb"[\"'`][ \t]{0,40}(?:\\?\r?\n[ \t]{0,80}|"
        + _JOINS
        + rb"[ \t]{0,40}(?:\\?\r?\n[ \t]{0,80})?)"
        rb"(?:" + _JOINS + rb"[ \t]{0,8})?(?:[rbuf]|@|\$)?[\"'`]"
    ),
    "block": re.compile(
        rb"[|>][0-9+-]{0,2}[ \t]*\r?\n[ \t]{1,40}[^\s#]{8,200}[ \t]*\r?\n[ \t]{1,40}[^\s#]{8}"
    ),
}


class Part(NamedTuple):
    """``[start, stop)`` of an object, and what may be encoded there."""

    start: int
    stop: int
    hints: frozenset[str]


def parts(data: bytes, signs: Iterable[tuple[int, str]]) -> Iterator[Part]:
    """Give the parts of ``data`` to decode: around ``signs``, which are (offset, encoding)."""
    seen: list[Part] = []
    for at, hint in sorted(signs):
        if not _is_likely(data, hint, at - _NEAR, at + 2 * _NEAR):
            continue
        low, high = max(0, at - _AROUND), at + _AROUND
        if hint == "kubernetes":
            yield Part(0, len(data), frozenset({hint}))
        elif seen and low <= seen[-1].stop:
            seen[-1] = Part(seen[-1].start, high, seen[-1].hints | {hint})
        else:
            seen.append(Part(low, high, frozenset({hint})))
    for part in seen:
        low, high = line_around(data, part.start, part.stop)
        yield Part(_back(data, low), _ahead(data, high), part.hints)


def changed_parts(
    data: bytes,
    signs: Iterable[tuple[int, str]],
    windows: Iterable[tuple[int, int]],
    *,
    before: frozenset[str],
) -> Iterator[Part]:
    """Give the parts to decode of data of which only what is in ``windows`` is new.

    ``before`` is what was seen of :data:`DISTANT` in what it is a delta of. Encoded text that
    reaches into no window was decoded there. Windows are in order and end with lines.
    """
    ordered = sorted(signs)
    for start, stop in windows:
        low, high = _back(data, start), _ahead(data, stop)
        first, last = bisect_left(ordered, (low,)), bisect_right(ordered, (high + 2,))
        hints = before.union(hint for _, hint in ordered[first:last])
        hints = frozenset(hint for hint in hints if _is_likely(data, hint, low, high))
        if hints:
            yield Part(low, high, hints)


def _is_likely(data: bytes, hint: str, low: int, high: int) -> bool:
    """Look closer than an engine does, whose expressions end with their line."""
    looks = _LOOKS.get(hint)
    return looks is None or looks.search(data, max(0, low), high) is not None


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
