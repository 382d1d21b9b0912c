"""Engines: each says where rules may match; :mod:`secretkit.scan.confirm` decides whether they do.

An engine nominates: it gives pairs of a rule's index and an offset at which that rule's anchor, or
a keyword of it, ends. It may nominate too much, never too little, so every engine leads to the same
findings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from secretkit.scan.engine.keyword import KeywordEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.scan.rule import Rule

__all__ = ["Engine", "open_engine"]


class Engine(Protocol):
    """Nominates rules. One thread at a time."""

    @property
    def name(self) -> str:
        """Give what it is built on: ``hyperscan``, ``re2`` or ``re``."""
        ...

    def nominate(self, data: bytes) -> list[tuple[int, int]]:
        """Give (index of a rule, offset) pairs, in any order, with repeats."""
        ...


def open_engine(rules: Sequence[Rule]) -> Engine:
    """Give the fastest engine there is on this machine for ``rules``."""
    return KeywordEngine(rules)
