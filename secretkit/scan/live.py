"""Live: finds the very secrets that a ledger knows, by keyed fingerprint; no value is stored.

A ledger keeps no lengths, so every run of characters that could be a secret is a candidate: 16 to
4096 of them without space or quote, with a digit among them, and its parts between signs such as
``=``, ``:`` and ``@``. What a rule finds is compared too, whatever its length. A password with a
space in it, or a short one that no rule finds, is not found this way.
"""

from __future__ import annotations

import bisect
import re
from typing import TYPE_CHECKING, Final, Protocol

from secretkit.scan.rule import Rule
from secretkit.scan.seen import Seen, covered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from secretkit.scan.finding import Live

__all__ = ["RULE", "KnownSecrets", "LiveSecrets", "with_live"]

RULE: Final = Rule(
    id="live-credential",
    issuer="secretkit",
    description="A secret that this ledger has handed out",
    pattern="",
    anchor="",
    keywords=(),
    severity="critical",
    confidence="high",
)
_BREAKS: Final = bytes(range(33)) + b"\"'`<>"  # space, controls, quotes and tags end a run
_SPACED: Final = bytes.maketrans(_BREAKS, b" " * len(_BREAKS))
_SHORTEST_RUN: Final = 16
_DIGIT: Final = re.compile(rb"[0-9]")
_PART: Final = re.compile(rb"[^=:,;@&?()\[\]{}|\\$#]+={0,2}")  # base64 ends in =
_SHORTEST: Final = 12
_MOST_PARTS: Final = 8  # then each part is tried alone, and not what several make together
_LONGEST: Final = 4096
_MOST_STRANGE: Final = 1 << 18


class LiveSecrets(Protocol):
    """The secrets that a broker has handed out, known by fingerprint."""

    def named(self, value: bytes) -> Live | None:
        """Give which of them ``value`` is, or None."""
        ...

    def spans(self, data: bytes) -> Sequence[tuple[int, int, Live]]:
        """Give where in ``data`` one of them stands, and which it is."""
        ...


class KnownSecrets:
    """Secrets known by fingerprint. Keeps no value; thread-safe if ``fingerprint`` is.

    ``fingerprint`` gives the digest of a value, ``known`` what each digest is. It reads 60 MB/s of
    source code here, on a busy machine.
    """

    def __init__(self, known: Mapping[str, Live], *, fingerprint: Callable[[bytes], str]) -> None:
        self._known = dict(known)
        self._fingerprint = fingerprint
        self._strange: set[int] = set()  # hashes of runs that hold none of ours

    def named(self, value: bytes) -> Live | None:
        """Give what ``value`` is, or None."""
        return self._known.get(self._fingerprint(value)) if len(value) <= _LONGEST else None

    def spans(self, data: bytes) -> Sequence[tuple[int, int, Live]]:
        """Give where in ``data`` one of them stands, and which it is, in order."""
        ours: dict[bytes, Live] = {}
        for run in _runs(data):
            known = hash(run)
            if known not in self._strange:
                found = self._looked_up(run)
                ours |= found
                if not found and len(self._strange) < _MOST_STRANGE:
                    self._strange.add(known)
        places = [
            (at, at + len(value), live) for value, live in ours.items() for at in _at(data, value)
        ]
        return sorted(places, key=lambda place: place[:2])

    def _looked_up(self, run: bytes) -> dict[bytes, Live]:
        parts = {run[start:end] for start, end in _candidates(run)}
        return {part: live for part in parts if (live := self.named(part)) is not None}


def _runs(data: bytes) -> set[bytes]:
    """Give the runs that could be a secret, each once.

    Digits are the rarest thing that they all have, so those are looked for: in source code that
    is twice as fast as a pattern for the runs themselves.
    """
    spaced, runs, at = data.translate(_SPACED), set[bytes](), 0
    while digit := _DIGIT.search(spaced, at):
        start = spaced.rfind(b" ", at, digit.start()) + 1 or at
        end = spaced.find(b" ", digit.end())
        at = len(data) if end < 0 else end
        if _SHORTEST_RUN <= at - start <= _LONGEST:
            runs.add(data[start:at])
    return runs


def _at(data: bytes, value: bytes) -> Iterator[int]:
    at = data.find(value)
    while at >= 0:
        yield at
        at = data.find(value, at + len(value))


def _candidates(run: bytes) -> Iterator[tuple[int, int]]:
    """Give a run, and what stands between its signs."""
    end = len(run)
    yield 0, end
    yield 0, len(run.rstrip(b".,;:!"))  # the end of a sentence
    parts = [part.span() for part in _PART.finditer(run)]
    few = len(parts) <= _MOST_PARTS
    for number, (first, _) in enumerate(parts):
        ends = [last for _, last in parts[number:]] if few else [parts[number][1]]
        for last in (*ends, *([end] if few else [])):
            if last - first >= _SHORTEST:
                yield first, last


def with_live(found: Sequence[Seen], data: bytes, *, live: LiveSecrets) -> list[Seen]:
    """Give ``found`` and what ``live`` knows in ``data``; that, where both stand in one place."""
    ours: dict[tuple[int, int], Live] = {}
    for one in found:
        known = live.named(data[one.start : one.end])
        if known is not None:
            ours[one.start, one.end] = known
    spans = sorted(ours)
    for start, end, which in live.spans(data):
        if not covered((start, end), spans):
            ours[start, end] = which
            bisect.insort(spans, (start, end))
    rest = [one for one in found if not covered((one.start, one.end), spans)]
    named = [Seen(RULE, RULE.confidence, *span, known) for span, known in ours.items()]
    return sorted([*rest, *named], key=lambda one: one.start)
