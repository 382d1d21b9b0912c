"""Rulefile: reads the rule files that ship with secretkit, quickly.

They are TOML, but plain: one ``name = value`` a line. :mod:`tomllib` takes 50 ms for 500 rules, and
who only redacts a log would wait for it; this takes 10. What is not plain is left to ``tomllib``,
and a test holds the two against each other over every file.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

__all__ = ["files", "read"]

_LINE: Final = re.compile(
    r"^(?:\[\[(rule)\]\]|([a-z]+) = (\[\n(?:.*\n)*?\]|.*))[ \t]*$", re.MULTILINE
)
_EXAMPLES: Final = frozenset({"matches", "misses"})
_TEXT: Final = r"(?:[^\"\\\n]|\\[\"\\])*"
_STRING: Final = re.compile(rf"\"({_TEXT})\"")
_ESCAPED: Final = re.compile(r"\\(.)")
_RAW: Final = re.compile(r"'([^'\n]*)'|'''([^'\n][^\n]*?)'''")
_LIST: Final = re.compile(rf"\[[\s,]*(?:(?:\"{_TEXT}\"|'[^'\n]*')[\s,]*)*\]")
_ITEM: Final = re.compile(rf"\"({_TEXT})\"|'([^'\n]*)'")
_BETWEEN: Final = frozenset("[], \t\n")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def files() -> list[tuple[str, str]]:
    """Give name and text of every rule file that ships with secretkit, sorted by name."""
    folder = os.path.join(os.path.dirname(__file__), "rules")  # noqa: PTH118, PTH120 - pathlib takes 10 ms
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".toml"))  # noqa: PTH208
    except OSError:
        return _packed()
    return [(name, _text(os.path.join(folder, name))) for name in names]  # noqa: PTH118 - as above


def _text(path: str) -> str:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, os.fstat(file).st_size).decode()
    finally:
        os.close(file)


def _packed() -> list[tuple[str, str]]:
    """Read the files out of a zip archive, where the package is in one."""
    from importlib import resources  # noqa: PLC0415 - takes 10 ms

    folder = resources.files("secretkit.scan") / "rules"
    found = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return sorted((file.name, file.read_text(encoding="utf-8")) for file in found)


def read(text: str) -> dict[str, Any]:
    """Give what ``tomllib.loads`` gives for a rule file, most often without the examples."""
    table = _plain(text)
    if table is None:
        import tomllib  # noqa: PLC0415 - few files need it

        table = tomllib.loads(text)
    return table


def _plain(text: str) -> dict[str, Any] | None:
    """Read a plain file without its examples, or give None."""
    table: dict[str, Any] = {"rule": []}
    into = table
    for rule, name, written in _LINE.findall(text):
        if rule:
            into = {}
            table["rule"].append(into)
        elif name not in _EXAMPLES:
            value = _value(written)
            if value is None or name in into:
                return None
            into[name] = value
    return table


def _value(written: str) -> object:
    """Give one value, or None for what is not plain."""
    match written[:1]:
        case '"':
            string = _STRING.fullmatch(written)
            return None if string is None else _unescaped(string[1])
        case "'":
            raw = _RAW.fullmatch(written)
            return None if raw is None else raw[1] if raw[2] is None else raw[2]
        case "[":
            return _strings(written)
    if _NUMBER.fullmatch(written) is None:
        return None
    return float(written) if "." in written else int(written)


def _strings(written: str) -> list[str] | None:
    if "\\" not in written and "'" not in written:
        parts = written.split('"')
        if len(parts) % 2 and _BETWEEN.issuperset("".join(parts[::2])):
            return parts[1::2]
    if _LIST.fullmatch(written) is None:
        return None
    return [raw or _unescaped(text) for text, raw in _ITEM.findall(written)]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
