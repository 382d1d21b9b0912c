"""Scanner: takes bytes through nominate, confirm, judge and decode, and gives findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.scan.confirm import Confirmer
from secretkit.scan.deadline import DeadlineError
from secretkit.scan.decode import may_hold
from secretkit.scan.finding import Skipped
from secretkit.scan.inspection import Acceptance, EnoughError, Inspection
from secretkit.scan.judge import Candidate, judge
from secretkit.scan.live import with_live
from secretkit.scan.nesting import is_sign
from secretkit.scan.result import WHOLE, Result, Window
from secretkit.scan.seen import PartialError, Seen, distinct
from secretkit.scan.summary import ordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretkit.scan.confirm import Match
    from secretkit.scan.engine import Engine
    from secretkit.scan.fingerprint import Fingerprinter
    from secretkit.scan.live import LiveSecrets
    from secretkit.scan.nesting import Known
    from secretkit.scan.rule import Rule

__all__ = ["WHOLE", "Acceptance", "Result", "Scanner", "Window"]

_LEVELS: Final = ("high", "medium", "low")
_MOST: Final = 4000  # seen in one piece of data, of which fewer are listed


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
        self._lowest = lowest
        self.wanted = frozenset(_LEVELS[: _LEVELS.index(lowest) + 1])
        self._rules = rules
        self._engine = engine
        self._confirmer = Confirmer(rules)
        self._names: dict[int, str] = {}  # of hints, by rule, once it is nominated; else empty
        self.fingerprints = fingerprints
        self.acceptance = acceptance
        self._live = live
        self.above = ""
        """What of a path says nothing about a file: the directory that somebody asked for."""

    def glance(self, data: bytes, *, path: str) -> list[tuple[int, int]] | None:
        """Give what is nominated in ``data``, or None where no secret can be at all."""
        nominated = self._engine.nominate(data)
        if nominated:
            nominated = self.likely(data, nominated)
        if nominated or self._live is not None or may_hold(data, path=path):
            return nominated
        return None

    def likely(self, data: bytes, nominated: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Leave out what only looks like a sign of encoded text to an engine: most signs."""
        names = self._names
        for index, _ in nominated:
            if index not in names:
                rule = self._rules[index]
                names[index] = rule.id.partition("-")[2] if rule.judged == "hint" else ""
        known: dict[str, Known] = {}
        return [
            one
            for one in nominated
            if not names[one[0]] or is_sign(data, names[one[0]], one[1], known=known)
        ]

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
        run = Inspection(self, commit=commit)
        try:
            run.look(data, path=path, window=window, nominated=nominated)
        except (DeadlineError, EnoughError) as error:
            run.skipped.append(Skipped(path=path, reason=str(error)))
        return Result(
            findings=ordered(run.findings),
            skipped=tuple(run.skipped),
            accepted=ordered(run.accepted),
        )

    def nominate(self, data: bytes) -> list[tuple[int, int]]:
        """Give (index of a rule, offset) pairs: where in ``data`` a secret may be."""
        return self._engine.nominate(data)

    def signs(self, nominated: Iterable[tuple[int, int]]) -> list[tuple[int, str]]:
        """Give where text may be encoded, and how, of the places that were nominated."""
        nominated = list(nominated)
        names = {
            index: rule.id.partition("-")[2]
            for index in {index for index, _ in nominated}
            if (rule := self._rules[index]).judged == "hint"
        }
        return [(end, names[index]) for index, end in nominated if index in names]

    def hints(self, nominated: Iterable[tuple[int, int]]) -> frozenset[str]:
        """Give the encodings that may be in the data in which these were nominated."""
        return frozenset(name for _, name in self.signs(nominated))

    def fingerprint(self, value: bytes) -> str:
        """Give the fingerprint under which a finding of ``value`` is known."""
        return self.fingerprints.of(value)[0]

    def seen(
        self, data: bytes, *, path: str, nominated: Sequence[tuple[int, int]] | None = None
    ) -> list[Seen]:
        """Give what is judged a secret in ``data`` itself, without decoding, in order.

        With ``nominated``, only those places are looked at, and what stands in their lines.

        Raises:
            PartialError: with what was seen, if that is more than 4,000, or the time is up.
        """
        found: list[Seen] = []
        try:
            places = self.nominate(data) if nominated is None else nominated
            meant = [place for place in places if self._rules[place[0]].judged != "hint"]
            for match in self._confirmer.confirm(data, meant):
                one = self._judged(data, match, path=path)
                if one is not None:
                    found.append(one)
                if len(found) > _MOST:
                    raise DeadlineError("holds more findings than are listed")  # noqa: TRY301
        except DeadlineError as error:
            raise PartialError(str(error), seen=distinct(found)) from None
        return distinct(found)

    def _judged(self, data: bytes, match: Match, *, path: str) -> Seen | None:
        rule = self._rules[match.rule]
        candidate = Candidate(
            rule=rule,
            data=data,
            start=match.start,
            end=match.end,
            secret_start=match.secret_start,
            secret_end=match.secret_end,
            path=path.removeprefix(self.above),
            least=self._lowest,
        )
        confidence = judge(candidate)
        if confidence is None or confidence not in self.wanted:
            return None
        return Seen(rule, confidence, match.secret_start, match.secret_end)

    def looked(self, data: bytes, *, path: str, nominated: Sequence[tuple[int, int]]) -> list[Seen]:
        """Give what :meth:`seen` gives, and which secrets of ours stand in ``data``."""
        found = self.seen(data, path=path, nominated=nominated)
        return found if self._live is None else with_live(found, data, live=self._live)
