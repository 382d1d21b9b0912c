"""Gitleaks: reads rules from a configuration of gitleaks, and says what was left behind.

https://github.com/gitleaks/gitleaks#configuration
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.errors import ConfigError
from secretkit.scan.golang import translated
from secretkit.scan.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Imported", "is_gitleaks", "parse_gitleaks"]

_REACH: Final = 1024
_GROUP: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?P<\w+>", re.DOTALL)
_SHORTEST: Final = 3
_WHOLE: Final = re.compile(r"\(\?i:((?:[^()\\]|\\.)*)\)", re.DOTALL)
_PIECE: Final = re.compile(
    r"(?P<piece>\\x[0-9a-fA-F]{2}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?[^:)]*[:)>])?|.)"
    r"(?P<repeat>[*+?]\??|\{\d+(?:,\d*)?\}\??)?",
    re.DOTALL,
)
_UNESCAPED: Final = re.compile(r"\\?([_/:=@#!%&<>\"'`~;, -]|(?<!\\)[0-9A-Za-z]|(?<=\\)[.$*+?|])")
_KNOWN: Final = frozenset(
    {"id", "description", "regex", "secretGroup", "entropy", "keywords", "tags", "title"}
)
_LEFT: Final = {
    "path": "is looked for in every path, not only in those of its `path`",
    "allowlist": "what its allowlist accepts is reported; accept it in the baseline",
    "allowlists": "what its allowlists accept is reported; accept it in the baseline",
    "required": "is reported also without the rules that it requires nearby",
    "skipReport": "is reported, although it has skipReport",
}


@record(kw_only=True)
class Imported:
    """Rules that were taken over, and a sentence for each thing that could not be."""

    rules: tuple[Rule, ...]
    notes: tuple[str, ...]


def is_gitleaks(text: str) -> bool:
    """Say whether this TOML is a configuration of gitleaks rather than a rule file of ours."""
    return (
        re.search(r"^\s*\[\[\s*rules\s*\]\]|^\s*\[\s*extend\s*\]", text, re.MULTILINE) is not None
    )


def parse_gitleaks(text: str, *, file: str) -> Imported:
    """Read a gitleaks configuration.

    A rule is taken over with its regex, secretGroup, keywords and entropy. What is left out never
    makes a rule find less, but for rules that are left out whole; each is named in ``notes``.

    Raises:
        ConfigError: if it is not TOML, or has no table where one should be.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}", file=file) from None
    entries = table.get("rules", [])
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ConfigError("rules is a list of [[rules]]", file=file)
    notes = list(_global(table))
    rules: list[Rule] = []
    for number, entry in enumerate(entries, 1):
        name = str(entry.get("id") or f"rule {number}")
        try:
            rules.append(_rule(entry, name))
        except (ValueError, TypeError, re.error) as error:
            notes.append(f"{name}: left out: {error}")
            continue
        notes += [f"{name}: {_LEFT[key]}" for key in _LEFT if key in entry]
        odd = sorted(entry.keys() - _KNOWN - _LEFT.keys())
        notes += [f"{name}: `{key}` is not known here" for key in odd]
    return Imported(rules=tuple(rules), notes=tuple(notes))


def _global(table: Mapping[str, Any]) -> Iterator[str]:
    extend = table.get("extend", {})
    if "path" in extend or "url" in extend:
        yield "extend: name that file with --rules as well; only this one was read"
    if extend.get("disabledRules"):
        yield "extend: disabledRules are rules of gitleaks; none of ours is switched off"
    for key in ("allowlist", "allowlists"):
        if key in table:
            yield f"{key}: not taken over; use --exclude for paths and the baseline for findings"


def _rule(entry: Mapping[str, Any], name: str) -> Rule:
    regex = entry.get("regex")
    if not isinstance(regex, str) or not regex:
        raise ValueError("it has no regex, and rules for paths alone are not supported")
    pattern = _grouped(translated(regex), entry.get("secretGroup", 0))
    re.compile(pattern.encode("ascii"))
    keywords = _keywords(entry.get("keywords", [])) or _literal(pattern)
    if not keywords:
        raise ValueError("it needs keywords: words of which one is in every match")
    return Rule(
        id=name,
        issuer="gitleaks",
        description=str(entry.get("description") or name),
        pattern=pattern,
        anchor="",
        keywords=keywords,
        severity="high",
        confidence="medium",
        reach=_REACH if _crosses(pattern) else 0,
        entropy=float(entry.get("entropy", 0)),
    )


def _keywords(words: object) -> tuple[str, ...]:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TypeError("keywords is a list of strings")
    if not all(word.isascii() for word in words):
        raise ValueError("a keyword holds text beyond ASCII")
    return tuple(word.lower() for word in words if word)


def _literal(pattern: str) -> tuple[str, ...]:
    """Give the longest text that is in every match, if three characters of it can be told."""
    while whole := _WHOLE.fullmatch(pattern):
        pattern = whole[1]
    runs, run, depth = [""], "", 0
    for found in _PIECE.finditer(pattern):
        piece, repeat = found["piece"], found["repeat"] or ""
        if piece == "|" and not depth:
            return ()
        literal = _UNESCAPED.fullmatch(piece)
        if literal and not depth and not repeat:
            run += literal[1]
            continue
        runs.append(run)
        run = ""
        depth += piece.startswith("(") - (piece == ")")
    longest = max([*runs, run], key=len)
    return (longest.lower(),) if len(longest) >= _SHORTEST else ()


def _grouped(pattern: str, number: object) -> str:
    """Name the group that holds the secret: the one asked for, or else the first there is."""
    if not isinstance(number, int) or number < 0:
        raise ValueError("secretGroup is a number")
    groups = [found for found in _GROUP.finditer(pattern) if found[0].startswith("(")]
    if not groups and number == 0:
        return pattern
    if max(number, 1) > len(groups):
        raise ValueError(f"it has no group {number}")
    start, end = groups[max(number, 1) - 1].span()
    return f"{pattern[:start]}(?P<secret>{pattern[end:]}"


def _crosses(pattern: str) -> bool:
    """Say whether a match may hold a newline."""
    return any(part in pattern for part in (r"\s", r"\n", "[^", "(?s", r"\D", r"\W", r"\S"))


def summary(notes: Sequence[str], *, file: str, count: int) -> Iterator[str]:
    """Give the report of an import, a line each: what was taken over, and what was not."""
    yield f"{file}: {count} rules of gitleaks are in use"
    yield from (f"{file}: {note}" for note in notes)
