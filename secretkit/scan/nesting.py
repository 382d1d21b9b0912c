"""Nesting: which parts of an object are worth decoding, around the signs that an engine saw."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "DISTANT",
    "Known",
    "Part",
    "changed_parts",
    "is_notebook",
    "is_packed",
    "is_sign",
    "likely",
    "line_around",
    "parts",
]

DISTANT: Final = frozenset({"kubernetes", "block"})
"""Encodings of which the sign may stand far from what is encoded."""

_AROUND: Final = 300  # bytes
_LINE: Final = 4096  # bytes that are looked through for the beginning and the end of a line
_RUN: Final = 1 << 16  # bytes that encoded text is followed for
_BEFORE: Final = {"base64": (40, 100), "hex": (66,), "literals": (100,), "block": (80,)}
"""How far before the offset of a sign that begins of which an engine saw the end."""
_LONGEST: Final = 8192  # bytes of a run that are looked at for one sign
_CORE: Final = 4096  # there is a sign in as many bytes of a run, at least
_BEGINNINGS: Final = (b"PK", b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"BZh", b"\xfd7zXZ")
_HEAD: Final = 1024
_ENCODED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-%"
# A line of a block without spaces, or a string literal that is joined to others.
_CODED_LINE: Final = re.compile(
    rb"[ \t]*(?:\S{8,}|(?:[+.&|<>]{1,2}[ \t]*)?[rbuf@$]?[\"'`][^\"'`\n]*[\"'`][ \t]*"
    rb"[+.&|<>\\(),;]{0,2})[ \t\r]*\n?"
)
_NEAR: Final = 80  # bytes around a sign that tell whether it is one
_ANYWHERE: Final = 1  # the offset of a sign that has no place; no expression is that short
_JOINS: Final = rb"(?:\+|\.\.?|&|\|\||<>|\\)"
_PIECE: Final = rb"[0-9A-Za-z_/+=.:@%~!#$&*-]{2}"  # the ends of what is joined; see decode.joined
_LOOKS: Final = {
    "base64": re.compile(rb"[A-Za-z0-9+/_-]{40}"),
    "hex": re.compile(rb"[0-9a-fA-F]{66}"),
    "literals": re.compile(
        _PIECE
        + rb"[\"'`][ \t]{0,40}(?:\\?\r?\n[ \t]{0,80}|"
        + _JOINS
        + rb"[ \t]{0,40}(?:\\?\r?\n[ \t]{0,80})?)"
        rb"(?:" + _JOINS + rb"[ \t]{0,8})?(?:[rbuf]|@|\$)?[\"'`]" + _PIECE
    ),
    "block": re.compile(
        rb"[|>][0-9+-]{0,2}[ \t]*\r?\n[ \t]{1,40}[^\s#]{8,200}[ \t]*\r?\n[ \t]{1,40}[^\s#]{8}"
    ),
}
# What is decoded is text of which at most one byte in twenty cannot be printed, so somewhere in it
# are nine bytes of text one behind the other; or it is gzip or zip. Names and hashes, which are
# nearly all runs in code, have no such place: the first character of four says 0 to 127 with I to Z
# and a to f, and so on (RFC 4648, section 4); of two digits the first is 2 to 7.
_FOUR: Final = rb"[CDI-Za-f][AQgwC-HS-Xi-nyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589]"
_TEXTS: Final = {
    "base64": (
        re.compile(rb"[A-Za-z0-9+/_-]{40,8192}"),
        re.compile(rb"(?:" + _FOUR + rb"[A-Za-z0-9+/_-]){2}" + _FOUR + rb"|H4sI|UEsDB"),
    ),
    "hex": (
        re.compile(rb"[0-9a-fA-F]{66,8192}"),
        re.compile(rb"(?:[2-7][0-9a-fA-F]|0[9aAdD]){12}"),
    ),
}


class Part(NamedTuple):
    """``[start, stop)`` of an object, and what may be encoded there."""

    start: int
    stop: int
    hints: frozenset[str]


class Known(NamedTuple):
    """What is known of the signs in ``[start, stop]``: whether their run may hold text."""

    start: int
    stop: int
    text: bool


def parts(data: bytes, signs: Iterable[tuple[int, str]]) -> Iterator[Part]:
    """Give the parts of ``data`` to decode: around ``signs``, which are (offset, encoding).

    A sign at offset 1 says no more than that there may be one: engines without one pass over all
    expressions give that. The others are to be :func:`likely` ones.
    """
    seen: list[Part] = []
    anywhere: set[str] = set()
    for at, hint in sorted(signs):
        if at <= _ANYWHERE or hint == "kubernetes":
            anywhere.add(hint)
            continue
        low, high = max(0, at - _AROUND), at + _AROUND
        if seen and low <= seen[-1].stop:
            seen[-1] = Part(seen[-1].start, high, seen[-1].hints | {hint})
        else:
            seen.append(Part(low, high, frozenset({hint})))
    if anywhere:
        yield Part(0, len(data), frozenset(anywhere))
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
    before = before.union(hint for at, hint in ordered if at <= _ANYWHERE)
    for start, stop in windows:
        low, high = _back(data, start), _ahead(data, stop)
        first, last = bisect_left(ordered, (low,)), bisect_right(ordered, (high + 2,))
        hints = before.union(hint for _, hint in ordered[first:last])
        hints = frozenset(hint for hint in hints if _is_likely(data, hint, low, high))
        if hints:
            yield Part(low, high, hints)


def likely(data: bytes, signs: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Give those of ``signs`` that do not only look like one to an engine."""
    known: dict[str, Known] = {}
    return [sign for sign in signs if is_sign(data, sign[1], sign[0], known=known)]


def is_sign(data: bytes, hint: str, at: int, *, known: dict[str, Known] | None = None) -> bool:
    """Say whether a sign that an engine saw before ``at`` may be one: 1 to 3 µs.

    Whoever asks for many in order gives the same ``known`` for all of them, empty at first: then
    it takes linear time, as in one run there may be a sign every few bytes.
    """
    if at <= _ANYWHERE:
        return True
    if hint in _TEXTS:
        return _holds_text(data, hint, at, {} if known is None else known)
    looks = _LOOKS.get(hint)
    return looks is None or (
        looks.search(data, max(0, at - _BEFORE[hint][0]), at + 2 * _NEAR) is not None
    )


def _holds_text(data: bytes, hint: str, at: int, known: dict[str, Known]) -> bool:
    """Say whether the run in which there is a sign may hold text."""
    last = known.get(hint)
    if last is not None and last.start <= at <= last.stop:
        return last.text
    runs, text = _TEXTS[hint]
    for back in _BEFORE[hint]:
        run = runs.match(data, max(0, at - back))
        if run is not None and run.end() >= at:
            start, end = run.span()
            answer = text.search(data, start, end) is not None
            # The rest of a run that goes on is for the signs there.
            known[hint] = Known(at, end - _CORE if end - start == _LONGEST else end, answer)
            return answer
    return False


def _is_likely(data: bytes, hint: str, low: int, high: int) -> bool:
    """Look closer than an engine does, whose expressions end with their line."""
    looks = _LOOKS.get(hint)
    if looks is None:
        return True
    if hint not in _TEXTS:
        return looks.search(data, max(0, low), high) is not None
    runs, text = _TEXTS[hint]
    at = max(0, low)
    while (seen := looks.search(data, at, high)) is not None:
        run = runs.match(data, seen.start())
        at = seen.end() if run is None else run.end()
        if text.search(data, seen.start(), at) is not None:
            return True
    return False


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
