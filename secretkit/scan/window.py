"""Window: finds secrets in an object of which only some parts are new.

Everything here only says which objects hold which secrets. Reports are made from the whole object,
by :class:`~secretkit.scan.scanner.Scanner`, once its path is known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.scan.deadline import DeadlineError, deadline
from secretkit.scan.decode import Budget, nested
from secretkit.scan.finding import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretkit.scan.rule import Rule
    from secretkit.scan.scanner import Scanner

__all__ = ["CONTEXT", "Looker", "Spots"]

CONTEXT: Final = 300  # bytes around a change: no anchor of a rule is wider than 256
_LINE: Final = 4096  # bytes that are looked through for the beginning and the end of a line
_RUN: Final = 1 << 16  # bytes that encoded text is followed for
_APART: Final = b"\n\0\n"
_DEEPEST: Final = 4
_FEW: Final = 64  # values that are looked for again one by one
_SHORTEST: Final = 4  # bytes of a value for which that is worth while
_BEGINNINGS: Final = (b"PK", b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"BZh", b"\xfd7zXZ")
_HEAD: Final = 1024
_ENCODED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-%"
_CODED_LINE: Final = re.compile(rb"[ \t]*[A-Za-z0-9+/=_%-]{16,}[ \t\r]*\n?")


class Spots(NamedTuple):
    """What an object holds: (rule, fingerprint) of each secret, and what its deltas must look at.

    ``values`` are the secrets as they stand in it. ``whole`` says that a change may make a secret
    of what is far from it, so that the object's deltas are to be looked at as a whole. ``failed``
    says why not all of it was looked at.
    """

    found: tuple[tuple[str, str], ...] = ()
    values: tuple[bytes, ...] = ()
    whole: bool = False
    failed: str = ""


NOTHING: Final = Spots()
OPAQUE: Final = Spots(whole=True)


class Looker:
    """Looks for secrets in objects, whole or only where they changed. One thread at a time."""

    def __init__(self, scanner: Scanner, rules: Sequence[Rule]) -> None:
        self._scanner = scanner
        self._far = frozenset(number for number, rule in enumerate(rules) if rule.reach)
        self.read = 0  # bytes that were really scanned

    def whole(self, data: bytes) -> Spots:
        """Give what is in ``data``."""
        self.read += len(data)
        return self._look(data, self._scanner.nominate(data), [(0, len(data))], far=False)

    def changed(self, data: bytes, changes: list[tuple[int, int]], *, before: Spots) -> Spots:
        """Give what is in ``data``, an object that is like one with ``before`` but for ``changes``.

        ``changes`` are ``[start, stop)``, in order; where nothing stands, something was taken out.
        """
        if before.whole or is_packed(data):
            return self.whole(data)
        wanted = [*changes, *_again(data, before.values)] if before.values else changes
        if not wanted:
            return NOTHING
        windows = _windows(data, wanted)
        if sum(stop - start for start, stop in windows) * 2 > len(data):
            return self.whole(data)
        pieces = [data[start:stop] for start, stop in windows]
        buffer = pieces[0] if len(pieces) == 1 else _APART.join(pieces)
        self.read += len(buffer)
        nominated = self._scanner.nominate(buffer)
        if nominated:
            nominated = _moved(nominated, windows)
        return self._look(data, nominated, windows, far=False)

    def _look(
        self,
        data: bytes,
        nominated: list[tuple[int, int]],
        windows: Sequence[tuple[int, int]],
        *,
        far: bool,
    ) -> Spots:
        whole = len(windows) == 1 and windows[0] == (0, len(data))
        budget, skipped = Budget(), list[Skipped]()
        spots: list[tuple[int, int, str, str]] = []
        try:
            with deadline(size=len(data)):
                if nominated:
                    far = any(rule in self._far for rule, _ in nominated)
                    spots = self._seen(data, nominated)
                for start, stop in windows if whole else _widened(data, windows):
                    piece = data if whole else data[start:stop]
                    spots += self._nested(piece, start, budget=budget, skipped=skipped)
        except DeadlineError as error:
            return Spots(_distinct(spots), (), whole=True, failed=str(error))
        if not spots and not far and not skipped:
            return OPAQUE if whole and is_packed(data) else NOTHING
        values = {data[start:stop] for start, stop, _, _ in spots}
        hard = len(values) > _FEW or any(len(value) < _SHORTEST for value in values)
        return Spots(
            _distinct(spots),
            () if hard else tuple(values),
            whole=far or hard or is_packed(data),
            failed=skipped[0].reason if skipped else "",
        )

    def _seen(
        self, data: bytes, nominated: list[tuple[int, int]] | None
    ) -> list[tuple[int, int, str, str]]:
        seen = self._scanner.seen(data, path="", nominated=nominated)
        known = self._scanner.fingerprint
        return [(one.start, one.end, one.rule.id, known(data[one.start : one.end])) for one in seen]

    def _nested(
        self, data: bytes, shift: int, *, budget: Budget, skipped: list[Skipped], depth: int = 1
    ) -> Iterator[tuple[int, int, str, str]]:
        """Give what is encoded in ``data``, at the place where the encoded text stands."""
        for inner in nested(data, path="", budget=budget, skipped=skipped):
            start, stop = inner.span or (0, min(len(data), _LINE))
            found = self._seen(inner.data, None)
            for _, _, rule, known in found:
                yield start + shift, stop + shift, rule, known
            if depth < _DEEPEST and not (found and inner.span):
                deeper = self._nested(
                    inner.data, 0, budget=budget, skipped=skipped, depth=depth + 1
                )
                for _, _, rule, known in deeper:
                    yield start + shift, stop + shift, rule, known


def is_packed(data: bytes) -> bool:
    """Say whether ``data`` is binary, packed or UTF-16: no part of it is read by itself."""
    return data.startswith(_BEGINNINGS) or b"\0" in data[:_HEAD]


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
        low, high = _line(data, max(0, start - CONTEXT), stop + CONTEXT)
        if windows and low <= windows[-1][1]:
            windows[-1] = windows[-1][0], max(high, windows[-1][1])
        else:
            windows.append((low, high))
    return windows


def _line(data: bytes, low: int, high: int) -> tuple[int, int]:
    edge = max(0, low - _LINE)
    newline = data.rfind(b"\n", edge, low)
    end = data.find(b"\n", high, high + _LINE)
    return newline + 1 if newline >= 0 else edge, end if end >= 0 else min(high + _LINE, len(data))


def _moved(
    nominated: list[tuple[int, int]], windows: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Turn offsets in the joined windows into offsets in the object."""
    if len(windows) == 1:
        return [(rule, at + windows[0][0]) for rule, at in nominated]
    moved: list[tuple[int, int]] = []
    number, begins, (low, high) = 0, 0, windows[0]
    for rule, at in sorted(nominated, key=_offset):
        # The end of a match stands behind it: the window that holds the byte before counts.
        while at - 1 >= begins + high - low + len(_APART) and number + 1 < len(windows):
            begins += high - low + len(_APART)
            number += 1
            low, high = windows[number]
        moved.append((rule, min(low + at - begins, high)))
    return moved


def _offset(one: tuple[int, int]) -> int:
    return one[1]


def _widened(data: bytes, windows: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Widen windows to the ends of encoded text that goes over their edges, at most 64 KiB."""
    reached = 0
    for low, high in windows:
        reached = max(reached, _ahead(data, high))
        yield _back(data, low), reached


def _back(data: bytes, low: int) -> int:
    edge = max(0, low - _RUN)
    if low and data[low - 1 : low] != b"\n":
        low = edge + len(data[edge:low].rstrip(_ENCODED))
        low = data.rfind(b"\n", max(edge, low - _LINE), low) + 1 or low
    while low > edge:
        above = data.rfind(b"\n", edge, low - 1) + 1 or edge
        if not _CODED_LINE.fullmatch(data, above, low):
            break
        low = above
    return low


def _ahead(data: bytes, high: int) -> int:
    edge = min(len(data), high + _RUN)
    if high < edge and data[high : high + 1] != b"\n":
        high = edge - len(data[high:edge].lstrip(_ENCODED))
    while high < edge:
        below = data.find(b"\n", high + 1, edge)
        below = below if below >= 0 else edge
        if not _CODED_LINE.fullmatch(data, high + 1, below):
            break
        high = below
    return high


def _distinct(spots: Iterable[tuple[int, int, str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple({(rule, known): None for _, _, rule, known in spots})
