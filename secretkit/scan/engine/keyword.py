"""The engine of last resort: looks for keywords, with nothing but Python itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.scan.rule import Rule

__all__ = ["KeywordEngine"]


class KeywordEngine:
    """Nominates a rule wherever one of its keywords stands. About 5 MB/s here."""

    name = "re"

    def __init__(self, rules: Sequence[Rule]) -> None:
        indexes: dict[bytes, list[int]] = {}
        for index, rule in enumerate(rules):
            for word in rule.keywords:
                indexes.setdefault(word.encode(), []).append(index)
        self._indexes = tuple(indexes.items())

    def nominate(self, data: bytes) -> list[tuple[int, int]]:
        """Give (index of a rule, end of a keyword) pairs."""
        lowered = data.lower()
        found: list[tuple[int, int]] = []
        for word, indexes in self._indexes:
            at = lowered.find(word)
            while at >= 0:
                found.extend((index, at + len(word)) for index in indexes)
                at = lowered.find(word, at + len(word))
        return found
