"""Difference: where two versions of a text differ, in a few comparisons of large parts.

Imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["changed"]

_STEP = 4096


def changed(data: bytes, before: bytes) -> tuple[int, int]:
    """Give the part of ``data``, in whole lines, before and behind which it is like ``before``."""
    shorter = min(len(data), len(before))
    head = _same(shorter, lambda low, high: data[low:high] == before[low:high])
    low = data.rfind(b"\n", 0, head) + 1
    ends, others = len(data), len(before)
    tail = _same(
        shorter - low,
        lambda low, high: data[ends - high : ends - low] == before[others - high : others - low],
    )
    newline = data.find(b"\n", ends - tail)
    if not before or newline < 0:
        return low, ends
    return low, max(low, newline + 1)


def _same(most: int, equal: Callable[[int, int], bool]) -> int:
    """Give how many bytes are the same, at most ``most``."""
    low = 0
    while low < most:
        high = min(most, max(2 * low, low + _STEP))
        if equal(low, high):
            low = high
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if equal(low, middle):
                low = middle
            else:
                high = middle
        break
    return low
