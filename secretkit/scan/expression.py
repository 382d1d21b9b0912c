"""Expression: writes the pattern for a value near a word, and the anchor of any pattern.

A pattern is an ASCII Python bytes expression. An anchor is what an engine looks for: the start of
the pattern, without assertions, so it matches at least wherever the pattern does.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from secretkit.scan import syntax
from secretkit.scan.syntax import NEWLINE, Item, Node

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WIDEST", "anchor", "near"]

WIDEST: Final = 256
"""No anchor matches more bytes than this."""

_NEAR: Final = 40
BRIDGE: Final = rf"[^\r\n]{{0,{_NEAR}}}?"
"""What stands between an issuer's name and a value in the patterns of :func:`near`."""
_EDGE: Final = r"0-9A-Za-z_/+"
_TAIL: Final = 40  # more of one class says no more about a match, and costs compile time
_ALL: Final = (1 << 256) - 1


def near(words: Sequence[str], value: str) -> str:
    """Give a pattern for ``value`` at most 40 bytes behind one of ``words``, in any case.

    Around the value stands no character of ``0-9A-Za-z_/+``; neither ``.`` nor ``-`` before it.
    """
    either = "|".join(re.escape(word).replace(r"\ ", "[ ]") for word in words)
    return (
        rf"(?i:{either}){BRIDGE}"
        rf"(?<![{_EDGE}.\-])(?P<secret>{value})(?![{_EDGE}]|-[0-9A-Za-z])"
    )


def anchor(pattern: str, *, reach: int = 0) -> str:
    r"""Give an expression that matches, at the same start, wherever ``pattern`` does in one line.

    It is a start of ``pattern``: cut where it could get wider than 256 bytes, or where a pattern
    with a ``reach`` may go on into the next line; its last repeat is cut to the fewest. It never
    matches a newline, and it is written in classes and groups only, so that hyperscan, re2 and
    :mod:`re` read it alike (``\s`` is not the same in all three).

    Raises:
        ValueError: for what no engine in linear time has: a back-reference, an atomic or
            conditional group, a possessive repeat; and if nothing is left to look for.
    """
    items, _ = _cut(syntax.parse(pattern), WIDEST, crosses=reach > 0)
    items = _trimmed(items)
    if not sum(item.least for item in items):
        raise ValueError("the pattern matches the empty text")
    return "".join(map(_written, items))


def _cut(items: Sequence[Item], room: int, *, crosses: bool) -> tuple[list[Item], bool]:
    """Give the start of a sequence that is at most ``room`` bytes wide, and whether it is all."""
    kept: list[Item] = []
    for item in items:
        node, whole = _cut_node(item.node, room, crosses=crosses)
        if node is None:
            if item.low:
                return kept, False
            if not whole:
                return kept, False  # it may stand here or not: end before it
            continue
        wide = node.widest
        if whole and item.high is not None and item.high * wide <= room:
            kept.append(Item(node, item.low, item.high))
            room -= item.high * wide
            continue
        fits = min(item.low, room // wide) if whole else min(item.low, 1)
        if fits:
            kept.append(Item(node, fits, fits))
        return kept, False
    return kept, True


def _cut_node(node: Node, room: int, *, crosses: bool) -> tuple[Node | None, bool]:
    """Give what of a node is ``room`` bytes wide and in one line, None for nothing."""
    if isinstance(node, syntax.Set):
        if crosses and node.mask & NEWLINE:
            return None, False
        mask = node.mask & ~NEWLINE
        return (syntax.Set(mask) if mask and room else None), bool(mask and room) or not node.mask
    cuts = [_cut(one, room, crosses=crosses) for one in node.alternatives]
    # An alternative of nothing but newlines cannot match in one line: it gives nothing to find.
    if any(not any(item.least for item in one) and not whole for one, whole in cuts):
        return None, False
    made = syntax.Group(tuple(tuple(one) for one, _ in cuts))
    whole = all(whole for _, whole in cuts)
    return (made if made.widest else None), whole


def _trimmed(items: Sequence[Item]) -> list[Item]:
    """Give a sequence whose last repeat is cut to the fewest: it need not say where it ends."""
    kept = list(items)
    while kept and not kept[-1].low:
        kept.pop()
    if kept:
        last = kept.pop()
        if isinstance(last.node, syntax.Set):
            kept.append(Item(last.node, *[min(last.low, _TAIL)] * 2))
        elif last.low > 1:
            kept.append(Item(last.node, last.low, last.low))
        else:
            ends = tuple(tuple(_trimmed(one)) for one in last.node.alternatives)
            kept.append(Item(syntax.Group(ends), 1, 1))
    return kept


def _written(item: Item) -> str:
    return _atom(item.node) + _repeat(item.low, item.high)


def _atom(node: Node) -> str:
    if isinstance(node, syntax.Set):
        return _class(node.mask)
    return "(?:" + "|".join("".join(map(_written, one)) for one in node.alternatives) + ")"


def _repeat(low: int, high: int | None) -> str:
    if low == high:
        return "" if low == 1 else f"{{{low}}}"
    return "?" if (low, high) == (0, 1) else f"{{{low},{high}}}"


@functools.lru_cache(1024)
def _class(mask: int) -> str:
    """Write a set of bytes as a class, or as the one byte that it holds."""
    inverted = mask.bit_count() > 128  # noqa: PLR2004 - half of all bytes
    shown = _ALL & ~mask if inverted else mask
    if shown.bit_count() == 1 and not inverted:
        return _byte(shown.bit_length() - 1)
    runs: list[str] = []
    byte = 0
    while shown >> byte:
        if shown >> byte & 1:
            end = byte
            while shown >> (end + 1) & 1:
                end += 1
            runs.append(_byte(byte) if end == byte else f"{_byte(byte)}-{_byte(end)}")
            byte = end
        byte += 1
    return f"[{'^' if inverted else ''}{''.join(runs)}]"


def _byte(byte: int) -> str:
    shown = chr(byte)
    return shown if shown.isascii() and (shown.isalnum() or shown == "_") else f"\\x{byte:02x}"
