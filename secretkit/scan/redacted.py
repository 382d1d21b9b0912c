"""Redacted: the line around a finding with every secret in it masked, and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["place", "redacted"]

_AROUND: Final = 60
_PREFIX: Final = 4
_LONG: Final = 24  # four characters of anything shorter would give too much away
_MASK: Final = "…"
_FURTHEST: Final = 1 << 12


def place(data: bytes, start: int, end: int) -> tuple[int, int, int]:
    """Give line, column and end column of ``data[start:end]``.

    All count from 1, columns in code points. The end column is on the line of the start: of a
    secret over several lines it is the end of the first. Linear in the length of the data before.
    """
    begin = data.rfind(b"\n", 0, start) + 1
    stop = data.find(b"\n", start, end)
    column = _length(data[begin:start]) + 1
    return data.count(b"\n", 0, start) + 1, column, column + _length(data[start : _stop(stop, end)])


def _stop(newline: int, end: int) -> int:
    return newline if newline >= 0 else end


def _length(text: bytes) -> int:
    return len(text.decode("utf-8", errors="replace"))


def redacted(data: bytes, at: int, spans: Sequence[tuple[int, int]]) -> str:
    """Give at most 60 bytes either side of ``at`` in its line, each of ``spans`` masked.

    ``spans`` are in order. Of a secret of 24 bytes or more the first four characters are shown.
    The text is safe to print: what is not printable ASCII is replaced by ``?``.
    """
    low = max(data.rfind(b"\n", max(0, at - _FURTHEST), at) + 1, at - _AROUND, 0)
    ends = [end for start, end in spans if start <= at < end]
    reach = max(ends, default=at)
    stop = data.find(b"\n", at, reach + _AROUND)
    high = stop if stop >= 0 else min(reach + _AROUND, len(data))
    shown: list[str] = []
    for start, end in spans:
        if end > low and start < high:
            whole = start >= low and end - start >= _LONG
            shown.append(_printable(data[low:start]) if start > low else "")
            shown.append(_printable(data[start : start + _PREFIX]) if whole else "")
            shown.append(_MASK)
            low = max(low, end)
    return "".join((*shown, _printable(data[low:high]) if low < high else "")).strip()


def _printable(text: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in text)  # noqa: PLR2004 - ASCII
