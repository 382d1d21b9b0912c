"""Rule: what a leaked secret of one kind looks like, loaded from the TOML files of this package."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Rule", "built_in_rules", "parse_rules"]

_LEVELS: Final = {
    "severity": ("low", "medium", "high", "critical"),
    "confidence": ("low", "medium", "high"),
}
_FIELDS: Final = frozenset(
    {"id", "description", "pattern", "keywords", "severity", "confidence", "matches", "misses"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of secret: a pattern, the words that must be near it, and examples.

    ``pattern`` marks the secret itself with a group named ``secret``, or is all of it. Repeats are
    bounded and neighbours do not overlap, so that matching stays linear. One of ``keywords`` is in
    every match, letter for letter.
    """

    id: str
    issuer: str
    description: str
    pattern: str
    keywords: tuple[str, ...]
    severity: str
    confidence: str
    matches: tuple[str, ...]
    misses: tuple[str, ...]


def parse_rules(text: str, *, file: str) -> tuple[Rule, ...]:
    """Read one TOML rule file.

    An example is a list of pieces to be joined, so that the file itself holds no literal; a piece
    ``{ of = "aB3", length = 40 }`` is that text repeated to that length.

    Raises:
        ConfigError: with the file and the rule that cannot be used.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}", file=file) from None
    issuer, rules = table.get("issuer"), table.get("rule")
    if not isinstance(issuer, str) or not isinstance(rules, list) or len(table) != 2:  # noqa: PLR2004 - issuer and rule
        raise ConfigError("a rule file is one issuer and a list of [[rule]]", file=file)
    return tuple(_rule(entry, issuer=issuer, file=file) for entry in rules)


def _rule(entry: dict[str, Any], *, issuer: str, file: str) -> Rule:
    where = str(entry.get("id", "rule"))
    odd = sorted(_FIELDS ^ entry.keys())
    if odd:
        raise ConfigError(f"missing or unknown: {', '.join(odd)}", file=file, key_path=where)
    for field, levels in _LEVELS.items():
        if entry[field] not in levels:
            expected = ", ".join(levels)
            raise ConfigError(f"{field} is one of {expected}", file=file, key_path=where)
    if not entry["keywords"] or not all(entry["keywords"]):
        raise ConfigError("a rule needs at least one keyword", file=file, key_path=where)
    try:
        re.compile(entry["pattern"])
    except re.error as error:
        raise ConfigError(f"the pattern is wrong: {error}", file=file, key_path=where) from None
    return Rule(
        issuer=issuer,
        keywords=tuple(entry["keywords"]),
        matches=tuple(_joined(pieces) for pieces in entry["matches"]),
        misses=tuple(_joined(pieces) for pieces in entry["misses"]),
        **{k: entry[k] for k in ("id", "description", "pattern", "severity", "confidence")},
    )


def _joined(pieces: Sequence[str | dict[str, Any]]) -> str:
    return "".join(
        piece if isinstance(piece, str) else _repeated(piece["of"], piece["length"])
        for piece in pieces
    )


def _repeated(text: str, length: int) -> str:
    return (text * (length // len(text) + 1))[:length]


@functools.cache
def built_in_rules() -> tuple[Rule, ...]:
    """Give the rules that ship with secretkit, sorted by file. Read once, 3 ms here."""
    folder = resources.files("secretkit.scan") / "rules"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=str)
    return tuple(
        rule
        for file in files
        for rule in parse_rules(file.read_text(encoding="utf-8"), file=file.name)
    )
