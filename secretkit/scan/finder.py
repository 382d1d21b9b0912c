"""Finder: where rules match in text, for those that take secrets out of it rather than report."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretkit.scan.confirm import Confirmer
from secretkit.scan.engine.keyword import KeywordEngine
from secretkit.scan.judge import Candidate, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.scan.rule import Rule

__all__ = ["Finder", "Span"]


class Span(NamedTuple):
    """Where a rule's secret stands in the text; never the text itself."""

    rule_id: str
    start: int
    end: int


class Finder:
    """Finds secrets in text. Immutable and thread-safe; time is linear in the text."""

    __slots__ = ("_confirmer", "_engine", "_rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._engine = KeywordEngine(self._rules)
        self._confirmer = Confirmer(self._rules)

    def find(self, text: str) -> list[Span]:
        """Give every secret, in order of its start."""
        if not text:
            return []
        data = text.encode("utf-8", errors="surrogatepass")
        nominated = self._engine.nominate(data)
        if not nominated:
            return []
        places = None if len(data) == len(text) else data
        return [
            Span(
                self._rules[one.rule].id, _at(places, one.secret_start), _at(places, one.secret_end)
            )
            for one in self._confirmer.confirm(data, nominated)
            if judge(
                Candidate(
                    rule=self._rules[one.rule],
                    data=data,
                    start=one.start,
                    end=one.end,
                    secret_start=one.secret_start,
                    secret_end=one.secret_end,
                    path="",
                )
            )
        ]


def _at(data: bytes | None, offset: int) -> int:
    """Turn an offset in UTF-8 into one in the text; None says that they are the same."""
    return offset if data is None else len(data[:offset].decode("utf-8", errors="surrogatepass"))
