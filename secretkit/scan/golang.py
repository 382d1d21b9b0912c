"""Golang: turns a regular expression in Go's syntax (RE2) into the one that rules are written in.

https://pkg.go.dev/regexp/syntax
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["translated"]

_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_FLAGS: Final = re.compile(r"\(\?([ims]*)(?:-([ims]+))?([:)])")
_POSIX: Final = re.compile(r"\[:(\^?)(\w+):\]")
_BRACED: Final = re.compile(r"\\x\{([0-9A-Fa-f]{1,2})\}")


def translated(pattern: str) -> str:
    """Give ``pattern`` as a Python bytes expression that matches the same ASCII text.

    A flag that is set in the middle of a group holds to its end, as in Go.

    Raises:
        ValueError: for what has no counterpart: Unicode classes, swapped greed, text beyond ASCII.
    """
    if not pattern.isascii():
        raise ValueError("it holds text beyond ASCII")
    return _Translation(pattern).whole()


class _Translation:
    """Reads an expression once from left to right."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._out: list[str] = []
        self._extra = [0]  # how many groups a flag has opened, at each depth

    def whole(self) -> str:
        while self._at < len(self._text):
            self._step()
        if len(self._extra) != 1:
            raise ValueError("a group is not closed")
        return "".join(self._out) + ")" * self._extra[0]

    def _step(self) -> None:
        match self._text[self._at]:
            case "\\":
                self._escape()
            case "[":
                self._set()
            case "(":
                self._open()
            case ")":
                if len(self._extra) == 1:
                    raise ValueError("a group is closed that was not opened")
                self._put(")" * self._extra.pop() + ")", 1)
            case one:
                self._put(one, 1)

    def _put(self, text: str, length: int) -> None:
        self._out.append(text)
        self._at += length

    def _escape(self) -> None:
        escape = self._text[self._at : self._at + 2]
        if escape in {r"\p", r"\P"}:
            raise ValueError("Unicode classes are not supported")
        if escape == r"\Q":
            end = self._text.find(r"\E", self._at)
            end = end if end >= 0 else len(self._text)
            self._put(re.escape(self._text[self._at + 2 : end]), end + 2 - self._at)
        elif escape == r"\z":
            self._put(r"\Z", 2)
        elif braced := _BRACED.match(self._text, self._at):
            self._put(f"\\x{int(braced[1], 16):02x}", len(braced[0]))
        elif len(escape) == 1 or escape in {r"\C", r"\G"}:
            raise ValueError("an escape is not supported")
        else:
            self._put(escape, 2)

    def _set(self) -> None:
        """Copy a class in brackets, POSIX names in it written out."""
        end = self._at + 1
        end += self._text.startswith("^", end)
        parts = [self._text[self._at : end]]
        first = True
        while first or not self._text.startswith("]", end):
            named = _POSIX.match(self._text, end)
            if end >= len(self._text):
                raise ValueError("a class in brackets is not closed")
            if named:
                if named[1] or named[2] not in _CLASSES:
                    raise ValueError("a class in brackets is not supported")
                parts.append(_CLASSES[named[2]])
                end = named.end()
            elif self._text.startswith((r"\p", r"\P"), end):
                raise ValueError("Unicode classes are not supported")
            else:
                length = 2 if self._text[end] == "\\" else 1
                one = self._text[end : end + length]
                parts.append("\\" + one if one in {"[", "&", "|", "~"} else one)
                end += length
            first = False
        self._out.append("".join(parts) + "]")
        self._at = end + 1

    def _open(self) -> None:
        flags = _FLAGS.match(self._text, self._at)
        if flags is None:
            if self._text.startswith("(?", self._at) and self._text[
                self._at + 2 : self._at + 3
            ] not in {
                "P",
                "<",
                ":",
            }:
                raise ValueError("a flag is not supported")
            named = self._text.startswith("(?<", self._at)
            self._put("(?P<" if named else "(", 3 if named else 1)
            self._extra.append(0)
            return
        on, off, last = flags.groups()
        opened = f"(?{on}{'-' + off if off else ''}:"
        if last == ":":
            self._extra.append(0)
        else:
            self._extra[-1] += 1
        if on or off or last == ":":
            self._put(opened, len(flags[0]))
        else:
            raise ValueError("an empty flag is not supported")
