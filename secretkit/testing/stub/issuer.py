"""TokenIssuer: an identity provider for tests, that signs JWTs and shows its public keys."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

from secretkit.core.secret import Secret

if TYPE_CHECKING:
    from secretkit.ports import Clock
    from secretkit.testing.stub.jwt import Jwk

__all__ = ["CLAUDE_AUDIENCE", "TokenIssuer"]

CLAUDE_AUDIENCE: Final = "https://api.anthropic.com"
_LIFE: Final = timedelta(minutes=5)


class TokenIssuer:
    """Signs what it is told to, with one key that is made with it. Thread-safe.

    ``algorithm`` is ES256 or RS256; a key of the latter takes a tenth of a second to make.
    """

    def __init__(self, url: str, *, clock: Clock, algorithm: str = "ES256") -> None:
        self.url = url
        self._clock = clock
        self._algorithm = algorithm
        self._kid = secrets.token_hex(4)
        self._ec = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else None
        self._rsa = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else None

    def __repr__(self) -> str:
        return f"<TokenIssuer {self.url} {self._algorithm}>"

    @property
    def jwks(self) -> dict[str, list[Jwk]]:
        """The public key, as the issuer's JWKS document has it (RFC 7517)."""
        key: Jwk = {"kid": self._kid, "use": "sig", "alg": self._algorithm}
        if self._ec is not None:
            point = self._ec.public_key().public_numbers()
            key |= {
                "kty": "EC",
                "crv": "P-256",
                "x": _number(point.x, 32),
                "y": _number(point.y, 32),
            }
        elif self._rsa is not None:
            public = self._rsa.public_key().public_numbers()
            key |= {"kty": "RSA", "n": _number(public.n, 256), "e": _number(public.e, 3)}
        return {"keys": [key]}

    def token(self, subject: str, *, life: timedelta = _LIFE, **changes: object) -> Secret:
        """Give a JWT about ``subject``, for Claude; ``changes`` replace claims, ... drops one."""
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": self.url,
            "sub": subject,
            "aud": CLAUDE_AUDIENCE,
            "iat": now,
            "exp": now + int(life.total_seconds()),
            "jti": secrets.token_hex(8),
        } | changes
        return self.sign({name: value for name, value in claims.items() if value is not ...})

    def sign(self, claims: dict[str, Any], *, header: dict[str, Any] | None = None) -> Secret:
        """Give a JWT with these claims; ``header`` replaces fields of its header."""
        head = {"alg": self._algorithm, "kid": self._kid, "typ": "JWT"} | (header or {})
        message = f"{_part(head)}.{_part(claims)}"
        return Secret(f"{message}.{_encoded(self._signature(message.encode()))}")

    def _signature(self, message: bytes) -> bytes:
        if self._rsa is not None:
            return self._rsa.sign(message, padding.PKCS1v15(), SHA256())
        if self._ec is None:
            return b""
        r, s = utils.decode_dss_signature(self._ec.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


def _part(value: object) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _number(value: int, size: int) -> str:
    return _encoded(value.to_bytes(size))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
