"""Body: judges formats that can be read: PEM, JSON Web Tokens, URLs with a password."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

from secretkit.scan.judge import context, entropy, shape, word
from secretkit.scan.judge.pattern import pattern
from secretkit.scan.judge.placeholder import placeholder, template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.scan.judge import Candidate

__all__ = ["JUDGES"]

_SPACE: Final = pattern(r"\\[nrt]|[\s\\\"'+,]|^[A-Za-z-]+:.*$", re.MULTILINE)
_BASE64: Final = pattern(r"[A-Za-z0-9+/=]+")
_BEGIN: Final = pattern(r"-----BEGIN ([A-Z0-9 ]*)-----")
_LEAST: Final = 64
_DISTINCT: Final = 20
_PRIVATE: Final = pattern(
    r"(?:localhost|[^.]+|127\.[\d.]+|0\.0\.0\.0|10\.[\d.]+|192\.168\.[\d.]+|\[.*)(?::\d+)?\Z",
    re.IGNORECASE,
)
_LOCAL: Final = pattern(
    r"(?:localhost|127\.[\d.]+|0\.0\.0\.0|\[?::1\]?|host|hostname|server)(?::\d+)?\Z"
)
_QUOTED: Final = pattern(r"%([0-9A-Fa-f]{2})")
_HOST: Final = pattern(r"@([A-Za-z0-9_.:\[\]-]{1,253})")
_EXAMPLE_HOST: Final = pattern(r"(?:^|\.)(?:example|test|invalid)(?:\.[a-z]+)?(?::\d+)?\Z")


def _pem(candidate: Candidate, value: str) -> str | None:
    """A key's base64 is even, has many distinct characters, and DER begins with a SEQUENCE."""
    begin = _BEGIN.search(value)
    text = _SPACE.sub("", value[begin.end() :] if begin else value)
    found = _BASE64.match(text)
    body = found[0] if found else ""
    if len(body) < _LEAST or len(set(body)) < _DISTINCT:
        return None
    if entropy.periodic(body) or "..." in value or entropy.stuck(body[:256]) > 40:  # noqa: PLR2004
        return None
    kind = begin[1] if begin else ""
    plain = not kind.startswith(("PGP", "OPENSSH", "SSH2")) and "ENCRYPTED" not in value[:200]
    if (plain and not body.startswith("M")) or context.specimen(candidate.path):  # 0x30: SEQUENCE
        return "low"
    return candidate.rule.confidence


def _jwt(candidate: Candidate, value: str) -> str | None:
    """The header is JSON and names an algorithm, the signature is not of that name's making."""
    header, _, rest = value.partition(".")
    claims, _, signature = rest.partition(".")
    head, body = _json(header), _json(claims)
    if head is None or "alg" not in head or str(head["alg"]).lower() == "none":
        return None
    if len(set(signature)) < 12 or entropy.periodic(signature):  # noqa: PLR2004
        return None
    if body is not None and _made_up(body):
        return "low"
    path = candidate.path
    if context.document(path) or (
        context.tried(path) and (body is None or not {"iss", "exp"} <= body.keys())
    ):
        return "low"
    return candidate.rule.confidence


def _made_up(claims: Mapping[str, Any]) -> bool:
    """Whether no issuer would sign this: a subject that only counts, a name such as John Doe."""
    subject = str(claims.get("sub", ""))
    if subject.isdigit() and entropy.sequential(subject) >= 0.9:  # noqa: PLR2004
        return True
    return not claims.keys() & {"iss", "exp", "aud", "sub", "jti", "iat", "nbf", "role", "ref"}


def _json(part: str) -> dict[str, Any] | None:
    import json  # noqa: PLC0415 - for a JSON Web Token only

    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _url(candidate: Candidate, value: str) -> str | None:
    """A password in a URL, unless it is a word, its own user's name, or filled in elsewhere."""
    before = candidate.data[candidate.start : candidate.secret_start].decode("latin-1")
    after = candidate.data[candidate.secret_end : candidate.secret_end + 255].decode("latin-1")
    seed = b"otpauth:" in candidate.data[max(0, candidate.start - 300) : candidate.start]
    user = before.rpartition("//")[2].rstrip(":")
    if seed or template(before) or placeholder(value) or value.lower() == user.lower():
        return None  # a seed has rules of its own
    found = _HOST.match(after)
    host = found[1].lower() if found else ""
    plain = _QUOTED.sub(lambda one: chr(int(one[1], 16)), value)
    strength = shape.strength(plain) if plain.isascii() else shape.NONE
    if strength == shape.NONE or (strength == shape.WEAK and _EXAMPLE_HOST.search(host)):
        return None
    tried = context.tried(candidate.path)
    if strength == shape.WEAK or (_PRIVATE.match(host) and _easy(plain, user)):
        return "low"
    if tried and (_reserved(host) if host else strength < shape.STRONG):
        return "low"
    public = not (_LOCAL.match(host) or _EXAMPLE_HOST.search(host))
    return candidate.rule.confidence if public else "medium"


def _reserved(host: str) -> bool:
    """Whether a host is an example, or one that only its neighbours reach."""
    return _PRIVATE.match(host) is not None or _EXAMPLE_HOST.search(host) is not None


def _easy(password: str, user: str) -> bool:
    """Whether a password is made of words, or of the name of its user."""
    name = user.lower()
    return word.easy(password) or (len(name) > 3 and name in password.lower())  # noqa: PLR2004


def _otp(candidate: Candidate, value: str) -> str | None:
    """A seed is noise: one that reads as text was made by hand."""
    if placeholder(value):
        return None
    spelled = shape.strength(value.upper()) == shape.NONE
    return "low" if spelled or context.tried(candidate.path) else candidate.rule.confidence


def _hash(candidate: Candidate, value: str) -> str | None:
    """A hash of a password is worth a look in a file of accounts, hardly in a program's text."""
    if placeholder(value) or entropy.uneven(value):
        return None
    path = candidate.path
    return "low" if context.source(path) or context.tried(path) else candidate.rule.confidence


def _listed(candidate: Candidate, value: str) -> str | None:
    """A seed in words or in numbers: hardly one of them comes twice."""
    parts = re.findall(r"[a-z0-9]+", value)
    return candidate.rule.confidence if len(set(parts)) >= 0.75 * len(parts) else None


JUDGES: Final[Mapping[str, Callable[[Candidate, str], str | None]]] = {
    "pem": _pem,
    "jwt": _jwt,
    "url": _url,
    "otp": _otp,
    "password-hash": _hash,
    "seed-phrase": _listed,
}
