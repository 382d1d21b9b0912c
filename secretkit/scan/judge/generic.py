"""Generic: judges a value by itself and by what stands around it, where no format decides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from secretkit.scan.judge import context, entropy, name, prefix, shape, word
from secretkit.scan.judge.pattern import pattern
from secretkit.scan.judge.placeholder import placeholder

if TYPE_CHECKING:
    from secretkit.scan.judge import Candidate
    from secretkit.scan.judge.context import Context

__all__ = ["judge", "near"]

_HASHED: Final = pattern(
    r"\b(?:sha-?\d{0,3}|md5|hash|digest|checksum|integrity|commit|rev|revision|etag|fingerprint|thumbprint|"
    r"crc|blob|tree|object|changeset|build|version|guid|uuid|resolved|tarball|nonce|oid|git|ref)s?\W{0,12}\Z",
    re.IGNORECASE,
)
_LINK: Final = pattern(
    r"[a-z][a-z0-9+.-]*://[^\s\"'<>]{0,200}\Z|(?:^|\s)(?:\.{0,2}/)[^\s\"']{2,200}\Z"
)
_PUBLIC: Final = pattern(
    r"pub(?:lic)?[_ -]?key|ssh-(?:rsa|ed25519|dss)|BEGIN CERT|x509|certificate", re.IGNORECASE
)
_ASSIGNED: Final = pattern(
    r"[:=>,(\[\"'`]\s{0,4}[\"'`(\[]{0,2}\Z|"
    r"(?:--?[a-z-]+|Bearer|Basic|Token|ENV \w+)\s+\Z",
    re.IGNORECASE,
)
_BY_PLACE: Final = frozenset(
    {"generic-authorization", "generic-curl-user", "generic-sql-password", "generic-login"}
)
_OPTION: Final = pattern(
    r"(?:(?:^|[\s\"'`(])--?[A-Za-z0-9_.-]{1,60}|"
    r"\b(?:ENV|ARG|export|setenv|set|setx)[ \t]+[A-Za-z0-9_]{1,60}|"
    r"\b(?:login|user|username|account)\s+\S+\s+passw(?:or)?d)[ \t]+[\"']?\Z"
)
_TRANSLATED: Final = pattern(r"[^\x20-\x7e]")
_TOKEN: Final = pattern(r"[A-Za-z0-9_.=+/:~\-]+")
_KNOWN: Final[set[str]] = set()
"""Words, of letters only, that are no secrets: code repeats them, and each takes 50 µs to judge."""
_REMEMBERED: Final = 4096
_BLANK: Final = 240
_BASIC: Final = pattern(r"basic\s+\Z", re.IGNORECASE)
_HASH: Final = pattern(
    r"(?:[0-9a-f]{2}){16,64}|(?:[0-9A-F]{2}){16,64}|\$?[a-z0-9_-]{1,20}\$.{0,80}\$.*|\{[A-Z0-9]{3,12}\}.*"
)
_BADGE: Final = pattern(r"badge|\.svg\?")
_LISTED_NAME: Final = pattern(r"""["']\s*,\s*\S{0,3}\Z""")
_CALL: Final = pattern(r"""[\w\]>]\s?\(\s?[a-z]?["'][^"']{0,80}["']\s*,\s*\S{0,3}\Z""")
_BARE_NAME: Final = pattern(r"""[\w.\])]\s*,\s*\S{0,3}\Z""")
_CALLED: Final = pattern(r"""\(\s*\S{0,3}\Z""")
_DOCTEST: Final = pattern(r"\s*>>> ")
_EXAMPLE: Final = pattern(r"\bexample\.(?:com|org|net)\b", re.IGNORECASE)
_RESULT: Final = pattern(rb"(?m)^X?(?:PASS|FAIL)(?:ED)?:")
_RESULTS: Final = frozenset({"PASS", "XPASS", "PASSED"})
_REPORTED: Final = 2000
_FEW: Final = 3
# One odd sign in a long value: of 24 characters drawn from all signs, eight are odd.
_STRAY: Final = pattern(r"(?=.{24})[A-Za-z0-9_-]+[^A-Za-z0-9_.=+/:~-][A-Za-z0-9_-]+")
_SIGNED: Final = pattern(r"eyJ[\w-]{8,}\.[\w-]*\.")
_SIGNS: Final = pattern(r"[^a-z0-9]")
_LONG: Final = 32
_SHORT: Final = 12
_CODE: Final = pattern(r"[(\[{$@:/\\<]")
_SPACED: Final = pattern(r"\s")
_WORDED: Final = 0.6
_SURPRISING: Final = 5.6
_LISTED: Final = pattern(r"(?i:name)[\"']?:[ \t]*[\"']?([A-Za-z0-9_.-]+)")


def near(candidate: Candidate, value: str) -> str | None:
    """Judge a value of an issuer's format that stands near the issuer's name."""
    around = context.read(candidate)
    kind = context.kind(candidate.path)
    if kind == "lock" or _HASHED.search(around.before) or _PUBLIC.search(around.before[-60:]):
        return None
    if entropy.uneven(value) or _worded(value) or (_CODE.search(value) and shape.ordinary(value)):
        return None
    if _BASIC.search(around.before):
        return candidate.rule.confidence if shape.login(value) >= shape.FAIR else "low"
    if kind == "made" or _LINK.search(around.before) or context.document(candidate.path):
        return "low"
    if _SIGNED.match(value) and context.tried(candidate.path):
        return "low"
    return candidate.rule.confidence if _ASSIGNED.search(around.before) else "low"


def _worded(value: str) -> bool:
    """Whether ``value`` is words, where its issuer's values have no spaces between words."""
    if _SPACED.search(value):
        return False
    if word.coverage(value) >= _WORDED:
        return True
    if len(value) < _SHORT and shape.strength(value) == shape.NONE and not value.isdigit():
        return True
    return not any(map(str.isdigit, value)) and word.surprise(value) < _SURPRISING


def judge(candidate: Candidate, value: str) -> str | None:
    """Judge a value by the class of its name and by its strength."""
    sure = candidate.least != "low"
    if sure and value in _KNOWN and not _is_basic(candidate):
        return None
    around = context.read(candidate)
    if (sure and _means_nothing(candidate, around)) or _nothing(candidate, value, around):
        return None
    return _weighed(candidate, value, around)


def _weighed(candidate: Candidate, value: str, around: Context) -> str | None:
    path = candidate.path
    if context.document(path) or prefix.of_issuer(value):
        return "low"  # what has all of its issuer's format is found by the issuer's own rule
    if _SIGNED.match(value) and context.tried(path):
        return "low"
    if _BASIC.search(around.before):
        return "medium" if shape.login(value) >= shape.FAIR else None
    rule, strength = candidate.rule.id, shape.strength(value)
    if strength == shape.NONE and value.isalpha() and len(_KNOWN) < _REMEMBERED:
        _KNOWN.add(value)
    if rule in _BY_PLACE:
        return _by_place(rule, strength)
    named = _named(candidate) if rule == "generic-manifest" else around.name
    return _by_name(named, value, strength, around, path)


def _is_basic(candidate: Candidate) -> bool:
    """Whether a login in base64 follows, which may be letters only."""
    at = candidate.secret_start
    return candidate.data[max(0, at - _BLANK) : at].rstrip().lower().endswith(b"basic")


def _means_nothing(candidate: Candidate, around: Context) -> bool:
    """Whether the name alone says that there is at most a little chance of a secret."""
    rule = candidate.rule.id
    if rule in _BY_PLACE or rule == "generic-manifest":
        return False
    return name.class_of(around.name) == name.OTHER and not _BASIC.search(around.before)


def _nothing(candidate: Candidate, value: str, around: Context) -> bool:
    """Whether the form of a value, or what is around it, says that it is no secret."""
    rule = candidate.rule.id
    lock = context.kind(candidate.path) == "lock"
    if lock or placeholder(value) or _TRANSLATED.search(value):
        return True
    if shape.ordinary(value) or _PUBLIC.search(around.before[-60:]):
        return True
    if not around.quote and not _whole(around, rule):
        return True
    if rule == "generic-authorization" and _passing(around.name):
        return True
    return around.name in _RESULTS and _reported(candidate)


def _named(candidate: Candidate) -> str:
    """Give the name in ``name: NAME``, on the line before its ``value: VALUE``."""
    text = candidate.data[candidate.start : candidate.secret_start].decode("latin-1")
    found = _LISTED.match(text)
    return found[1] if found else ""


def _by_place(rule: str, strength: int) -> str | None:
    """Where the place alone says that a secret follows: a header, a login, a command."""
    if strength == shape.STRONG:
        return "medium"
    if rule == "generic-authorization":
        return "low" if strength == shape.FAIR else None
    return "medium" if strength == shape.FAIR else "low" if strength == shape.WEAK else None


def _reported(candidate: Candidate) -> bool:
    """Whether this is one of the results of many tests: ``PASS: name-of-a-test1``."""
    low = max(0, candidate.start - _REPORTED)
    near = candidate.data[low : candidate.start + _REPORTED]
    return len(_RESULT.findall(near)) >= _FEW


def _passing(named: str) -> bool:
    """Whether what stands before a value is the longer name of something else: ``--page-token``."""
    inner = named.strip("-_")
    return ("-" in inner or "_" in inner) and name.class_of(named) == name.OTHER


def _by_name(named: str, value: str, strength: int, around: Context, path: str) -> str | None:
    class_ = name.class_of(named)
    if class_ == name.OTHER or strength == shape.NONE or _echoes(named, value):
        return None
    if _in_list(around.before):
        return "low"
    tried = context.tried(path) or _DOCTEST.match(around.before) is not None
    if class_ == name.PASSWORD:
        plain = around.quote or not context.source(path)
        certain = plain and not tried and not _CALLED.search(around.before)
        sure = strength >= (shape.WEAK if certain else shape.FAIR) and not _HASH.fullmatch(value)
        sure = sure and not (tried and word.easy(value))
    elif class_ in {name.TOKEN, name.SECRET}:
        shown = tried or _EXAMPLE.search(around.before) is not None
        sure = strength >= (shape.STRONG if shown else shape.FAIR)
        sure = sure and (class_ == name.SECRET or _token(value)) and not _STRAY.fullmatch(value)
        sure = sure and not _BADGE.search(around.before)
    else:
        sure = strength == shape.STRONG and _token(value) and not tried
    return "medium" if sure and context.kind(path) != "made" else "low"


def _in_list(before: str) -> bool:
    """Whether name and value are neighbours in a list, and not the arguments of a call."""
    if _BARE_NAME.search(before):
        return True
    return _LISTED_NAME.search(before) is not None and _CALL.search(before) is None


def _token(value: str) -> bool:
    """Whether ``value`` keeps to what tokens are written in; long ones may hold other signs."""
    return _TOKEN.fullmatch(value) is not None or len(value) >= _LONG


def _whole(around: Context, rule: str) -> bool:
    """Whether an unquoted value is not the beginning of an expression."""
    if around.after[:1] in {"(", "[", "{", "\\"} or rule == "generic-option":
        return rule == "generic-option" and _OPTION.search(around.before) is not None
    return True


def _echoes(text: str, value: str) -> bool:
    """Whether the value is its own name: ``token = "token1"``."""
    plain = _SIGNS.sub("", value.lower()).rstrip("0123456789")
    return len(plain) > 2 and plain in _SIGNS.sub("", text.lower())  # noqa: PLR2004
