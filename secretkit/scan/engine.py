"""Engine: runs rules over text and says where they match."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretkit.scan.rule import Rule

__all__ = ["Engine", "Match"]

_WINDOW: Final = 1 << 20
_OVERLAP: Final = 1 << 15  # longer than the longest match of any built-in rule


class Match(NamedTuple):
    """Where a rule's secret stands in the text; never the text itself."""

    rule_id: str
    start: int
    end: int


class Engine:
    """Finds what rules describe. Immutable and thread-safe; time is linear in the text.

    A rule's pattern runs only where one of its keywords is present, which a text without secrets
    usually lacks. Text longer than 1 Mi characters is read in overlapping windows.
    """

    __slots__ = ("_searches",)

    def __init__(self, rules: Iterable[Rule]) -> None:
        compiled = [(rule, re.compile(rule.pattern)) for rule in rules]
        self._searches = tuple(
            (keyword, rule.id, pattern) for rule, pattern in compiled for keyword in rule.keywords
        )

    def find(self, text: str) -> list[Match]:
        """Give every match, in order of its start."""
        if len(text) <= _WINDOW:
            return sorted(self._window(text), key=_place) if text else []
        found = {
            Match(match.rule_id, match.start + at, match.end + at)
            for at in range(0, len(text), _WINDOW - _OVERLAP)
            for match in self._window(text[at : at + _WINDOW])
        }
        return sorted(found, key=_place)

    def _window(self, text: str) -> Iterator[Match]:
        done: set[str] = set()
        for keyword, rule_id, pattern in self._searches:
            if keyword in text and rule_id not in done:
                done.add(rule_id)
                group = "secret" if "secret" in pattern.groupindex else 0
                for match in pattern.finditer(text):
                    yield Match(rule_id, *match.span(group))


def _place(match: Match) -> tuple[int, int, str]:
    return match.start, -match.end, match.rule_id
