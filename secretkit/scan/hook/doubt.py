"""Doubt: says whether what is new in a text may be a secret. What stood there before is not.

Only the lines that changed are looked at, and what their rules may reach: most of a changed file is
as it was. No re: see :mod:`secretkit.scan.hook.match`.
"""

from __future__ import annotations

from secretkit.scan.hook.difference import changed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from secretkit.scan.engine.pack import Pack

__all__ = ["Doubt", "packed"]

# Fields of a rule's record (secretkit.scan.rule): its pattern, how far a match may go on behind its
# line, and its purpose. A "hint" names an encoding; secretkit.scan.hook.wrapped tells that exactly.
_PATTERN, _REACH, _JUDGED = 3, 8, 11
_HEADS = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\xff\xfe", b"\xfe\xff", b"\x28\xb5\x2f\xfd")
_USTAR = slice(257, 262)
_FURTHEST = 1 << 14  # bytes: no rule reaches further
_DISTANT = frozenset({"kubernetes", "block"})  # their sign may stand far from what is encoded
_NEAR = 4096  # bytes; the others have one in the line that is encoded, or in the next
_HEAD, _INDICATED = 8, b"0123456789+- \t\r"  # what may end a line behind the sign of a block
_QUOTED = b" \t\"'"
_KIND = 20  # bytes: more than stand between the kind of an object and what it is


def packed(data: bytes, *, path: bytes) -> bool:
    """Say whether ``data`` as a whole is packed, or text in another encoding than UTF-8."""
    if data.startswith(_HEADS) or data[_USTAR] == b"ustar":
        return True
    return path.endswith(b".ipynb") or b"\0" in data


class Doubt:
    """Tells the clean from the doubtful, by hyperscan's ``scan`` of the rules in a pack."""

    def __init__(self, scan: Callable[..., Any], pack: Pack) -> None:
        self._scan, self._rules = scan, Rules(pack)

    def of(self, data: bytes, *, before: bytes) -> bool:
        """Say whether anything in ``data`` may be a secret that is not in ``before``, word by word.

        What is new is matched as the full scan matches it: an engine nominates more than a rule
        means.
        """
        low, high = changed(data, before)
        start = max(data.rfind(b"\n", 0, max(low - _FURTHEST, 0)), 0)
        stop = data.find(b"\n", high + _NEAR) + 1 or len(data)
        hits = self._hits(data, start, stop)
        hints = set() if stop - start == len(data) else _distant(data)
        for rule, end in hits:
            hint = self._rules.hint(rule)
            if hint and (hint in _DISTANT or low - _NEAR <= end <= high + _NEAR):
                hints.add(hint)
        fresh = self._fresh(data, before, hits, (low, high)) if hits else []
        if fresh:
            from secretkit.scan.hook.match import matches  # noqa: PLC0415 - loads a part of re

            if matches(data, nominated=fresh, rules=self._rules):
                return True
        return bool(hints) and _pieces(data, before, (low, high), frozenset(hints))

    def _hits(self, data: bytes, start: int, stop: int) -> list[tuple[int, int]]:
        """Give (rule, end) of what an engine sees in a part of ``data``.

        The part begins with a line break, so that what a rule wants before a word is there.
        """
        hits: list[tuple[int, int]] = []

        def note(rule: int, _start: int, end: int, _flags: int, _context: object) -> None:
            hits.append((rule, start + end))

        self._scan(data[start:stop], note)
        return hits

    def _fresh(
        self, data: bytes, before: bytes, hits: list[tuple[int, int]], place: tuple[int, int]
    ) -> list[tuple[int, int]]:
        """Give the hits, but for hints, that are in a new line, or whose rule may reach one."""
        low, high = place
        known = frozenset(before[low : len(before) - len(data) + high].split(b"\n"))
        fresh = []
        for rule, end in hits:
            reach = self._rules[rule].reach
            if self._rules.hint(rule) or (end <= low and not reach):
                continue
            start, stop = data.rfind(b"\n", 0, end) + 1, data.find(b"\n", end)
            stop = stop if stop >= 0 else len(data)
            old = start >= high or stop + reach < low or (reach == 0 and data[start:stop] in known)
            if not old:
                fresh.append((rule, end))
        return fresh


def _distant(data: bytes) -> set[str]:
    """Give the hints whose sign counts wherever it stands: no scan of a part may see it."""
    hints = set()
    for sign in (b"|", b">"):
        pieces = data.split(sign)
        for before, after in zip(pieces, pieces[1:], strict=False):  # noqa: RUF007 - no itertools
            if before.endswith(b": ") and after[:_HEAD].lstrip(_INDICATED)[:1] == b"\n":
                hints.add("block")
    at = data.find(b"Secret")
    while at >= 0:
        if data[max(at - _KIND, 0) : at].translate(None, _QUOTED).endswith(b"kind:"):
            return hints | {"kubernetes"}
        at = data.find(b"Secret", at + 1)
    return hints


def _around(text: bytes, low: int, high: int) -> tuple[int, int]:
    """Give the part from the line before the one at ``low`` to the one behind that at ``high``."""
    start = text.rfind(b"\n", 0, low - 1) + 1 if low else 0
    stop = text.find(b"\n", high)
    stop = text.find(b"\n", stop + 1) if stop >= 0 else -1
    return start, stop if stop >= 0 else len(text)


def _pieces(data: bytes, before: bytes, place: tuple[int, int], hints: frozenset[str]) -> bool:
    """Say whether a new line, or one with a new neighbour, may be part of a value in pieces.

    ``place`` begins and ends with a line of its own. The line behind it is old, and may have a new
    neighbour.
    """
    from secretkit.scan.hook.wrapped import encoded, joined  # noqa: PLC0415 - half a millisecond

    low, high = place
    lines = data[slice(*_around(data, low, high))].split(b"\n")
    first = 1 if low else 0
    numbers = range(first, first + data.count(b"\n", low, high) + 1)
    around: list[bytes] = []
    if before:
        around = before[slice(*_around(before, low, len(before) - len(data) + high))].split(b"\n")
    known, pairs = frozenset(around), frozenset(zip(around, around[1:], strict=False))  # noqa: RUF007 - no itertools
    if encoded(b"\n".join([lines[at] for at in numbers if lines[at] not in known]), hints=hints):
        return True
    fresh = [
        at
        for at in numbers
        if lines[at] not in known or (at and (lines[at - 1], lines[at]) not in pairs)
    ]
    if joined(lines, fresh=fresh, hints=hints - {"block"}):
        return True
    if "block" not in hints:
        return False
    above = data.count(b"\n", 0, low) - first  # the head of a block may stand anywhere above
    return joined(data.split(b"\n"), fresh=[above + at for at in fresh], hints=frozenset({"block"}))


class _Rule:
    """What confirming a match takes of a rule."""

    def __init__(self, pattern: str, reach: int) -> None:
        self.pattern, self.reach = pattern, reach


class Rules:
    """The rules of a pack, without the classes that the full scan has for them."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._known: dict[int, tuple[str, _Rule]] = {}

    def hint(self, index: int) -> str:
        """Give the encoding of which the rule is a sign, or nothing for any other rule."""
        return (self._known.get(index) or self._read(index))[0]

    def __getitem__(self, index: int) -> _Rule:
        return (self._known.get(index) or self._read(index))[1]

    def _read(self, index: int) -> tuple[str, _Rule]:
        fields = self._pack.record(index).split(b"\0")
        hint = fields[0].decode().removeprefix("hint-") if fields[_JUDGED] == b"hint" else ""
        self._known[index] = hint, _Rule(fields[_PATTERN].decode(), int(fields[_REACH]))
        return self._known[index]
