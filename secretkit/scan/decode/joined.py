"""Joined: values that a program or a document writes in pieces, put together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from secretkit.scan.decode.budget import Nested

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["block_values", "joined_literals"]

_CHAR: Final = rb"[0-9A-Za-z_/+=.:@%~!#$&*-]"
# What stands between two pieces: a closing quote, an operator or a line break, an opening quote.
# Without either, two literals side by side are as often two values as one.
_JOINER: Final = (
    rb"[\"'`](?:[ \t]{0,40}(?:\+|\.\.?|&|\|\||<>|\\)[ \t]{0,40}(?:\\?\r?\n[ \t]{0,80})?"
    rb"|[ \t]{0,40}\\?\r?\n[ \t]{0,80}(?:(?:\+|\.\.?|&|\|\||<>)[ \t]{0,8})?)"
    rb"(?:[rbuf]|@|\$)?[\"'`]"
)
_LITERALS: Final = re.compile(
    rb"[\"'`]" + _CHAR + rb"{2,200}(?:" + _JOINER + _CHAR + rb"{2,200}){1,60}[\"'`]"
)
_BETWEEN: Final = re.compile(_JOINER)
_BLOCK: Final = re.compile(
    rb"^([ \t]{0,200})(?:- )?[\"']?([\w.-]{1,80})[\"']?[ \t]*[:=][ \t]*[|>][0-9+-]{0,2}[ \t]*\r?\n"
    rb"((?:[ \t]{1,40}[^\s#]{8,200}[ \t]*\r?\n?){2,200})",
    re.MULTILINE,
)


def joined_literals(data: bytes) -> Iterator[Nested]:
    """Give adjacent string literals, also over lines, as one, behind what stands before them."""
    for found in _LITERALS.finditer(data):
        start = max(data.rfind(b"\n", 0, found.start()) + 1, found.start() - 200)
        joined = _BETWEEN.sub(b"", found[0])
        yield Nested(data=data[start : found.start()] + joined + b"\n", span=found.span())


def block_values(data: bytes) -> Iterator[Nested]:
    """Give the value of a YAML block of lines without spaces as one, with its key.

    https://yaml.org/spec/1.2.2/#81-block-scalar-styles
    """
    for found in _BLOCK.finditer(data):
        value = b"".join(found[3].split())
        yield Nested(data=found[2] + b': "' + value + b'"\n', span=found.span(3))
