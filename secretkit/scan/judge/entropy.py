"""Entropy: how random the characters of a value are, by the alphabet they come from."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from secretkit.scan.judge.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["periodic", "sequential", "shannon", "stuck", "uneven"]

_CHAINED: Final = 4  # characters in a row, each one above or below the one before
# Steps of one up or down in a row; the step behind them leads out of the chain, into no other.
_CHAIN: Final = pattern(rb"(?s)(\x01{%d,}|\xff{%d,}).?" % (_CHAINED - 1, _CHAINED - 1))
_SAME: Final = pattern(r"(?s)(.)\1+")
_KEYBOARD: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc")
_PERIODS: Final = 16
_PART: Final = pattern("[._:%-]")
_PARTED: Final = 4
_SPREAD: Final = 0.5
_HEX: Final = pattern("[0-9a-f]+|[0-9A-F]+")


def shannon(text: str | bytes) -> float:
    """Give the Shannon entropy of the characters of ``text``, in bits a character."""
    size = len(text)
    counts: Sequence[int] = [text.count(one) for one in set(text)]  # type: ignore[arg-type]
    return -sum(count / size * math.log2(count / size) for count in counts) if size else 0.0


def uneven(text: str) -> bool:
    """Say whether ``text`` holds too few different characters to be drawn at random.

    Of ``n`` characters drawn from an alphabet of ``a`` about ``a (1 - (1 - 1/a)^n)`` are distinct;
    half of that happens to about one random text in 10,000. Signs split the text: what counts is
    its hexadecimal parts if they are most of it, or else the longest part.
    """
    parts = _PART.split(text)
    digits = "".join(part for part in parts if _HEX.fullmatch(part))
    text = digits if 2 * len(digits) >= len(text) else max(parts, key=len)
    size = len(text)
    if size < _PARTED:
        return False
    alphabet = _alphabet(text)
    return len(set(text)) < _SPREAD * alphabet * (1 - (1 - 1 / alphabet) ** size)


def _alphabet(text: str) -> int:
    if text.isdigit():
        return 10
    if _HEX.fullmatch(text):
        return 16
    return 36 if text.islower() or text.isupper() else 62


def stuck(text: str) -> int:
    """Give the length of the longest run of one character."""
    longest = max((len(run[0]) for run in _SAME.finditer(text)), default=0)
    return longest or min(1, len(text))


def sequential(text: str) -> float:
    """Give the share of ``text`` that counts up or down, or follows a row of the keyboard."""
    codes = text.lower()
    size = len(codes)
    values = codes.encode("latin-1", "replace")
    steps = bytes([(after - before) & 0xFF for before, after in pairwise(values)])
    total = sum(len(chain[1]) + 1 for chain in _CHAIN.finditer(steps))
    for row in _KEYBOARD:
        for length in range(len(row), _CHAINED - 1, -1):
            if row[:length] in codes:
                total += length
                break
    return min(1.0, total / size) if size else 0.0


def periodic(text: str) -> bool:
    """Say whether the later part of ``text`` repeats itself, with a period of at most 16."""
    tail = text[len(text) // 4 :]
    size = len(tail)
    return any(tail[period:] == tail[:-period] for period in range(1, min(_PERIODS, size // 2) + 1))
