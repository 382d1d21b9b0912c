"""Scanner: takes bytes through nominate, confirm, judge and decode, and gives findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from secretkit.core.record import record
from secretkit.scan import allow
from secretkit.scan.confirm import Confirmer
from secretkit.scan.decode import Budget, nested
from secretkit.scan.finding import Finding, Live, Skipped
from secretkit.scan.judge import Candidate, judge
from secretkit.scan.redacted import place, redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.scan.engine import Engine
    from secretkit.scan.fingerprint import Fingerprinter
    from secretkit.scan.rule import Rule

__all__ = ["Acceptance", "LiveSecrets", "Result", "Scanner"]

_DEEPEST: Final = 4


class Acceptance(Protocol):
    """Findings that somebody has accepted: a baseline."""

    def accepts(self, path: str, fingerprints: Sequence[str]) -> bool:
        """Say whether a finding with one of these fingerprints is accepted at ``path``."""
        ...


class LiveSecrets(Protocol):
    """The secrets that a broker has handed out, known by fingerprint."""

    def spans(self, data: bytes) -> Sequence[tuple[int, int, Live]]:
        """Give where in ``data`` one of them stands, and which it is."""
        ...


@record(kw_only=True)
class Result:
    """What one scan of one thing gave. ``accepted`` counts findings left out, by whom or where."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    accepted: int = 0


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

    def scan(self, data: bytes, *, path: str, commit: str | None = None) -> Result:
        """Give the findings in ``data``, in order of their place.

        Costs one pass over ``data`` and, for each nominated core, one search; decoding is bounded
        by :class:`~secretkit.scan.decode.Budget`. Raises nothing for any ``data``.
        """
        run = _Run(self, Budget(), commit)
        run.look(data, path=path, depth=0)
        ordered = sorted(run.findings, key=lambda one: (one.path, one.line, one.column, one.rule))
        return Result(findings=tuple(ordered), skipped=tuple(run.skipped), accepted=run.accepted)

    def seen(self, data: bytes, *, path: str) -> list[_Seen]:
        """Give what is judged a secret in ``data`` itself, without decoding, in order."""
        found: list[_Seen] = []
        for match in self._confirmer.confirm(data, self._engine.nominate(data)):
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


class _Run:
    """One scan of one thing and of all that is packed in it."""

    def __init__(self, scanner: Scanner, budget: Budget, commit: str | None) -> None:
        self._scanner = scanner
        self._budget = budget
        self._commit = commit
        self.findings: list[Finding] = []
        self.skipped: list[Skipped] = []
        self.accepted = 0

    def look(self, data: bytes, *, path: str, depth: int) -> None:
        scanner = self._scanner
        seen = scanner.seen(data, path=path)
        spans = [(one.start, one.end) for one in seen]
        for one in seen:
            self._report(data, data[one.start : one.end], one, path=path, spans=spans)
        if depth == _DEEPEST:
            return
        for inner in nested(data, path=path, budget=self._budget, skipped=self.skipped):
            if inner.span is None:
                self.look(inner.data, path=f"{path}{inner.name}", depth=depth + 1)
            elif not _covered(inner.span, spans):
                self._inside(data, inner.data, inner.span, path=path, depth=depth + 1)

    def _inside(
        self, outer: bytes, data: bytes, span: tuple[int, int], *, path: str, depth: int
    ) -> None:
        """Look into what was encoded at ``span``, and report it there, once."""
        for one in self._scanner.seen(data, path=path):
            shown = _Seen(one.rule, one.confidence, *span)
            self._report(outer, data[one.start : one.end], shown, path=path, spans=[span])
            return
        if depth == _DEEPEST:
            return
        for inner in nested(data, path=path, budget=self._budget, skipped=self.skipped):
            self._inside(outer, inner.data, span, path=path, depth=depth + 1)

    def _report(
        self,
        data: bytes,
        value: bytes,
        one: _Seen,
        *,
        path: str,
        spans: Sequence[tuple[int, int]],
    ) -> None:
        fingerprints = self._scanner._fingerprints.of(value)  # noqa: SLF001 - the same thing
        acceptance = self._scanner._acceptance  # noqa: SLF001 - as above
        if allow.allowed(data, one.start) or (
            acceptance is not None and acceptance.accepts(path, fingerprints)
        ):
            self.accepted += 1
            return
        line, column, end_column = place(data, one.start, one.end)
        self.findings.append(
            Finding(
                rule=one.rule.id,
                severity=one.rule.severity,
                confidence=one.confidence,
                path=path,
                line=line,
                column=column,
                end_column=end_column,
                commit=self._commit,
                fingerprint=fingerprints[0],
                redacted=redacted(data, one.start, spans),
                description=one.rule.description,
                advice=one.rule.advice,
                live=one.live,
            )
        )


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
