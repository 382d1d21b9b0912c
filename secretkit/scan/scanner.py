"""Scanner: takes bytes through nominate, confirm, judge and decode, and gives findings."""

from __future__ import annotations

import bisect
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from secretkit.scan import allow
from secretkit.scan.confirm import Confirmer
from secretkit.scan.deadline import DeadlineError
from secretkit.scan.decode import Budget, may_hold, nested
from secretkit.scan.finding import Finding, Skipped
from secretkit.scan.judge import Candidate, judge
from secretkit.scan.live import with_live
from secretkit.scan.redacted import Lines, redacted
from secretkit.scan.result import WHOLE, Result, Window
from secretkit.scan.seen import Seen, covered, distinct
from secretkit.scan.summary import ordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretkit.scan.engine import Engine
    from secretkit.scan.fingerprint import Fingerprinter
    from secretkit.scan.live import LiveSecrets
    from secretkit.scan.rule import Rule

__all__ = ["WHOLE", "Acceptance", "Result", "Scanner", "Window"]

_DEEPEST: Final = 4
_LEVELS: Final = ("high", "medium", "low")
_MOST: Final = 500  # findings in one thing: each costs a line count and a slow fingerprint


class Acceptance(Protocol):
    """Findings that somebody has accepted: a baseline."""

    def accepts(self, path: str, fingerprints: Sequence[str]) -> str:
        """Give the fingerprint of these that is accepted at ``path``, or nothing."""
        ...


class Scanner:
    """Scans bytes. Keeps no value; one thread at a time, like its engine.

    Findings of less confidence than ``lowest`` are not given: what is only perhaps a secret costs
    its readers more than it is worth, unless they ask.
    """

    def __init__(  # noqa: PLR0913 - all but two are optional
        self,
        rules: Sequence[Rule],
        *,
        engine: Engine,
        fingerprints: Fingerprinter,
        acceptance: Acceptance | None = None,
        live: LiveSecrets | None = None,
        lowest: str = "medium",
    ) -> None:
        if lowest not in _LEVELS:
            raise ValueError(f"lowest is one of {', '.join(_LEVELS)}")
        self._wanted = frozenset(_LEVELS[: _LEVELS.index(lowest) + 1])
        self._rules = rules
        self._engine = engine
        self._confirmer = Confirmer(rules)
        self._fingerprints = fingerprints
        self._acceptance = acceptance
        self._live = live

    def glance(self, data: bytes, *, path: str) -> list[tuple[int, int]] | None:
        """Give what is nominated in ``data``, or None where no secret can be at all."""
        nominated = self._engine.nominate(data)
        if nominated or self._live is not None or may_hold(data, path=path):
            return nominated
        return None

    def scan(
        self,
        data: bytes,
        *,
        path: str,
        commit: str | None = None,
        window: Window = WHOLE,
        nominated: Sequence[tuple[int, int]] | None = None,
    ) -> Result:
        """Give the findings in ``data``, in order of their place.

        Costs one pass over ``data`` and, for each nominated core, one search; decoding is bounded
        by :class:`~secretkit.scan.decode.Budget`. Raises nothing for any ``data``. ``nominated`` is
        what :meth:`glance` gave, if it was asked.
        """
        run = _Run(self, Budget(), commit)
        try:
            run.look(data, path=path, window=window, nominated=nominated)
        except (DeadlineError, _EnoughError) as error:
            run.skipped.append(Skipped(path=path, reason=str(error)))
        return Result(
            findings=ordered(run.findings),
            skipped=tuple(run.skipped),
            accepted=ordered(run.accepted),
        )

    def nominate(self, data: bytes) -> list[tuple[int, int]]:
        """Give (index of a rule, offset) pairs: where in ``data`` a secret may be."""
        return self._engine.nominate(data)

    def hints(self, nominated: Iterable[tuple[int, int]]) -> frozenset[str]:
        """Give the encodings that may be in the data in which these were nominated."""
        rules = (self._rules[index] for index in {index for index, _ in nominated})
        return frozenset(rule.id.partition("-")[2] for rule in rules if rule.judged == "hint")

    def fingerprint(self, value: bytes) -> str:
        """Give the fingerprint under which a finding of ``value`` is known."""
        return self._fingerprints.of(value)[0]

    def seen(
        self, data: bytes, *, path: str, nominated: Sequence[tuple[int, int]] | None = None
    ) -> list[Seen]:
        """Give what is judged a secret in ``data`` itself, without decoding, in order.

        With ``nominated``, only those places are looked at, and what stands in their lines.
        """
        found: list[Seen] = []
        places = self.nominate(data) if nominated is None else nominated
        meant = [place for place in places if self._rules[place[0]].judged != "hint"]
        for match in self._confirmer.confirm(data, meant):
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
            if confidence is not None and confidence in self._wanted:
                found.append(Seen(rule, confidence, match.secret_start, match.secret_end))
        return distinct(found)

    def looked(self, data: bytes, *, path: str, nominated: Sequence[tuple[int, int]]) -> list[Seen]:
        """Give what :meth:`seen` gives, and which secrets of ours stand in ``data``."""
        found = self.seen(data, path=path, nominated=nominated)
        return found if self._live is None else with_live(found, data, live=self._live)


class _EnoughError(Exception):
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


class _Run:
    """One scan of one thing and of all that is packed in it."""

    def __init__(self, scanner: Scanner, budget: Budget, commit: str | None) -> None:
        self._scanner = scanner
        self._budget = budget
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
        scanner = self._scanner
        if nominated is None:
            nominated = scanner.nominate(data)
        seen = scanner.looked(data, path=path, nominated=nominated)
        spans = [(one.start, one.end) for one in seen]
        known = frozenset[tuple[str, str]]() if outer is None else outer.known
        depth = 0 if outer is None else outer.depth + 1
        at = _At(data, path, spans, window, known, depth, Lines(data))
        found = {
            self._report(data[one.start : one.end], one, at)
            for one in seen
            if window.start <= one.start < window.stop
        }
        if depth == _DEEPEST:
            return
        at = at._replace(known=known | found)
        hints = scanner.hints(nominated)
        for inner in nested(
            data, path=path, budget=self._budget, skipped=self.skipped, hints=hints
        ):
            if inner.span is None:
                within = f"{path}{inner.name}"
                self.look(inner.data, path=within, outer=at)
            elif window.start <= inner.span[0] < window.stop and not covered(inner.span, spans):
                self._inside(inner.data, inner.span, at, depth=depth + 1)

    def _inside(self, data: bytes, span: tuple[int, int], at: _At, *, depth: int) -> None:
        """Look into what was encoded at ``span``, and report it there, once."""
        scanner = self._scanner
        nominated = scanner.nominate(data)
        for one in scanner.looked(data, path=at.path, nominated=nominated):
            shown = one._replace(start=span[0], end=span[1])
            spans = sorted([*at.spans, span])
            self._report(data[one.start : one.end], shown, at._replace(spans=spans))
            return
        hints = scanner.hints(nominated)
        if depth == _DEEPEST:
            return
        for inner in nested(
            data, path=at.path, budget=self._budget, skipped=self.skipped, hints=hints
        ):
            self._inside(inner.data, span, at, depth=depth + 1)

    def _report(self, value: bytes, one: Seen, at: _At) -> tuple[str, str]:
        """Note a finding, unless it is known, and give what it is known by."""
        data, path = at.data, at.path
        if len(self.findings) + len(self.accepted) >= _MOST:
            raise _EnoughError(f"holds more than {_MOST} findings: the rest is not listed")
        fingerprints = self._scanner._fingerprints.of(value)  # noqa: SLF001 - the same thing
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
        acceptance = self._scanner._acceptance  # noqa: SLF001 - the same thing
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
