"""Body: judges formats that can be read: PEM, JSON Web Tokens, URLs with a password."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

from secretkit.scan.judge import context, entropy, shape
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
_PUBLIC_NAMES: Final = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1", "host", "hostname"})  # noqa: S104
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
    if plain and not body.startswith("M"):  # 0x30: SEQUENCE
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
    user = before.rpartition("//")[2].rstrip(":")
    if template(value) or template(before) or placeholder(value) or value.lower() == user.lower():
        return None
    host = _HOST.match(after)
    strength = shape.strength(value)
    if host and _EXAMPLE_HOST.search(host[1].lower()):
        return "medium" if strength >= shape.FAIR else None
    if strength == shape.NONE:
        return None
    if strength == shape.WEAK or (host and host[1].partition(":")[0] in _PUBLIC_NAMES):
        return "low" if strength < shape.FAIR else "medium"
    return candidate.rule.confidence


def _otp(candidate: Candidate, value: str) -> str | None:
    """A seed is noise: one that reads as text was made by hand."""
    if placeholder(value):
        return None
    spelled = shape.strength(value.upper()) == shape.NONE
    return "low" if spelled else candidate.rule.confidence


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
