"""Credentials: a Secret in the shape a service accepts.

A malformed key is refused here, before it can reach a header. Measured on anthropic 2.12: a key
with a trailing newline surfaces as a retried connection error with the key in its text, and a
leading space, quotes, full-width and zero-width characters are sent as they are.

Every ``__init__`` here is written out instead of generated: text given where a Secret belongs is
refused, and no frame of that refusal holds it or a half-made object (whose repr fails), because
error reporters show local variables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = [
    "KINDS",
    "AccessToken",
    "ApiKey",
    "AwsCredentials",
    "Credential",
    "Opaque",
    "of_kind",
    "secrets_of",
]

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_QUOTES: Final = "\"'`"
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_AWS_KEY_ID: Final = re.compile(r"[A-Za-z0-9_]{1,128}")  # "[\w]*" in AWS's API reference


@record(init=False)
class ApiKey:
    """A long-lived key that a service takes in a header."""

    kind: ClassVar[str] = "anthropic-api-key"
    secret: Secret
    expires_at: datetime | None = None

    def __init__(self, secret: Secret, expires_at: datetime | None = None) -> None:
        """Refuse what cannot stand in a header."""
        problem = _header_problem(secret)
        if problem:
            del self, secret
            raise _refusal("an API key", problem)
        _fill(self, secret=secret, expires_at=expires_at)


@record(init=False)
class AccessToken:
    """A short-lived bearer token with a stated end."""

    kind: ClassVar[str] = "anthropic-access-token"
    secret: Secret
    expires_at: datetime | None = None

    def __init__(self, secret: Secret, expires_at: datetime | None = None) -> None:
        """Refuse what cannot stand in a header."""
        problem = _header_problem(secret)
        if problem:
            del self, secret
            raise _refusal("an access token", problem)
        _fill(self, secret=secret, expires_at=expires_at)


@record(init=False)
class AwsCredentials:
    """One frozen snapshot of AWS credentials: key id, secret key and session token together."""

    kind: ClassVar[str] = "aws"
    access_key_id: str
    secret: Secret
    session_token: Secret | None = None
    expires_at: datetime | None = None

    def __init__(
        self,
        access_key_id: str,
        secret: Secret,
        session_token: Secret | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Refuse what cannot sign a request or stand in its headers."""
        problem = _aws_problem(access_key_id, secret, session_token)
        if problem:
            del self, access_key_id, secret, session_token
            raise _refusal("AWS credentials", problem)
        _fill(
            self,
            access_key_id=access_key_id,
            secret=secret,
            session_token=session_token,
            expires_at=expires_at,
        )


@record(init=False)
class Opaque:
    """A secret of no particular shape, such as a database password."""

    kind: ClassVar[str] = "opaque"
    secret: Secret
    expires_at: datetime | None = None

    def __init__(self, secret: Secret, expires_at: datetime | None = None) -> None:
        """Refuse what is not a Secret."""
        problem = _wrapping_problem(secret)
        if problem:
            del self, secret
            raise _refusal("a credential", problem)
        _fill(self, secret=secret, expires_at=expires_at)


Credential = ApiKey | AccessToken | AwsCredentials | Opaque

KINDS: Final[dict[str, Callable[[Secret, datetime | None], Credential]]] = {
    kind.kind: kind for kind in (ApiKey, AccessToken, Opaque)
}
"""The kinds a single stored value can become."""


def secrets_of(credential: Credential) -> tuple[Secret, ...]:
    """Give every secret in ``credential``: for AWS the key and, if any, the session token."""
    if isinstance(credential, AwsCredentials) and credential.session_token is not None:
        return credential.secret, credential.session_token
    return (credential.secret,)


def of_kind(kind: str, secret: Secret, *, expires_at: datetime | None = None) -> Credential:
    """Give ``secret`` the shape named ``kind``.

    Raises:
        SecretError: if the value cannot have that shape.
        ConfigError: if there is no such kind.
    """
    problem = _wrapping_problem(secret)
    if problem:
        del kind, secret
        raise _refusal("a credential", problem)
    make = KINDS.get(kind)
    if make is None:
        del kind  # not shown: it could be a key in the wrong place
        raise ConfigError("there is no such kind", hint=f"use one of {', '.join(sorted(KINDS))}")
    return make(secret, expires_at)


def check_header_value(secret: Secret, *, what: str) -> None:
    """Refuse a value that an HTTP header cannot carry as it is.

    Only visible ASCII passes (RFC 9110 §5.5 forbids CR, LF and NUL; RFC 6750 §2.1 bounds a bearer
    token to it). Nothing is repaired: a stripped key hides which copy is the broken one.

    Raises:
        SecretError: which says what is wrong, never the value.
    """
    problem = _header_problem(secret)
    if problem:
        del secret
        raise _refusal(what, problem)


def _refusal(what: str, problem: str) -> SecretError:
    return SecretError(
        f"this value cannot be {what}: {problem}",
        hint="store it again exactly as issued: secretkit set NAME asks for it",
    )


def _fill(target: object, **fields: object) -> None:
    for name, value in fields.items():
        object.__setattr__(target, name, value)


def _wrapping_problem(secret: object) -> str:
    return "" if isinstance(secret, Secret) else "it is not wrapped in Secret(...)"


def _header_problem(secret: object) -> str:
    if isinstance(secret, Secret):
        return _text_problem(secret.reveal())
    return _wrapping_problem(secret)


def _text_problem(value: str) -> str:
    tests = (
        (value.endswith(("\n", "\r")), "it ends with a line break"),
        (_INVISIBLE.search(value), "it holds an invisible character"),
        (value != value.strip(), "it starts or ends with white space"),
        (value[0] in _QUOTES or value[-1] in _QUOTES, "it is wrapped in quotes"),
        (not value.isascii(), "it holds a character outside ASCII"),
        (not _TOKEN.fullmatch(value), "it holds a space or a control character"),
    )
    return next((text for found, text in tests if found), "")


def _aws_problem(access_key_id: object, secret: object, session_token: object) -> str:
    if not isinstance(access_key_id, str) or not _AWS_KEY_ID.fullmatch(access_key_id):
        return "the access key id is not letters, digits and '_', 128 at the most"
    problem = _header_problem(secret)
    if problem:
        return f"secret access key: {problem}"
    problem = _header_problem(session_token) if session_token is not None else ""
    return f"session token: {problem}" if problem else ""
