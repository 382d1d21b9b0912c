"""Judge: says whether a confirmed match is a secret, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.core.record import record

if TYPE_CHECKING:
    from secretkit.scan.rule import Rule

__all__ = ["Candidate", "judge"]


@record(kw_only=True)
class Candidate:
    """A confirmed match where it stands. Offsets are in bytes of ``data``."""

    rule: Rule
    data: bytes
    start: int
    end: int
    secret_start: int
    secret_end: int
    path: str


def judge(candidate: Candidate) -> str | None:
    """Give the confidence (low, medium, high) that this is a secret, or None if it is none.

    Pure, and linear in the length of the line around the match.
    """
    return candidate.rule.confidence
