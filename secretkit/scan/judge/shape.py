"""Shape: forms of values that are no secret, and how random one looks that might be."""

from __future__ import annotations

import base64
import re
from typing import Final

from secretkit.scan.judge import entropy, word
from secretkit.scan.judge.pattern import pattern

__all__ = ["FAIR", "NONE", "STRONG", "WEAK", "login", "ordinary", "strength", "uuid"]

NONE, WEAK, FAIR, STRONG = range(4)

_SUFFIX: Final = (
    "com|org|net|io|dev|local|internal|test|html?|json|ya?ml|xml|py|js|ts|go|rb|php|java|txt|md|pem|"
    "key|crt|cer|jks|p12|pfx|conf|cfg|ini|properties|env|log|sql|sh|css|png|jpe?g|gif|svg"
)
_SCHEME: Final = (
    "arn|urn|vault|ref|env|file|secret|ssm|op|sops|kms|gcp|aws|azure|data|sha[0-9]+|md5|blob"
)
_ORDINARY: Final = pattern(
    rf"""
      [A-Za-z_$@:&*.!-][\w$.:>-]*[(\[].*                                # call( or array[
    | .*[)\]}}>]\s*[;,.]?                                               # … closed
    | [$@%&].*\b(?:get|self|this|env|var)\b.*
    | [$@:%&*]{{1,2}}[A-Za-z_][\w.:>-]*                                 # $variable, :symbol
    | (?:\.{{0,2}}|~|[A-Za-z]:|[A-Za-z0-9_.$-]+)[/\\]                   # a path to a file
      (?:[A-Za-z0-9_.@%+ -]+[/\\])*[A-Za-z0-9_.*@%+ -]*\.[A-Za-z]\w{{0,5}}
    | (?:\.{{0,2}}|~|[A-Za-z]:)[/\\][a-z][a-z0-9_.-]*(?:[/\\][A-Za-z0-9_.*:-]*)*
    | [a-z][a-z0-9+.-]*://.*                                            # a URL
    | (?:{_SCHEME}):.*
    | [\w.+-]+@(?:[a-z0-9-]+\.)+[a-z]{{2,12}}                             # an e-mail address
    | (?:[a-z0-9-]+\.)+(?:{_SUFFIX})(?::\d+)?(?:/.*)?                   # a host, a file
    | [vV~^<>=!]*\d{{1,5}}(?:\.\d{{1,6}}){{1,3}}                        # a version, an address
      (?:[-+.]?[A-Za-z][A-Za-z0-9.-]{{0,12}})?
    | \d{{4}}-\d\d-\d\d.* | \d\d?[:/]\d\d(?:[:/]\d{{2,4}})?.*           # a date, a time
    | (?:0x)?[0-9a-fA-F]{{1,8}}[uUlL]{{0,3}}                            # a number
    | [+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?[a-zA-Z%]{{0,3}}
    | (?:application|audio|font|image|message|model|multipart|text|video)/.*
    | .*(?:\s|&&|\|\||[=!]=(?!=*\Z)|=>|<=|>=|->).*                      # code, prose
    | .*(?:\\[dwsbSWD]|\(\?|\[\^|\[a-z|\[0-9).*                         # a regular expression
    | [\^].*[$*+] | .*\\u[0-9a-fA-F]{{4}}.* | .*\\x[0-9a-fA-F]{{2}}.* | [^\x00-\x7f]+
    | [A-Za-z]+(?:[ _.:/-][A-Za-z]+)*[:;,.!?]
    """,
    re.VERBOSE | re.DOTALL,
)
_DOTTED: Final = pattern(r"[$@]?[A-Za-z_$][\w$]*(?:(?:\.|->|::|\?\.|\\+)[A-Za-z_$][\w$]*)+[!?]?")
_UUID: Final = pattern(r"\{?[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?")
_CUT: Final = pattern(  # a UUID that begins late, or ends early, or is of other letters
    r"(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){2,3}(?:-[0-9a-f]{0,11})?|(?:[0-9a-f]{4}-){1,3}[0-9a-f]{12}|"
    r"[0-9a-z]{8}(?:-[0-9a-z]{4}){3}-[0-9a-z]{12})"
)
_HEX: Final = pattern("[0-9a-f]+|[0-9A-F]+")
_PARTS: Final = pattern("0x|[._:-]")
_NAME: Final = pattern(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)*(?:[_.:/-]?\d{1,4})?")
_LOWER: Final = pattern(r"[a-z]+|[A-Z]+|[A-Z][a-z]+")
_IMAGE: Final = pattern(
    r"iVBORw0KGgo|R0lGOD|/9j/4|UklGR|PHN2Zy|PD94bWw|d09GR|AAEAAAA|LS0tLS1CRUdJTiBD|LS0tLS1CRUdJTiBQVUJ|"
    r"ssh-(?:rsa|ed25519|dss)|AAAAB3NzaC1|AAAAC3NzaC1|MIIBIjANBg|MIGfMA0GC|MFkwEwYH|MCowBQYDK2V"
)
_MANY: Final = 24
_SOME: Final = 16
_FEW: Final = 8
_PAIRED: Final = 2
_SIGNS: Final = pattern("[-_.]")
_LEAST: Final = 5
_BASE32: Final = pattern("[A-Z2-7]{16,}")
_LETTERS: Final = pattern(rb"[A-Za-z]{5}")
_SHORTEST: Final = 8
_PRINTABLE: Final = pattern(rb"[ -~]+")
_READ: Final = 256
# Bits of surprise a character, and shares of words, set on tests/detection/tune.
_SOUND: Final = 6.2  # letters of one case
_NOISE: Final = 6.4  # the same, long
_PAIR: Final = 6.3  # two kinds of characters
_MIX: Final = 6.6  # three or four
_NAMED: Final = 0.3  # more, for what could be an identifier
_SLACK: Final = 0.6
_UNKNOWN: Final = 1.2  # less, for what has digits and no word at all
_WORDED: Final = 0.75
_MOSTLY: Final = 0.6
_HALF: Final = 0.5


def ordinary(value: str) -> bool:
    """Say whether ``value`` has the form of something that is not secret: code, a path, a date."""
    value = value[:_READ]
    if _DOTTED.fullmatch(value):
        return strength(value) < FAIR
    return _ORDINARY.fullmatch(value) is not None or _IMAGE.match(value) is not None


def uuid(value: str) -> bool:
    """Say whether ``value`` is a UUID."""
    return _UUID.fullmatch(value) is not None


def login(value: str) -> int:
    """Give the strength of the password in ``user:password`` in base64; NONE if it is not that."""
    user, colon, password = (_plain(value) or "").partition(":")
    return strength(password) if colon and user.lower() != password.lower() else NONE


def _plain(value: str) -> str | None:
    """Give what ``value`` is in base64, if that is text of one line."""
    if len(value) < _SHORTEST:
        return None
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return None
    return plain.decode("ascii") if plain.isascii() and _PRINTABLE.fullmatch(plain) else None


def _spelled(value: str) -> bool:
    """Whether ``value`` is text in base32: five letters in a row are in 1 of 200 random ones."""
    try:
        return _LETTERS.search(base64.b32decode(value + "=" * (-len(value) % 8))) is not None
    except ValueError:
        return False


def strength(value: str) -> int:
    """Give how much ``value`` looks drawn at random: NONE, WEAK, FAIR or STRONG."""
    size = len(value)
    if size < _LEAST or len(set(value)) < _LEAST - 1:
        return NONE
    if uuid(value):
        return NONE if entropy.uneven(value.replace("-", "").lower()) else FAIR
    if _CUT.fullmatch(value):
        return NONE
    part = max(_PARTS.split(value), key=len)
    if _HEX.fullmatch(part) and len(part) >= _SOME and 2 * len(part) >= size:
        return _hex(part)
    if value.isdigit():
        return _digits(value)
    covered = max(word.coverage(value), word.coverage(_plain(value) or ""))
    spelled = _BASE32.fullmatch(value) is not None and _spelled(value)
    return NONE if spelled or covered >= _WORDED else _mixed(value, covered)


def _digits(value: str) -> int:
    if entropy.sequential(value) >= _HALF or entropy.uneven(value):
        return NONE
    return WEAK if len(value) > _LEAST else NONE


def _hex(value: str) -> int:
    if entropy.uneven(value) or value.isalpha():
        return NONE
    if value.isdigit():
        return FAIR
    return STRONG if len(value) >= _MANY else FAIR


def _mixed(value: str, covered: float) -> int:
    """Judge by surprise: 8.7 bits for random letters and digits, 4.5 for words."""
    size, surprise = len(value), word.surprise(value)
    digits = any(map(str.isdigit, value))
    kinds = (
        digits + any(map(str.islower, value)) + any(map(str.isupper, value)) + (not value.isalnum())
    )
    if entropy.uneven(value):
        return NONE
    if kinds == 1:  # letters of one case
        return (
            FAIR if surprise >= _NOISE and size >= _SOME else WEAK if surprise >= _SOUND else NONE
        )
    need = _PAIR if kinds == 2 else _MIX  # noqa: PLR2004 - of the four kinds above
    if not covered and size > _LEAST + 1:
        need -= _UNKNOWN if digits else _SLACK
    elif _NAME.fullmatch(value):
        need += _NAMED
    if surprise < need or covered >= _HALF:
        return WEAK if surprise >= need - _SLACK and covered < _MOSTLY else NONE
    parts = _SIGNS.split(value)
    if size >= _FEW and len(parts) == _PAIRED and max(map(len, parts)) <= _LEAST:
        return WEAK
    if size >= _MANY and digits:
        return STRONG
    return FAIR if size > _LEAST + 1 else WEAK
