"""Judge: says whether a confirmed match is a secret, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.scan import checksum
from secretkit.scan.judge import body, context, entropy, generic
from secretkit.scan.judge.placeholder import placeholder

if TYPE_CHECKING:
    from secretkit.scan.rule import Rule

__all__ = ["Candidate", "judge"]

_MOST: Final = 4096


class Candidate(NamedTuple):
    """A confirmed match where it stands. Offsets are in bytes of ``data``.

    ``least`` is the confidence below which no answer is asked for: many are then told sooner.
    """

    rule: Rule
    data: bytes
    start: int
    end: int
    secret_start: int
    secret_end: int
    path: str
    least: str = "low"


def judge(candidate: Candidate) -> str | None:
    """Give the confidence (low, medium, high) that this is a secret, or None if it is none.

    One that is less than ``candidate.least`` may be given or be None.

    Pure, and linear in the length of the line around the match, of which at most 240 bytes before
    and 80 behind are read, and of the value, of which at most 4 KiB are.
    """
    rule = candidate.rule
    end = min(candidate.secret_end, candidate.secret_start + _MOST)
    value = candidate.data[candidate.secret_start : end].decode("latin-1")
    known = body.JUDGES.get(rule.issuer)
    if known is not None:
        return known(candidate, value)
    if rule.issuer == "generic":
        return generic.judge(candidate, value)
    if placeholder(value) or (rule.entropy and entropy.shannon(value) < rule.entropy):
        return None
    if rule.judged == "value":
        return generic.near(candidate, value)
    return _by_shape(candidate, value)


def _by_shape(candidate: Candidate, value: str) -> str:
    """Where the form of a value says all: how sure that is."""
    rule = candidate.rule
    if rule.issuer == "jwk" and context.specimen(candidate.path):
        return "low"
    if rule.checksum:
        holds = checksum.holds(rule.checksum, value.encode("latin-1"))
        return rule.confidence if holds else "medium"
    return rule.confidence
