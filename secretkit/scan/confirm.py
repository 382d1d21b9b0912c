"""Confirm: decides with :mod:`re` whether a nominated rule matches, and exactly where.

The answer depends on the data and the rule only, never on the engine: data is cut into cores at
newlines and at absolute multiples of 4 KiB, a rule is run from the start of a core, and only the
matches that start inside the core count.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretkit.scan.rule import Rule

__all__ = ["CORE", "Confirmer", "Match"]

CORE: Final = 4096


class Match(NamedTuple):
    """Where one rule matches, in bytes: the whole match, and the secret in it."""

    rule: int
    start: int
    end: int
    secret_start: int
    secret_end: int


class Confirmer:
    """Runs the patterns of rules on the cores that an engine nominated. Thread-safe.

    A pattern is compiled when it is first nominated: 0.3 to 1 ms each.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._compiled: dict[int, tuple[re.Pattern[bytes], str | int, int]] = {}

    def confirm(self, data: bytes, nominated: Iterable[tuple[int, int]]) -> list[Match]:
        """Give the matches of the nominated rules, in order of their start."""
        cores = {(rule, *core) for rule, end in nominated for core in _cores(data, max(end - 1, 0))}
        found: list[Match] = []
        for rule, start, stop in sorted(cores):
            found.extend(self._matches(data, rule, start=start, stop=stop))
        return _without_overlaps(found)

    def _matches(self, data: bytes, rule: int, *, start: int, stop: int) -> Iterator[Match]:
        pattern, group, reach = self._compiled.get(rule) or self._compile(rule)
        # The line may go on into the next core; only a rule with a reach sees more than the line.
        newline = data.find(b"\n", stop, stop + CORE)
        limit = reach + (newline if newline >= 0 else stop + CORE)
        for match in pattern.finditer(data, start, limit):
            if match.start() >= stop:
                break
            yield Match(rule, *match.span(), *match.span(group))

    def _compile(self, rule: int) -> tuple[re.Pattern[bytes], str | int, int]:
        one = self._rules[rule]
        pattern = re.compile(one.pattern.encode("ascii"))
        group = "secret" if "secret" in pattern.groupindex else 0
        self._compiled[rule] = pattern, group, one.reach
        return self._compiled[rule]


def _cores(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Give the core that holds ``at``, and the one before it in the same line, if there is one."""
    low = at - at % CORE
    start = data.rfind(b"\n", low, at) + 1 or low
    stop = data.find(b"\n", at, low + CORE)
    yield start, stop if stop >= 0 else min(low + CORE, len(data))
    if start == low and low and data[low - 1 : low] != b"\n":
        earlier = low - CORE
        yield data.rfind(b"\n", earlier, low) + 1 or earlier, low


def _without_overlaps(found: list[Match]) -> list[Match]:
    """Drop a match that begins inside an earlier one of the same rule: the tail of that token."""
    kept: list[Match] = []
    ends: dict[int, int] = {}
    for match in sorted(found, key=lambda one: (one.start, one.rule)):
        if match.start >= ends.get(match.rule, 0):
            kept.append(match)
            ends[match.rule] = match.end
    return kept
