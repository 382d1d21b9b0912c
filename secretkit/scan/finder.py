"""Finder: where rules match in text, for those that take secrets out of it rather than report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.scan.confirm import Confirmer
from secretkit.scan.engine.keyword import KeywordEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretkit.scan.confirm import Match
    from secretkit.scan.rule import Rule

__all__ = ["Finder", "Span"]

_CONTINUATION: Final = bytes(range(0x80, 0xC0))  # what stands inside a character in UTF-8
_INNER: Final = frozenset(bytes((byte,)) for byte in _CONTINUATION)


class Span(NamedTuple):
    """Where a rule's secret stands in the text; never the text itself."""

    rule_id: str
    start: int
    end: int


class Finder:
    """Finds secrets in text. Immutable and thread-safe; time is linear in the text.

    A line of 200 characters without a secret takes 16 to 25 µs here with 330 rules. Built on
    :mod:`re` alone: what takes secrets out of a log must not wait for a compiled database.
    """

    __slots__ = ("_confirmer", "_engine", "_rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._engine = KeywordEngine(self._rules)
        self._confirmer = Confirmer(self._rules)

    def find(self, text: str) -> list[Span]:
        """Give everything that is judged a secret, in order of its start."""
        from secretkit.scan.judge import Candidate, judge  # noqa: PLC0415 - it reads word lists

        data = _encoded(text)
        found = [
            one
            for one in self._matches(data)
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
        return self._spans(text, data, found)

    def shapes(self, text: str) -> list[Span]:
        """Give everything that has the shape of a secret, placeholders too, in order of its start.

        For what must not let a secret through, and loses little by taking out an example of one.
        """
        data = _encoded(text)
        found = self._matches(data)
        return self._spans(text, data, found) if found else []

    def _matches(self, data: bytes) -> Sequence[Match]:
        nominated = self._engine.nominate(data)
        return self._confirmer.confirm(data, nominated) if nominated else ()

    def _spans(self, text: str, data: bytes, matches: Sequence[Match]) -> list[Span]:
        if len(data) == len(text):
            return [
                Span(self._rules[one.rule].id, one.secret_start, one.secret_end) for one in matches
            ]
        return list(_in_text(data, matches, self._rules))


def _in_text(data: bytes, matches: Sequence[Match], rules: Sequence[Rule]) -> Iterator[Span]:
    """Turn offsets in UTF-8 into offsets in the text; half a character counts as all of it."""
    for one in matches:
        start = _length(data[: one.secret_start])
        if data[one.secret_start : one.secret_start + 1] in _INNER:
            start -= 1
        yield Span(rules[one.rule].id, start, _length(data[: one.secret_end]))


def _length(data: bytes) -> int:
    return len(data.translate(None, _CONTINUATION))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")
