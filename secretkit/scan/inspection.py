"""Inspection: one scan of one thing and of all that is packed or encoded in it."""

from __future__ import annotations

import bisect
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from secretkit.scan import allow
from secretkit.scan.decode import Budget, Nested, encoded, is_archive, nested
from secretkit.scan.finding import Finding, Skipped
from secretkit.scan.nesting import parts
from secretkit.scan.redacted import Lines, masked, redacted
from secretkit.scan.result import WHOLE, Window
from secretkit.scan.seen import PartialError, Seen, covered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretkit.scan.fingerprint import Fingerprinter

__all__ = ["Acceptance", "EnoughError", "Inspection"]

_DEEPEST: Final = 4
_MOST: Final = 500  # findings in one thing: each costs a line count and a slow fingerprint


class Acceptance(Protocol):
    """Findings that somebody has accepted: a baseline."""

    def accepts(self, path: str, fingerprints: Sequence[str]) -> str:
        """Give the fingerprint of these that is accepted at ``path``, or nothing."""
        ...


class _Scanner(Protocol):
    """What an inspection asks of the scanner it belongs to."""

    fingerprints: Fingerprinter
    acceptance: Acceptance | None

    def nominate(self, data: bytes) -> list[tuple[int, int]]: ...

    def likely(self, data: bytes, nominated: list[tuple[int, int]]) -> list[tuple[int, int]]: ...

    def looked(
        self, data: bytes, *, path: str, nominated: Sequence[tuple[int, int]]
    ) -> list[Seen]: ...

    def signs(self, nominated: Iterable[tuple[int, int]]) -> list[tuple[int, str]]: ...


class EnoughError(Exception):
    """There are more findings in one thing than anybody reads."""


class _At(NamedTuple):
    """Where findings are reported: in which bytes, which of them are secret, and what they are.

    ``known`` are the findings, by rule and fingerprint, of what this is packed in: the same secret
    seen again in a decoded form of the same text is not another one.
    """

    data: bytes
    path: str
    spans: Sequence[tuple[int, int]]
    window: Window
    known: frozenset[tuple[str, str]]
    depth: int
    lines: Lines


class Inspection:
    """One scan of one thing and of all that is packed in it."""

    def __init__(self, scanner: _Scanner, *, commit: str | None) -> None:
        self._scanner = scanner
        self._budget = Budget()
        self._commit = commit
        self.findings: list[Finding] = []
        self.skipped: list[Skipped] = []
        self.accepted: list[Finding] = []

    def look(
        self,
        data: bytes,
        *,
        path: str,
        window: Window = WHOLE,
        nominated: Sequence[tuple[int, int]] | None = None,
        outer: _At | None = None,
    ) -> None:
        """Note what is found in ``data``, and in what it is packed with or encodes."""
        scanner = self._scanner
        if nominated is None:
            nominated = scanner.likely(data, scanner.nominate(data))
        problem: PartialError | None = None
        try:
            seen = scanner.looked(data, path=path, nominated=nominated)
        except PartialError as error:
            seen, problem = error.seen, error
        spans = [(one.start, one.end) for one in seen]
        known = frozenset[tuple[str, str]]() if outer is None else outer.known
        depth = 0 if outer is None else outer.depth + 1
        at = _At(data, path, spans, window, known, depth, Lines(data))
        signs = scanner.signs(nominated)
        if is_archive(data):  # what is not compressed in it shows from outside, but has a name
            known |= self._unpack(at, signs)
        known |= {
            self._report(data[one.start : one.end], one, at._replace(known=known))
            for one in seen
            if window.start <= one.start < window.stop
        }
        if problem is not None:
            raise problem
        if not is_archive(data):
            self._unpack(at._replace(known=known), signs)

    def _unpack(self, at: _At, signs: Sequence[tuple[int, str]]) -> set[tuple[str, str]]:
        """Look into what is packed and encoded here, and give by what its findings are known."""
        if at.depth == _DEEPEST:
            self._too_deep(at.data, at.path)
            return set()
        before = len(self.findings), len(self.accepted)
        for inner in self._nested(at.data, path=at.path, signs=signs, window=at.window):
            if inner.span is None:
                self.look(inner.data, path=f"{at.path}{inner.name}", outer=at)
            elif at.window.start <= inner.span[0] < at.window.stop and not covered(
                inner.span, at.spans
            ):
                self._inside(inner.data, inner.span, at, depth=at.depth + 1)
        fresh = [*self.findings[before[0] :], *self.accepted[before[1] :]]
        return {(one.rule, one.fingerprint) for one in fresh}

    def _nested(
        self,
        data: bytes,
        *,
        path: str,
        signs: Sequence[tuple[int, str]],
        window: Window = WHOLE,
    ) -> Iterator[Nested]:
        """Give what ``data`` is packed with, and what is encoded around the signs in it.

        A window of a file is no archive: it is the beginning of one, or a part.
        """
        spend: dict[str, Any] = {"path": path, "budget": self._budget, "skipped": self.skipped}
        if window == WHOLE:
            yield from nested(data, hints=frozenset(), **spend)
        given: set[tuple[int, int, bytes]] = set()  # parts may overlap
        for start, stop, hints in parts(data, signs):
            for inner in encoded(data[start:stop], hints=hints, **spend):
                low, high = inner.span or (0, 0)
                place = low + start, high + start, inner.data
                if place not in given:
                    given.add(place)
                    yield Nested(data=inner.data, span=place[:2])

    def _inside(self, data: bytes, span: tuple[int, int], at: _At, *, depth: int) -> None:
        """Look into what was encoded at ``span``, and report it there, once."""
        scanner = self._scanner
        nominated = scanner.likely(data, scanner.nominate(data))
        for one in scanner.looked(data, path=at.path, nominated=nominated):
            shown = one._replace(start=span[0], end=span[1])
            spans = sorted([*at.spans, span])
            self._report(data[one.start : one.end], shown, at._replace(spans=spans))
            return
        if depth == _DEEPEST:
            self._too_deep(data, at.path)
            return
        for inner in self._nested(data, path=at.path, signs=scanner.signs(nominated)):
            self._inside(inner.data, span, at, depth=depth + 1)

    def _too_deep(self, data: bytes, path: str) -> None:
        if is_archive(data):
            reason = f"is packed more than {_DEEPEST} times: not unpacked further"
            self.skipped.append(Skipped(path=path, reason=reason))

    def _report(self, value: bytes, one: Seen, at: _At) -> tuple[str, str]:
        """Note a finding, unless it is known, and give what it is known by."""
        at = at._replace(path=masked(at.path, value))
        data, path = at.data, at.path
        if len(self.findings) + len(self.accepted) >= _MOST:
            raise EnoughError(f"holds more than {_MOST} findings: the rest is not listed")
        fingerprints = self._scanner.fingerprints.of(value)
        same = one.rule.id, fingerprints[0]
        if same in at.known:
            return same
        accepted, known = self._accepted(one, at, fingerprints)
        line, column, end_column = at.lines.place(one.start, one.end)
        shift = at.window.before if line == 1 else 0
        (self.accepted if accepted else self.findings).append(
            Finding(
                rule=one.rule.id,
                severity=one.rule.severity,
                confidence=one.confidence,
                path=path,
                line=line + at.window.line - 1,
                column=column + shift,
                end_column=end_column + shift,
                commit=self._commit,
                fingerprint=known,
                redacted=redacted(data, one.start, _near(at.spans, one.start)),
                description=one.rule.description,
                advice=one.rule.advice,
                live=one.live,
                accepted=accepted,
            )
        )
        return same

    def _accepted(self, one: Seen, at: _At, fingerprints: Sequence[str]) -> tuple[str, str]:
        """Say what accepts this, if anything does, and under which fingerprint it is known.

        A value that is in use can be accepted by nobody.
        """
        acceptance = self._scanner.acceptance
        if one.live is not None:
            return "", fingerprints[0]
        if acceptance is not None and (known := acceptance.accepts(at.path, fingerprints)):
            return "baseline", known
        if allow.allowed(at.data, one.start, end=one.end):
            return "comment", fingerprints[0]
        return "", fingerprints[0]


def _near(
    spans: Sequence[tuple[int, int]], at: int, *, count: int = 32
) -> Sequence[tuple[int, int]]:
    """Give the spans around ``at``, of all of them in order: no line is shown further."""
    place = bisect.bisect(spans, (at, sys.maxsize))
    return spans[max(0, place - count) : place + count]
