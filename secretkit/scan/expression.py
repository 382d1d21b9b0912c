"""Expression: turns a rule's pattern into what every engine understands, and writes common ones.

A pattern is an ASCII Python bytes expression. An anchor is the same without assertions: no engine
but :mod:`re` knows look-around, and leaving an assertion out only ever matches more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["anchor", "near"]

_NEAR: Final = 40
_OPEN: Final = "("
_CLOSE: Final = ")"
_EDGE: Final = r"0-9A-Za-z_/+"
_ASSERTIONS: Final = ("(?=", "(?!", "(?<=", "(?<!")
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:P<\w+>|<[=!]|[=!])|.", re.DOTALL)


def near(words: Sequence[str], value: str) -> str:
    """Give a pattern for ``value`` at most 40 bytes behind one of ``words``, in any case.

    Around the value stands no character of ``0-9A-Za-z_/+``; neither ``.`` nor ``-`` before it.
    """
    either = "|".join(re.escape(word).replace(r"\ ", "[ ]") for word in words)
    return (
        rf"(?i:{either})[^\r\n]{{0,{_NEAR}}}?"
        rf"(?<![{_EDGE}.\-])(?P<secret>{value})(?![{_EDGE}]|-[0-9A-Za-z])"
    )


def anchor(pattern: str) -> str:
    """Give ``pattern`` without assertions and names: it matches wherever ``pattern`` does.

    Raises:
        ValueError: for a back-reference, an atomic or conditional group, or a possessive repeat,
            which engines that match in linear time do not have.
    """
    kept: list[str] = []
    depth, hidden = 0, 0  # hidden: the depth at which an assertion began, 0 outside of one
    for token in _tokens(pattern):
        if token.startswith("("):
            depth += 1
            if not hidden and token in _ASSERTIONS:
                hidden = depth
        if not hidden:
            kept.append(_plain(token))
        if token == _CLOSE:
            hidden = 0 if hidden == depth else hidden
            depth -= 1
    if depth:
        raise ValueError("a group is not closed")
    return "".join(kept)


def _tokens(pattern: str) -> Iterator[str]:
    for found in _TOKEN.finditer(pattern):
        token, follows = found[0], pattern[found.end() : found.end() + 2]
        if token == _OPEN and follows in {"?>", "?("}:
            raise ValueError("atomic and conditional groups are not supported")
        if token in {"*", "+", "?", "}"} and follows.startswith("+"):
            raise ValueError("possessive repeats are not supported")
        yield token


def _plain(token: str) -> str:
    if token in {r"\b", r"\B", r"\A", r"\Z", "^", "$"}:
        return ""
    if token.startswith("\\") and token[1:].isdigit():
        raise ValueError("back-references are not supported")
    return "(?:" if token.startswith("(?P<") else token
