"""Syntax: reads the part of Python's expressions that a rule may use into a tree of byte sets.

Our own reader, because Python's (``re._parser``) is private. Whatever it does not know, it refuses.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["NEWLINE", "Group", "Item", "Node", "Set", "parse"]

NEWLINE: Final = 1 << 10
_ALL: Final = (1 << 256) - 1
_TOKEN: Final = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|0|.)"
    r"|\[\^?\]?(?:\\.|[^\]\\])*\]"
    r"|\(\?(?:P<\w+>|<[=!]|[=!:]|-?[is]+[:)]|.)"
    r"|[*+?][?+]?|\{\d*,?\d*\}[?+]?|.",
    re.DOTALL,
)
_MEMBER: Final = re.compile(r"\\x[0-9A-Fa-f]{2}|\\.|.", re.DOTALL)
_BOUNDS: Final = re.compile(r"\{(\d*)(,?)(\d*)\}")
_ASSERTIONS: Final = frozenset({"(?=", "(?!", "(?<=", "(?<!"})
_EDGES: Final = frozenset({r"\b", r"\B", r"\A", r"\Z", "^", "$"})
_OR, _ANY, _BARE = "|", ".", "{,}"
_CONTROLS: Final = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "0": 0}


class Set(NamedTuple):
    """One byte out of those whose bit is set."""

    mask: int

    @property
    def least(self) -> int:
        """Give how many bytes it matches at least."""
        return 1

    @property
    def widest(self) -> int:
        """Give how many bytes it matches at most."""
        return 1


class Item(NamedTuple):
    """A node that stands ``low`` to ``high`` times; None is without end."""

    node: Node
    low: int
    high: int | None

    @property
    def least(self) -> int:
        """Give how many bytes it matches at least."""
        return self.low * self.node.least


class Group(NamedTuple):
    """One of several sequences."""

    alternatives: tuple[tuple[Item, ...], ...]

    @property
    def least(self) -> int:
        """Give how many bytes it matches at least."""
        return min(sum(item.least for item in one) for one in self.alternatives)

    @property
    def widest(self) -> int:
        """Give how many bytes it matches at most; an endless repeat counts as none."""
        return max(
            sum((item.high or 0) * item.node.widest for item in one) for one in self.alternatives
        )


Node = Set | Group


def _mask(characters: str) -> int:
    return sum(1 << byte for byte in frozenset(characters.encode("latin-1")))


_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_UPPER: Final = _mask(_LETTERS.upper())
_LOWER: Final = _mask(_LETTERS)
_DIGIT: Final = _mask("0123456789")
_WORD: Final = _UPPER | _LOWER | _DIGIT | _mask("_")
_SPACE: Final = _mask(" \t\n\r\f\v")
_KINDS: Final = {
    "d": _DIGIT,
    "D": _ALL & ~_DIGIT,
    "w": _WORD,
    "W": _ALL & ~_WORD,
    "s": _SPACE,
    "S": _ALL & ~_SPACE,
}


def parse(pattern: str) -> tuple[Item, ...]:
    """Give the tree of a pattern; assertions are left out, groups lose their names.

    Raises:
        ValueError: for what is not ASCII, not closed, or not supported.
    """
    if not pattern.isascii():
        raise ValueError("it is not ASCII")
    reader = _Reader(_TOKEN.findall(pattern))
    read = reader.alternatives(frozenset())
    if reader.at < len(reader.tokens):
        raise ValueError("a group is closed that was not opened")
    return read[0] if len(read) == 1 else (Item(Group(read), 1, 1),)


class _Reader:
    """Reads tokens from left to right; ``flags`` are those in force, of ``i`` and ``s``."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def alternatives(self, flags: frozenset[str]) -> tuple[tuple[Item, ...], ...]:
        read: list[tuple[Item, ...]] = []
        items: list[Item] = []
        while self.at < len(self.tokens) and self.tokens[self.at] != ")":
            token = self.tokens[self.at]
            self.at += 1
            if token == _OR:
                read.append(tuple(items))
                items = []
            elif token[0] in "*+?" or (token[0] == "{" and _BOUNDS.match(token) and token != _BARE):
                if not items:
                    raise ValueError("a repeat of nothing")
                items.append(_repeated(items.pop(), token))
            elif token.startswith("(?") and token.endswith(")"):
                flags = _flags(token, flags)
            else:
                node = self._node(token, flags)
                if node is not None:
                    items.append(Item(node, 1, 1))
        return (*read, tuple(items))

    def _node(self, token: str, flags: frozenset[str]) -> Node | None:
        if token in _EDGES:
            return None
        if token.startswith("("):
            return self._group(token, flags)
        if token.startswith("["):
            return Set(_folded(_members(token), flags))
        if token == _ANY:
            return Set(_ALL if "s" in flags else _ALL & ~NEWLINE)
        if len(token) > 1 and token[1] in _KINDS:
            return Set(_KINDS[token[1]])
        return Set(_folded(1 << _byte(token), flags))

    def _group(self, token: str, flags: frozenset[str]) -> Group | None:
        inner = _flags(token, flags) if token not in {"(", "(?:"} else flags
        read = self.alternatives(inner)
        if self.at == len(self.tokens):
            raise ValueError("a group is not closed")
        self.at += 1
        return None if token in _ASSERTIONS else Group(read)


def _flags(token: str, flags: frozenset[str]) -> frozenset[str]:
    if token in _ASSERTIONS or token.startswith("(?P<"):
        return flags
    if not set(token) <= set("(?-is:)"):
        raise ValueError(f"{token} is not supported: an atomic or conditional group, or a flag")
    on, _, off = token.strip("(?:)").partition("-")
    return (flags | frozenset(on)) - frozenset(off)


def _repeated(item: Item, token: str) -> Item:
    if (item.low, item.high) != (1, 1):
        raise ValueError("a repeat of a repeat")
    if len(token) > 1 and token.endswith("+"):
        raise ValueError("possessive repeats are not supported")
    if token[0] in "*+?":
        return Item(item.node, int(token[0] == "+"), 1 if token[0] == "?" else None)
    bounds = _BOUNDS.match(token)
    low, comma, high = bounds.groups() if bounds else ("", "", "")
    if not comma:
        return Item(item.node, int(low), int(low))
    return Item(item.node, int(low or 0), int(high) if high else None)


def _members(token: str) -> int:
    """Give the set of a class."""
    inverted = token.startswith("[^")
    members = _MEMBER.findall(token[2 if inverted else 1 : -1])
    mask, at = 0, 0
    while at < len(members):
        one = members[at]
        if one[0] == "\\" and one[1] in _KINDS:
            mask |= _KINDS[one[1]]
            at += 1
        elif at + 2 < len(members) and members[at + 1] == "-":
            for byte in range(_byte(one), _byte(members[at + 2]) + 1):
                mask |= 1 << byte
            at += 3
        else:
            mask |= 1 << _byte(one)
            at += 1
    return _ALL & ~mask if inverted else mask


def _byte(token: str) -> int:
    if token[0] != "\\":
        return ord(token)
    if token[1] == "x" and len(token) > len(r"\x"):
        return int(f"0{token[1:]}", base=0)
    if token[1] in _CONTROLS:
        return _CONTROLS[token[1]]
    if token[1].isalnum():
        raise ValueError(f"{token} is not supported")
    return ord(token[1])


def _folded(mask: int, flags: frozenset[str]) -> int:
    """Add the other case of each ASCII letter, where case does not count."""
    if "i" not in flags:
        return mask
    return mask | (mask & _UPPER) << 32 | (mask & _LOWER) >> 32
