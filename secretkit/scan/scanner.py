"""Scanner: takes bytes through nominate, confirm, judge and decode, and gives findings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from secretkit.core.record import record
from secretkit.scan import allow
from secretkit.scan.confirm import Confirmer
from secretkit.scan.decode import Budget, nested
from secretkit.scan.finding import Finding, Live, Skipped
from secretkit.scan.judge import Candidate, judge
from secretkit.scan.redacted import place, redacted
from secretkit.scan.summary import ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.scan.engine import Engine
    from secretkit.scan.fingerprint import Fingerprinter
    from secretkit.scan.rule import Rule

__all__ = ["WHOLE", "Acceptance", "LiveSecrets", "Result", "Scanner", "Window"]

_DEEPEST: Final = 4


class Acceptance(Protocol):
    """Findings that somebody has accepted: a baseline."""

    def accepts(self, path: str, fingerprints: Sequence[str]) -> str:
        """Give the fingerprint of these that is accepted at ``path``, or nothing."""
        ...


class LiveSecrets(Protocol):
    """The secrets that a broker has handed out, known by fingerprint."""

    def spans(self, data: bytes) -> Sequence[tuple[int, int, Live]]:
        """Give where in ``data`` one of them stands, and which it is."""
        ...


@record(kw_only=True)
class Result:
    """What one scan of one thing gave. ``accepted`` are left out of ``findings``."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    accepted: tuple[Finding, ...] = ()


class Window(NamedTuple):
    """Which part of a file some bytes are. Only what starts in ``[start, stop)`` is reported.

    ``line`` is the number of the first line of the bytes; ``before`` how many bytes of that line
    stand before them, so that columns are right, in bytes, in a line longer than a window.
    """

    start: int = 0
    stop: int = sys.maxsize
    line: int = 1
    before: int = 0


WHOLE: Final = Window()


class _Seen(NamedTuple):
    rule: Rule
    confidence: str
    start: int
    end: int
    live: Live | None = None


class Scanner:
    """Scans bytes. Keeps no value; one thread at a time, like its engine."""

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        engine: Engine,
        fingerprints: Fingerprinter,
        acceptance: Acceptance | None = None,
        live: LiveSecrets | None = None,
    ) -> None:
        self._rules = rules
        self._engine = engine
        self._confirmer = Confirmer(rules)
        self._fingerprints = fingerprints
        self._acceptance = acceptance
        self._live = live

    def scan(
        self, data: bytes, *, path: str, commit: str | None = None, window: Window = WHOLE
    ) -> Result:
        """Give the findings in ``data``, in order of their place.

        Costs one pass over ``data`` and, for each nominated core, one search; decoding is bounded
        by :class:`~secretkit.scan.decode.Budget`. Raises nothing for any ``data``.
        """
        run = _Run(self, Budget(), commit)
        run.look(data, path=path, depth=0, window=window)
        return Result(
            findings=ordered(run.findings),
            skipped=tuple(run.skipped),
            accepted=ordered(run.accepted),
        )

    def nominate(self, data: bytes) -> list[tuple[int, int]]:
        """Give (index of a rule, offset) pairs: where in ``data`` a secret may be."""
        return self._engine.nominate(data)

    def fingerprint(self, value: bytes) -> str:
        """Give the fingerprint under which a finding of ``value`` is known."""
        return self._fingerprints.of(value)[0]

    def seen(
        self, data: bytes, *, path: str, nominated: Sequence[tuple[int, int]] | None = None
    ) -> list[_Seen]:
        """Give what is judged a secret in ``data`` itself, without decoding, in order.

        With ``nominated``, only those places are looked at, and what stands in their lines.
        """
        found: list[_Seen] = []
        places = self.nominate(data) if nominated is None else nominated
        for match in self._confirmer.confirm(data, places):
            rule = self._rules[match.rule]
            candidate = Candidate(
                rule=rule,
                data=data,
                start=match.start,
                end=match.end,
                secret_start=match.secret_start,
                secret_end=match.secret_end,
                path=path,
            )
            confidence = judge(candidate)
            if confidence is not None:
                found.append(_Seen(rule, confidence, match.secret_start, match.secret_end))
        return _distinct(found)


class _At(NamedTuple):
    """Where findings are reported: in which bytes, which of them are secret, and what they are."""

    data: bytes
    path: str
    spans: Sequence[tuple[int, int]]
    window: Window


class _Run:
    """One scan of one thing and of all that is packed in it."""

    def __init__(self, scanner: Scanner, budget: Budget, commit: str | None) -> None:
        self._scanner = scanner
        self._budget = budget
        self._commit = commit
        self.findings: list[Finding] = []
        self.skipped: list[Skipped] = []
        self.accepted: list[Finding] = []

    def look(self, data: bytes, *, path: str, depth: int, window: Window = WHOLE) -> None:
        scanner = self._scanner
        seen = scanner.seen(data, path=path)
        spans = [(one.start, one.end) for one in seen]
        at = _At(data, path, spans, window)
        for one in seen:
            if window.start <= one.start < window.stop:
                self._report(data[one.start : one.end], one, at)
        if depth == _DEEPEST:
            return
        for inner in nested(data, path=path, budget=self._budget, skipped=self.skipped):
            if inner.span is None:
                self.look(inner.data, path=f"{path}{inner.name}", depth=depth + 1)
            elif window.start <= inner.span[0] < window.stop and not _covered(inner.span, spans):
                self._inside(inner.data, inner.span, at, depth=depth + 1)

    def _inside(self, data: bytes, span: tuple[int, int], at: _At, *, depth: int) -> None:
        """Look into what was encoded at ``span``, and report it there, once."""
        for one in self._scanner.seen(data, path=at.path):
            shown = _Seen(one.rule, one.confidence, *span)
            value = data[one.start : one.end]
            self._report(value, shown, at._replace(spans=[*at.spans, span]))
            return
        if depth == _DEEPEST:
            return
        for inner in nested(data, path=at.path, budget=self._budget, skipped=self.skipped):
            self._inside(inner.data, span, at, depth=depth + 1)

    def _report(self, value: bytes, one: _Seen, at: _At) -> None:
        data, path = at.data, at.path
        fingerprints = self._scanner._fingerprints.of(value)  # noqa: SLF001 - the same thing
        accepted, known = self._accepted(one, at, fingerprints)
        line, column, end_column = place(data, one.start, one.end)
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
                redacted=redacted(data, one.start, sorted(at.spans)),
                description=one.rule.description,
                advice=one.rule.advice,
                live=one.live,
                accepted=accepted,
            )
        )

    def _accepted(self, one: _Seen, at: _At, fingerprints: Sequence[str]) -> tuple[str, str]:
        """Say what accepts this, if anything does, and under which fingerprint it is known.

        A value that is in use can be accepted by nobody.
        """
        acceptance = self._scanner._acceptance  # noqa: SLF001 - the same thing
        if one.live is not None:
            return "", fingerprints[0]
        if acceptance is not None and (known := acceptance.accepts(at.path, fingerprints)):
            return "baseline", known
        if allow.allowed(at.data, one.start, end=one.end):
            return "comment", fingerprints[0]
        return "", fingerprints[0]


def _covered(span: tuple[int, int], spans: Sequence[tuple[int, int]]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in spans)


def _distinct(found: list[_Seen]) -> list[_Seen]:
    """Keep one finding a place: a rule that knows the format before one that judges the value."""
    levels = ("high", "medium", "low")
    found.sort(
        key=lambda one: (one.rule.judged == "value", levels.index(one.confidence), one.start)
    )
    kept: list[_Seen] = []
    for one in found:
        if not any(one.start < other.end and other.start < one.end for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)
