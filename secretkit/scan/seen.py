"""Seen: what is judged a secret in some bytes, and telling apart what stands in one place."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, NamedTuple

from secretkit.scan.deadline import DeadlineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.scan.finding import Live
    from secretkit.scan.rule import Rule

__all__ = ["PartialError", "Seen", "covered", "distinct"]


class Seen(NamedTuple):
    """A secret: the rule, how sure it is, and where it stands, in bytes."""

    rule: Rule
    confidence: str
    start: int
    end: int
    live: Live | None = None


class PartialError(DeadlineError):
    """Not everything was judged; ``seen`` is what was."""

    def __init__(self, reason: str, *, seen: list[Seen]) -> None:
        super().__init__(reason)
        self.seen = seen


def covered(span: tuple[int, int], spans: Sequence[tuple[int, int]]) -> bool:
    """Say whether ``span`` touches one of ``spans``, which are in order and apart."""
    place = bisect.bisect_left(spans, (span[1], 0))
    return place > 0 and spans[place - 1][1] > span[0]


def distinct(found: list[Seen]) -> list[Seen]:
    """Keep one finding a place: a rule that knows the format before one that judges the value."""
    levels = ("high", "medium", "low")
    found.sort(
        key=lambda one: (one.rule.judged == "value", levels.index(one.confidence), one.start)
    )
    kept: list[Seen] = []
    spans: list[tuple[int, int]] = []
    for one in found:
        if not covered((one.start, one.end), spans):
            kept.append(one)
            bisect.insort(spans, (one.start, one.end))
    return sorted(kept, key=lambda one: one.start)
