"""The engine of last resort: looks for keywords, with nothing but Python itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretkit.scan.rule import Rule

__all__ = ["KeywordEngine"]


class KeywordEngine:
    """Nominates a rule wherever one of its keywords stands. Immutable and thread-safe.

    All keywords are looked for at once: 8 MB/s here with 1,700 of them, 18 µs for a line of 200
    bytes with 400, and 8 ms for these to be made ready.
    """

    name = "re"

    def __init__(self, rules: Sequence[Rule]) -> None:
        indexes: dict[bytes, list[int]] = {}
        # Encoded text has no keyword: it may be anywhere.
        self._always = [(index, 1) for index, rule in enumerate(rules) if rule.judged == "hint"]
        for index, rule in enumerate(rules):
            for word in rule.keywords:
                indexes.setdefault(word.encode(), []).append(index)
        # Where the shortest keyword stands, those that it begins are looked for one by one.
        self._starting: dict[bytes, list[tuple[bytes, tuple[int, ...]]]] = {}
        for whole, owners in indexes.items():
            starts = (whole[:end] for end in range(1, len(whole) + 1))
            shortest = next(start for start in starts if start in indexes)
            self._starting.setdefault(shortest, []).append((whole, tuple(owners)))
        self._search = re.compile(_either(self._starting)).search if indexes else None

    def nominate(self, data: bytes | bytearray | memoryview) -> list[tuple[int, int]]:
        """Give (index of a rule, end of a keyword) pairs."""
        found = [*self._always] if data else []
        if self._search is None:
            return found
        search, lowered = self._search, bytes(data).lower()
        match = search(lowered)
        while match:
            at = match.start()
            for word, indexes in self._starting[match[0]]:
                if lowered.startswith(word, at):
                    end = at + len(word)
                    found.extend([(index, end) for index in indexes])
            match = search(lowered, at + 1)
        return found


def _either(words: Iterable[bytes]) -> bytes:
    """Give an expression for any of ``words``, none of which begins another.

    Written as a tree, so that :mod:`re` turns away at the first byte that fits none.
    """
    tree: dict[int, Any] = {}
    for word in words:
        branch = tree
        for byte in word:
            branch = branch.setdefault(byte, {})
    return _branch(tree)


def _branch(tree: dict[int, Any]) -> bytes:
    rests: dict[bytes, list[int]] = {}
    for byte, branch in sorted(tree.items()):
        rests.setdefault(_branch(branch), []).append(byte)
    ways = [_one(bytes_) + rest for rest, bytes_ in rests.items()]
    return b"".join(ways) if len(ways) < 2 else b"(?:" + b"|".join(ways) + b")"  # noqa: PLR2004


def _one(choice: list[int]) -> bytes:
    shown = b"".join(re.escape(bytes((byte,))) for byte in choice)
    return shown if len(choice) == 1 else b"[" + shown + b"]"
