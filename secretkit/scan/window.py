"""Window: finds secrets in an object of which only some parts are new.

Everything here only says which objects hold which secrets. Reports are made from the whole object,
by :class:`~secretkit.scan.scanner.Scanner`, once its path is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.scan.deadline import DeadlineError, deadline
from secretkit.scan.decode import Budget, nested
from secretkit.scan.live import with_live
from secretkit.scan.nesting import (
    DISTANT,
    changed_parts,
    is_notebook,
    is_packed,
    likely,
    line_around,
    parts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretkit.scan.finding import Skipped
    from secretkit.scan.rule import Rule
    from secretkit.scan.scanner import Scanner

__all__ = ["CONTEXT", "Looker", "Spots"]

CONTEXT: Final = 300  # bytes around a change: no anchor of a rule is wider than 256
_LINE: Final = 4096  # bytes of an archive that stand for all of it
_APART: Final = b"\n\0\n"
_DEEPEST: Final = 4
_FEW: Final = 64  # values that are looked for again one by one
_SHORTEST: Final = 4  # bytes of a value for which that is worth while
_NONE: Final[frozenset[str]] = frozenset()


class Spots(NamedTuple):
    """What an object holds: (rule, fingerprint) of each secret, and what its deltas must look at.

    ``values`` are the secrets as they stand in it. ``whole`` says that a change may make a secret
    of what is far from it, so that the object's deltas are to be looked at as a whole; ``opaque``
    that nothing is known of it, or that no part of it means anything. ``hints`` are encodings of
    which a sign may stand far from a change. ``failed`` says why not all of it was looked at.
    """

    found: tuple[tuple[str, str], ...] = ()
    values: tuple[bytes, ...] = ()
    whole: bool = False
    opaque: bool = False
    hints: frozenset[str] = _NONE
    failed: str = ""


NOTHING: Final = Spots()
OPAQUE: Final = Spots(opaque=True)

_Spot = tuple[int, int, str, str]  # start, stop, rule, fingerprint


class _Spend(NamedTuple):
    """What decoding one object may still cost, and what it skipped."""

    budget: Budget
    skipped: list[Skipped]


class Looker:
    """Looks for secrets in objects, whole or only where they changed. One thread at a time."""

    def __init__(self, scanner: Scanner, rules: Sequence[Rule]) -> None:
        self._scanner = scanner
        self._live_secrets = scanner._live  # noqa: SLF001 - a scanner's other face
        self._far = frozenset(number for number, rule in enumerate(rules) if rule.reach)
        self._signs = {
            number: rule.id.partition("-")[2]
            for number, rule in enumerate(rules)
            if rule.judged == "hint"
        }
        self.read = 0  # bytes that were really scanned

    def whole(self, data: bytes) -> Spots:
        """Give what is in ``data``."""
        self.read += len(data)
        try:
            nominated = self._scanner.nominate(data)
        except DeadlineError as error:
            return Spots(opaque=True, failed=str(error))
        packed = is_packed(data)
        if not nominated and not packed and not self._live_secrets is not None:
            return NOTHING
        return self._judged(data, nominated, None, before=_NONE, packed=packed)

    def changed(self, data: bytes, changes: list[tuple[int, int]], *, before: Spots) -> Spots:
        """Give what is in ``data``, an object that is like one with ``before`` but for ``changes``.

        ``changes`` are ``[start, stop)``, in order; where nothing stands, something was taken out.
        """
        if before.opaque or is_packed(data):
            return self.whole(data)
        wanted = [*changes, *_again(data, before.values)] if before.values else changes
        if not wanted:
            return before._replace(found=(), failed="")
        windows = fresh = _windows(data, wanted)
        if before.whole or sum(stop - start for start, stop in windows) * 2 > len(data):
            windows = [(0, len(data))]
        pieces = [data[start:stop] for start, stop in windows]
        buffer = pieces[0] if len(pieces) == 1 else _APART.join(pieces)
        self.read += len(buffer)
        try:
            nominated = self._scanner.nominate(buffer)
        except DeadlineError as error:
            return Spots(opaque=True, failed=str(error))
        if not nominated and not before.hints and not self._live_secrets is not None:
            return NOTHING
        return self._judged(
            data, _moved(nominated, windows), fresh, before=before.hints, packed=False
        )

    def _judged(
        self,
        data: bytes,
        nominated: list[tuple[int, int]],
        fresh: Sequence[tuple[int, int]] | None,
        *,
        before: frozenset[str],
        packed: bool,
    ) -> Spots:
        skipped: list[Skipped] = []
        spots: list[_Spot] = []
        failed = ""
        signs, places = self._split(nominated)
        distant = before | DISTANT.intersection(hint for _, hint in signs)
        far = any(rule in self._far for rule, _ in places)
        try:
            with deadline(size=len(data)):
                spots = self._seen(data, places) if places else []
                for low, high in fresh or [(0, len(data))]:
                    spots += self._live(data[low:high], low)
                spend = _Spend(Budget(), skipped)
                if packed:
                    spots += self._nested(data, spend, hints=self._scanner.hints(nominated))
                elif signs or before:
                    chosen = (
                        parts(data, likely(data, signs))
                        if fresh is None
                        else changed_parts(data, signs, fresh, before=distant)
                    )
                    for start, stop, hints in chosen:
                        spots += self._nested(data[start:stop], spend, hints=hints, shift=start)
        except DeadlineError as error:
            failed = str(error)
        values = {data[start:stop] for start, stop, _, _ in spots}
        hard = len(values) > _FEW or any(len(value) < _SHORTEST for value in values)
        return Spots(
            tuple({(rule, known): None for _, _, rule, known in spots}),
            () if hard else tuple(values),
            whole=far or hard,
            opaque=packed or bool(failed),
            hints=distant,
            failed=failed or (skipped[0].reason if skipped else ""),
        )

    def _split(
        self, nominated: list[tuple[int, int]]
    ) -> tuple[list[tuple[int, str]], list[tuple[int, int]]]:
        """Tell signs of encoded text from places of rules."""
        signs: list[tuple[int, str]] = []
        places: list[tuple[int, int]] = []
        for one in nominated:
            hint = self._signs.get(one[0])
            if hint is None:
                places.append(one)
            else:
                signs.append((one[1], hint))
        return signs, places

    def _seen(self, data: bytes, nominated: list[tuple[int, int]]) -> list[_Spot]:
        known = self._scanner.fingerprint
        return [
            (one.start, one.end, one.rule.id, known(data[one.start : one.end]))
            for one in self._scanner.seen(data, path="", nominated=nominated)
        ]

    def _live(self, data: bytes, shift: int) -> Iterator[_Spot]:
        if self._live_secrets is None:
            return
        for one in with_live([], data, live=self._live_secrets):
            known = self._scanner.fingerprint(data[one.start : one.end])
            yield one.start + shift, one.end + shift, one.rule.id, known

    def _nested(
        self, data: bytes, spend: _Spend, *, hints: frozenset[str], shift: int = 0, depth: int = 1
    ) -> Iterator[_Spot]:
        """Give what is encoded in ``data``, at the place where the encoded text stands."""
        path = "x.ipynb" if data[:1] in b"{ \n" and is_notebook(data) else ""
        for inner in nested(
            data, path=path, budget=spend.budget, skipped=spend.skipped, hints=hints
        ):
            start, stop = inner.span or (0, min(len(data), _LINE))
            nominated = self._scanner.nominate(inner.data)
            found = self._seen(inner.data, nominated)
            if depth < _DEEPEST and not (found and inner.span):
                further = self._scanner.hints(nominated)
                found += self._nested(inner.data, spend, hints=further, depth=depth + 1)
            for _, _, rule, known in found:
                yield start + shift, stop + shift, rule, known


def _again(data: bytes, values: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    for value in values:
        at = data.find(value)
        while at >= 0:
            yield at, at + len(value)
            at = data.find(value, at + len(value))


def _windows(data: bytes, changes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Widen changes by their context and to whole lines, and join what touches."""
    merged: list[tuple[int, int]] = []
    low, high = -1, -1
    for start, stop in sorted(changes):
        if start - 2 * CONTEXT > high or low < 0:
            if low >= 0:
                merged.append((low, high))
            low, high = start, stop
        elif stop > high:
            high = stop
    merged.append((low, high))
    windows: list[tuple[int, int]] = []
    for start, stop in merged:
        low, high = line_around(data, max(0, start - CONTEXT), stop + CONTEXT)
        if windows and low <= windows[-1][1]:
            windows[-1] = windows[-1][0], max(high, windows[-1][1])
        else:
            windows.append((low, high))
    return windows


def _moved(
    nominated: list[tuple[int, int]], windows: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Turn offsets in the joined windows into offsets in the object; 1 is that of no place."""
    first = windows[0][0]
    if len(windows) == 1:
        return [(rule, at + first if at > 1 else at) for rule, at in nominated]
    moved: list[tuple[int, int]] = []
    number, begins, (low, high) = 0, 0, windows[0]
    for rule, at in sorted(nominated, key=_offset):
        # The end of a match stands behind it: the window that holds the byte before counts.
        while at - 1 >= begins + high - low + len(_APART) and number + 1 < len(windows):
            begins += high - low + len(_APART)
            number += 1
            low, high = windows[number]
        moved.append((rule, min(low + at - begins, high) if at > 1 else at))
    return moved


def _offset(one: tuple[int, int]) -> int:
    return one[1]
