"""Credentials: a Secret in the shape a service accepts.

A malformed key is refused here, before it can reach a header. Measured on anthropic 2.12: a key
with a trailing newline surfaces as a retried connection error with the key in its text, and a
leading space, quotes, full-width and zero-width characters are sent as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from secretkit.core.secret import Secret  # noqa: TC001 - dataclass fields are read at run time
from secretkit.errors import ConfigError, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["KINDS", "AccessToken", "ApiKey", "AwsCredentials", "Credential", "Opaque", "of_kind"]

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_QUOTES: Final = "\"'`"
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A long-lived key that a service takes in a header."""

    kind: ClassVar[str] = "anthropic-api-key"
    secret: Secret
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot stand in a header."""
        check_header_value(self.secret, what="an API key")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A short-lived bearer token with a stated end."""

    kind: ClassVar[str] = "anthropic-access-token"
    secret: Secret
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot stand in a header."""
        check_header_value(self.secret, what="an access token")


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """One frozen snapshot of AWS credentials: key id, secret key and session token together."""

    kind: ClassVar[str] = "aws"
    access_key_id: str
    secret: Secret
    session_token: Secret | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Opaque:
    """A secret of no particular shape, such as a database password."""

    kind: ClassVar[str] = "opaque"
    secret: Secret
    expires_at: datetime | None = None


Credential = ApiKey | AccessToken | AwsCredentials | Opaque

KINDS: Final[dict[str, Callable[[Secret, datetime | None], Credential]]] = {
    kind.kind: kind for kind in (ApiKey, AccessToken, Opaque)
}
"""The kinds a single stored value can become."""


def of_kind(kind: str, secret: Secret, *, expires_at: datetime | None = None) -> Credential:
    """Give ``secret`` the shape named ``kind``.

    Raises:
        SecretError: if the value cannot have that shape.
        ConfigError: if there is no such kind.
    """
    make = KINDS.get(kind)
    if make is None:
        known = ", ".join(sorted(KINDS))
        raise ConfigError(f"there is no kind {kind!r}", hint=f"use one of {known}")
    return make(secret, expires_at)


def check_header_value(secret: Secret, *, what: str) -> None:
    """Refuse a value that an HTTP header cannot carry as it is.

    Only visible ASCII passes (RFC 9110 §5.5 forbids CR, LF and NUL; RFC 6750 §2.1 bounds a bearer
    token to it). Nothing is repaired: a stripped key hides which copy is the broken one.

    Raises:
        SecretError: which says what is wrong, never the value.
    """
    problem = _header_problem(secret.reveal())
    if problem:
        raise SecretError(
            f"this value cannot be {what}: {problem}",
            hint="store it again exactly as issued: secretkit set NAME asks for it",
        )


def _header_problem(value: str) -> str:
    tests = (
        (value.endswith(("\n", "\r")), "it ends with a line break"),
        (_INVISIBLE.search(value), "it holds an invisible character"),
        (value != value.strip(), "it starts or ends with white space"),
        (value[0] in _QUOTES or value[-1] in _QUOTES, "it is wrapped in quotes"),
        (not value.isascii(), "it holds a character outside ASCII"),
        (not _TOKEN.fullmatch(value), "it holds a space or a control character"),
    )
    return next((text for found, text in tests if found), "")
