"""Redacted: the line around a finding with every secret in it masked, and where it stands."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Lines", "masked", "redacted"]

_AROUND: Final = 60
_PREFIX: Final = 4
_SHORT: Final = 3
_NEAR: Final = 64  # secrets before and after a finding that are looked for in its line
_LONG: Final = 24  # four characters of anything shorter would give too much away
_MASK: Final = "…"
_FURTHEST: Final = 1 << 12


class Lines:
    """Gives lines and columns in ``data``; places asked for in order cost one pass in all."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._line = 1

    def place(self, start: int, end: int) -> tuple[int, int, int]:
        """Give line, column and end column of ``data[start:end]``.

        All count from 1, columns in code points. The end column is on the line of the start: of a
        secret over several lines it is the end of the first.
        """
        data = self._data
        if start < self._at:
            self._at, self._line = 0, 1
        self._line += data.count(b"\n", self._at, start)
        self._at = start
        begin = data.rfind(b"\n", 0, start) + 1
        stop = data.find(b"\n", start, end)
        column = _length(data[begin:start]) + 1
        return self._line, column, column + _length(data[start : _stop(stop, end)])


def _stop(newline: int, end: int) -> int:
    return newline if newline >= 0 else end


def _length(text: bytes) -> int:
    return len(text.decode("utf-8", errors="replace"))


def masked(path: str, value: bytes) -> str:
    """Give ``path`` without ``value``: a file may be named after what it holds."""
    text = value.decode("utf-8", errors="surrogateescape")
    return path.replace(text, _MASK) if len(text) >= _SHORT and text in path else path


def redacted(data: bytes, at: int, spans: Sequence[tuple[int, int]]) -> str:
    """Give at most 60 bytes either side of ``at`` in its line, each of ``spans`` masked.

    ``spans`` are in order. What stands at the 64 next ones is masked wherever else it is repeated.
    Of a secret of 24 bytes or more the first four characters are shown, at its own place only.
    The text is safe to print: what is not printable is replaced by ``?``.
    """
    low = max(data.rfind(b"\n", max(0, at - _FURTHEST), at) + 1, at - _AROUND, 0)
    ends = [end for start, end in spans if start <= at < end]
    reach = max(ends, default=at)
    stop = data.find(b"\n", at, reach + _AROUND)
    high = stop if stop >= 0 else min(reach + _AROUND, len(data))
    middle = bisect.bisect_left(spans, (at,))
    near = spans[max(0, middle - _NEAR) : middle + _NEAR]
    own = set(near)
    shown: list[str] = []
    for start, end in sorted(own.union(_repeated(data, low, high, near))):
        if end > low and start < high:
            whole = (start, end) in own and start >= low and end - start >= _LONG
            shown.append(_printable(data[low:start]) if start > low else "")
            shown.append(_printable(data[start : start + _PREFIX]) if whole else "")
            shown.append(_MASK)
            low = max(low, end)
    return "".join((*shown, _printable(data[low:high]) if low < high else "")).strip()


def _repeated(
    data: bytes, low: int, high: int, spans: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Give where in the window, or across its ends, the bytes of one of ``spans`` stand again."""
    for value in {data[start:end] for start, end in spans if end - start >= _SHORT}:
        at, last = max(0, low - len(value) + 1), high + len(value) - 1
        while (at := data.find(value, at, last)) >= 0:
            yield at, at + len(value)
            at += 1


def _printable(text: bytes) -> str:
    decoded = text.decode("utf-8", errors="replace").replace("\ufffd", "?").replace("\t", " ")
    return "".join(char if char.isprintable() else "?" for char in decoded)
