"""Spelling: what a secret may look like in a log, and which of its parts are secrets too."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MIN_LENGTH", "all_spellings"]

MIN_LENGTH: Final = 8
"""Shorter values are not looked for: replacing every "1234" would ruin the log and hide little."""

_MIN_LINE: Final = 16  # of a secret of several lines; shorter ones say little and are common words
_MOST_PARTS: Final = 256  # lines, and fields, of one secret: a key of 16,384 bits has 200 lines
_DEPTH: Final = 16


def all_spellings(value: str) -> set[str]:
    """Give the spellings of a value, of the fields in it, and of the lines of either."""
    found = _spellings(value)
    fields = _fields(value)
    for field in fields:
        found |= _spellings(field)
    for line in _lines((value, *fields)):
        found |= _plain(line)
    return found


def _fields(value: str) -> list[str]:
    """Give the strings in a JSON object or array, without its keys."""
    if value.lstrip()[:1] not in ("{", "["):
        return []
    try:
        pending = [(json.loads(value), 0)]
    except (ValueError, RecursionError):
        return []
    found: dict[str, None] = {}
    while pending and len(found) < _MOST_PARTS:
        inner, depth = pending.pop()
        if isinstance(inner, str) and len(inner) >= MIN_LENGTH:
            found[inner] = None
        elif isinstance(inner, dict | list) and depth < _DEPTH:
            several = inner.values() if isinstance(inner, dict) else inner
            pending += [(one, depth + 1) for one in several]
    return list(found)


def _lines(values: Iterable[str]) -> list[str]:
    """Give the lines by which a key in PEM is known however it is indented or its lines end."""
    found: dict[str, None] = {}
    for value in values:
        for line in value.splitlines() if "\n" in value or "\r" in value else ():
            bare = line.strip()
            # "-----BEGIN PRIVATE KEY-----" is no secret.
            if len(bare) >= _MIN_LINE and not bare.startswith("-----"):
                found[bare] = None
            if len(found) == _MOST_PARTS:
                return list(found)
    return list(found)


def _spellings(value: str) -> set[str]:
    if len(value) < MIN_LENGTH:
        return set()
    raw = value.encode()
    more = {raw.hex(), raw.hex().upper(), "\r\n".join(value.splitlines())}
    return {form for form in _plain(value) | _base64_forms(raw) | more if len(form) >= MIN_LENGTH}


def _plain(value: str) -> set[str]:
    return {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(value)[1:-1].replace("/", "\\/"),
        repr(value)[1:-1],
        repr(value.encode())[2:-1],
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
    }


def _base64_forms(raw: bytes) -> set[str]:
    """Give what ``raw`` looks like inside the base64 of any longer text.

    Up to two bytes before and after shift it by 0, 2 or 4 bits; the characters at either edge
    depend on the neighbours and are left out.
    """
    found: set[str] = set()
    for before in range(3):
        start = (before * 8 + 5) // 6
        end = (before + len(raw)) * 8 // 6
        text = base64.b64encode(b"\0" * before + raw).decode()[start:end]
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found
