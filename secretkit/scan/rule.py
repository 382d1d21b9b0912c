"""Rule: what a leaked secret of one kind looks like, loaded from the TOML files of this package."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, overload

from secretkit.core.record import record
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Rule",
    "built_in_files",
    "built_in_rules",
    "lazy_rules",
    "parse_rules",
    "shape_rules",
    "to_record",
]

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
    ``keywords``, in lower case, is in every match, whatever its case, and in what its anchor
    matches: an engine looks for ``secretkit.scan.expression.anchor`` of the pattern, or of
    ``anchor`` where the rule gives one, which then matches at the same start as ``pattern``.

    ``judged`` says what decides beside the pattern: for ``shape`` only that the value is no
    placeholder; for ``value`` also whether it looks like a secret where it stands. ``entropy`` is
    the least Shannon entropy of the secret in bits a byte, 0 for none; ``checksum`` names the
    algorithm that the secret must satisfy.
    """

    id: str
    issuer: str
    description: str
    pattern: str
    keywords: tuple[str, ...]
    severity: str
    confidence: str
    anchor: str = ""
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
    import tomllib  # noqa: PLC0415 - the built-in rules are read without it

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}", file=file) from None
    issuer, rules = table.get("issuer"), table.get("rule")
    known = table.keys() <= {"issuer", "revoke", "rule"}
    if not isinstance(issuer, str) or not isinstance(rules, list) or not known:
        raise ConfigError("a rule file is one issuer and a list of [[rule]]", file=file)
    advice = table.get("revoke", "")
    return tuple(_checked(entry, issuer=issuer, advice=advice, file=file) for entry in rules)


def _checked(entry: Mapping[str, Any], *, issuer: str, advice: str, file: str) -> Rule:
    where = str(entry.get("id", "rule"))
    odd = sorted((entry.keys() - _REQUIRED - _OPTIONAL) | (_REQUIRED - entry.keys()))
    if odd:
        raise ConfigError(f"missing or unknown: {', '.join(odd)}", file=file, key_path=where)
    from secretkit.scan import expression  # noqa: PLC0415 - 2 ms, not for rules of a pack

    problem = _problem(entry)
    if problem:
        raise ConfigError(problem, file=file, key_path=where)
    rule = _rule(entry, issuer=issuer, advice=advice)
    try:
        re.compile(rule.pattern.encode("ascii"))
        expression.anchor(rule.anchor or rule.pattern, reach=rule.reach)
        to_record(rule)
    except (re.error, UnicodeEncodeError, ValueError) as error:
        raise ConfigError(f"the pattern is wrong: {error}", file=file, key_path=where) from None
    return rule


def _rule(entry: Mapping[str, Any], *, issuer: str, advice: str) -> Rule:
    words = entry.get("near")
    if words is None:
        pattern, words = entry["pattern"], entry["keywords"]
    else:
        from secretkit.scan import expression  # noqa: PLC0415 - as above

        pattern = expression.near(words, entry["value"])
    return Rule(
        id=entry["id"],
        issuer=issuer,
        description=entry["description"],
        pattern=pattern,
        keywords=tuple([word.lower() for word in words]),
        severity=entry["severity"],
        confidence=entry["confidence"],
        anchor=entry.get("anchor", ""),
        reach=entry.get("reach", 0),
        entropy=float(entry.get("entropy", 0)),
        checksum=entry.get("checksum", ""),
        judged=_judged(entry),
        advice=advice,
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
    """Give the rules that ship with secretkit, sorted by file. Read once, in about 25 ms."""
    return tuple(_rule(entry, **origin) for entry, origin in _entries())


@functools.cache
def shape_rules() -> tuple[Rule, ...]:
    """Give the built-in rules whose shape alone says that something is a secret."""
    return tuple(
        _rule(entry, **origin) for entry, origin in _entries() if _judged(entry) == "shape"
    )


def _entries() -> Iterator[tuple[Mapping[str, Any], dict[str, str]]]:
    from secretkit.scan import rulefile  # noqa: PLC0415 - as above

    for _, text in rulefile.files():
        table = rulefile.read(text)
        origin = {"issuer": table["issuer"], "advice": table.get("revoke", "")}
        for entry in table["rule"]:
            yield entry, origin


def _judged(entry: Mapping[str, Any]) -> str:
    said: str = entry.get("judged", "value" if "near" in entry else "shape")
    return said


def built_in_files() -> list[tuple[str, str]]:
    """Give name and text of every rule file that ships with secretkit, sorted by name."""
    from secretkit.scan import rulefile  # noqa: PLC0415 - as above

    return rulefile.files()


class Records(Protocol):
    """The records of rules, as a pack holds them."""

    def __len__(self) -> int:
        """Give how many there are."""
        ...

    def record(self, index: int) -> bytes:
        """Give one of them."""
        ...


def to_record(rule: Rule) -> bytes:
    """Give a rule as bytes, for a pack.

    Raises:
        ValueError: for a rule with a zero byte or a unit separator in its text.
    """
    fields = [
        _BETWEEN.join(value) if isinstance(value, tuple) else str(value)
        for value in (getattr(rule, name) for name in _KINDS)
    ]
    words = len(rule.keywords) - 1
    text = _END.join(fields)
    if text.count(_END) != len(fields) - 1 or text.count(_BETWEEN) != words:
        raise ValueError("there is a control character in it")
    return text.encode()


def lazy_rules(records: Records) -> Sequence[Rule]:
    """Give the rules in a pack; each is made when it is first asked for."""
    return _Lazy(records)


class _Lazy(Sequence[Rule]):
    def __init__(self, records: Records) -> None:
        self._records = records
        self._made: dict[int, Rule] = {}

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Rule]: ...
    def __getitem__(self, index: int | slice) -> Rule | Sequence[Rule]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        index = index + len(self) if index < 0 else index
        if index not in self._made:
            fields = self._records.record(index).decode().split(_END)
            values = zip(_KINDS.items(), fields, strict=True)
            self._made[index] = Rule(**{name: make(text) for (name, make), text in values})
        return self._made[index]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(_BETWEEN))


_END: Final = "\0"
_BETWEEN: Final = "\x1f"
_MAKERS: Final[Mapping[str, Any]] = {"int": int, "float": float, "tuple[str, ...]": _words}
_KINDS: Final[Mapping[str, Any]] = {
    name: _MAKERS.get(kind, str) for name, kind in Rule.__annotations__.items()
}
