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
_RUN: Final = re.compile(rb"(?<![^\s\"'`<>\x00])[^\s\"'`<>\x00]{16,4096}(?![^\s\"'`<>\x00])")
_DIGIT: Final = re.compile(rb"[0-9]")
_PART: Final = re.compile(rb"[^=:,;@&?()\[\]{}|\\$#]+={0,2}")  # base64 ends in =
_SHORTEST: Final = 12
_MOST_PARTS: Final = 8  # then each part is tried alone, and not what several make together
_LONGEST: Final = 4096


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

    ``fingerprint`` gives the digest of a value, ``known`` what each digest is. The sweep reads 50
    to 100 MB/s of source code here, and costs 2 µs for each candidate.
    """

    def __init__(self, known: Mapping[str, Live], *, fingerprint: Callable[[bytes], str]) -> None:
        self._known = dict(known)
        self._fingerprint = fingerprint

    def named(self, value: bytes) -> Live | None:
        """Give what ``value`` is, or None."""
        return self._known.get(self._fingerprint(value)) if len(value) <= _LONGEST else None

    def spans(self, data: bytes) -> Sequence[tuple[int, int, Live]]:
        """Give where in ``data`` one of them stands, and which it is, in order."""
        found: list[tuple[int, int, Live]] = []
        seen: dict[bytes, Live | None] = {}
        for run in _RUN.finditer(data):
            if _DIGIT.search(data, run.start(), run.end()) is None:
                continue
            for start, end in dict.fromkeys(_candidates(data, *run.span())):
                value = data[start:end]
                if value not in seen:
                    seen[value] = self.named(value)
                live = seen[value]
                if live is not None:
                    found.append((start, end, live))
        return found


def _candidates(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Give a run, then what stands between its signs, the longest first from each place."""
    yield start, end
    plain = start + len(data[start:end].rstrip(b".,;:!"))
    if plain < end:
        yield start, plain  # the end of a sentence
    parts = [part.span() for part in _PART.finditer(data, start, end)]
    few = len(parts) <= _MOST_PARTS
    for number, (first, _) in enumerate(parts):
        ends = [last for _, last in parts[number:]] if few else [parts[number][1]]
        for last in (*([end] if few else []), *reversed(ends)):
            if last - first >= _SHORTEST and (first, last) != (start, end):
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
