"""Rule: what a leaked secret of one kind looks like, loaded from the TOML files of this package."""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.errors import ConfigError
from secretkit.scan import expression

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rule", "built_in_files", "built_in_rules", "parse_rules", "shape_rules"]

_LEVELS: Final = {
    "severity": ("low", "medium", "high", "critical"),
    "confidence": ("low", "medium", "high"),
}
_REQUIRED: Final = frozenset({"id", "description", "severity", "confidence", "matches", "misses"})
_OPTIONAL: Final = frozenset(
    {"pattern", "keywords", "near", "value", "anchor", "reach", "entropy", "checksum", "judged"}
)
_JUDGED: Final = ("shape", "value")
_FURTHEST: Final = 1 << 14


@record(kw_only=True)
class Rule:
    """One kind of secret: a pattern, and the words that must be near it.

    ``pattern`` marks the secret itself with a group named ``secret``, or is all of it. Repeats are
    bounded and neighbours do not overlap, so that matching stays linear. It never crosses a line
    unless ``reach`` says how many bytes past the end of its line a match may go. One of
    ``keywords``, in lower case, is in every match, whatever its case. ``anchor`` is what an engine
    looks for: wherever ``pattern`` matches, ``anchor`` matches at the same start, within one line.

    ``judged`` says what decides beside the pattern: for ``shape`` only that the value is no
    placeholder; for ``value`` also whether it looks like a secret where it stands. ``entropy`` is
    the least Shannon entropy of the secret in bits a byte, 0 for none; ``checksum`` names the
    algorithm that the secret must satisfy.
    """

    id: str
    issuer: str
    description: str
    pattern: str
    anchor: str
    keywords: tuple[str, ...]
    severity: str
    confidence: str
    reach: int = 0
    entropy: float = 0.0
    checksum: str = ""
    judged: str = "shape"
    advice: str = ""


def parse_rules(text: str, *, file: str) -> tuple[Rule, ...]:
    """Read one TOML rule file: an ``issuer``, how to ``revoke``, and a list of ``[[rule]]``.

    A rule has a ``pattern`` with its ``keywords``, or ``near`` and ``value``: words of which one
    stands at most 40 bytes before the value on the same line. ``matches`` and ``misses`` are
    examples: :mod:`secretkit.scan.example` reads them.

    Raises:
        ConfigError: with the file and the rule that cannot be used.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}", file=file) from None
    issuer, rules = table.get("issuer"), table.get("rule")
    known = table.keys() <= {"issuer", "revoke", "rule"}
    if not isinstance(issuer, str) or not isinstance(rules, list) or not known:
        raise ConfigError("a rule file is one issuer and a list of [[rule]]", file=file)
    advice = table.get("revoke", "")
    return tuple(_rule(entry, issuer=issuer, advice=advice, file=file) for entry in rules)


def _rule(entry: Mapping[str, Any], *, issuer: str, advice: str, file: str) -> Rule:
    where = str(entry.get("id", "rule"))
    odd = sorted((entry.keys() - _REQUIRED - _OPTIONAL) | (_REQUIRED - entry.keys()))
    if odd:
        raise ConfigError(f"missing or unknown: {', '.join(odd)}", file=file, key_path=where)
    problem = _problem(entry)
    if problem:
        raise ConfigError(problem, file=file, key_path=where)
    if "near" in entry:
        pattern, keywords = expression.near(entry["near"], entry["value"]), entry["near"]
    else:
        pattern, keywords = entry["pattern"], entry["keywords"]
    try:
        re.compile(pattern.encode("ascii"))
        anchor = entry.get("anchor") or expression.anchor(pattern)
        re.compile(anchor.encode("ascii"))
    except (re.error, UnicodeEncodeError, ValueError) as error:
        raise ConfigError(f"the pattern is wrong: {error}", file=file, key_path=where) from None
    return Rule(
        issuer=issuer,
        advice=advice,
        pattern=pattern,
        anchor=anchor,
        keywords=tuple(word.lower() for word in keywords),
        reach=entry.get("reach", 0),
        entropy=float(entry.get("entropy", 0)),
        checksum=entry.get("checksum", ""),
        judged=entry.get("judged", "value" if "near" in entry else "shape"),
        **{k: entry[k] for k in ("id", "description", "severity", "confidence")},
    )


def _problem(entry: Mapping[str, Any]) -> str:
    """Say what is wrong with the fields of a rule, or nothing."""
    for field, levels in _LEVELS.items():
        if entry[field] not in levels:
            return f"{field} is one of {', '.join(levels)}"
    if ("near" in entry) == ("pattern" in entry) or ("near" in entry) != ("value" in entry):
        return "a rule has a pattern and keywords, or near and value"
    words = entry.get("near") or entry.get("keywords")
    if not isinstance(words, list) or not words or not all(words):
        return "a rule needs at least one keyword"
    if entry.get("judged", "shape") not in _JUDGED:
        return f"judged is one of {', '.join(_JUDGED)}"
    if not 0 <= entry.get("reach", 0) <= _FURTHEST:
        return f"reach is at most {_FURTHEST} bytes"
    return ""


@functools.cache
def built_in_rules() -> tuple[Rule, ...]:
    """Give the rules that ship with secretkit, sorted by file. Read once."""
    return tuple(rule for file, text in built_in_files() for rule in parse_rules(text, file=file))


@functools.cache
def shape_rules() -> tuple[Rule, ...]:
    """Give the built-in rules whose shape alone says that something is a secret."""
    return tuple(rule for rule in built_in_rules() if rule.judged == "shape")


def built_in_files() -> list[tuple[str, str]]:
    """Give name and text of every rule file that ships with secretkit, sorted by name."""
    folder = resources.files("secretkit.scan") / "rules"
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return sorted((file.name, file.read_text(encoding="utf-8")) for file in files)
