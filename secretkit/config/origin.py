"""Where a value came from, and on which line of a TOML file a key stands.

``tomllib`` gives values without positions, so :func:`key_lines` walks the text of a file that
``tomllib`` has already accepted and notes the line of every table header and key.
"""

from __future__ import annotations

import enum
import re
import tomllib
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KeyPath", "Origin", "OriginKind", "dotted", "key_lines", "line_of"]

KeyPath = tuple[str, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER: Final = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]\]?")
_KEY: Final = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|"
    r"\#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


class OriginKind(enum.StrEnum):
    """The four places a value can come from, the strongest last."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    ARGUMENT = "argument"


@record(kw_only=True)
class Origin:
    """Where one effective value came from.

    ``place`` is a file, the name of an environment variable, or that of an argument.
    """

    kind: OriginKind = OriginKind.DEFAULT
    place: str = ""
    key_path: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Say it on one line: ``default``, ``FILE:LINE KEY.PATH``, a variable or an argument."""
        if self.kind is OriginKind.DEFAULT:
            return "default"
        if self.kind is OriginKind.FILE:
            line = f":{self.line}" if self.line else ""
            return f"{self.place}{line} {self.key_path}"
        return f"{self.kind} {self.place}"


def dotted(path: KeyPath) -> str:
    """Write a key path for a message. A part that could be a pasted secret is not shown."""
    return ".".join(part if _BARE.fullmatch(part) else "'…'" for part in path)


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """Give the line of ``path`` or of the nearest table above it; 0 if neither is known."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 0


def key_lines(text: str) -> dict[KeyPath, int]:
    """Give the line, from 1, of each table header and key in valid TOML.

    Keys inside inline tables are not noted: they stand on the line of the key that holds them, or
    shortly below it. Cost: linear in the text.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    at, number = 0, 1
    while at < len(text):
        header = _HEADER.match(text, at)
        key = None if header else _KEY.match(text, at)
        if header is not None:
            table = _parts(header.group(1))
            lines.setdefault(table, number)
            at = header.end()
        elif key is not None:
            lines.setdefault(table + _parts(key.group(1)), number)
            at = key.end()
        at, number = _next_statement(text, at, number)
    return lines


def _next_statement(text: str, at: int, number: int) -> tuple[int, int]:
    """Skip the rest of a statement: to the first line break outside strings and brackets."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        what = token.group()
        number += what.count("\n")
        if what in "[{":
            depth += 1
        elif what in "]}":
            depth -= 1
        elif what == "\n" and depth <= 0:
            return token.end(), number
    return len(text), number


def _parts(key: str) -> KeyPath:
    """Split a dotted key; ``tomllib`` itself undoes the quoting."""
    found: list[str] = []
    node: object = tomllib.loads(f"{key} = 0")
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        found.append(name)
    return tuple(found)
