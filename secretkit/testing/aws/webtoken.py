"""JSON Web Tokens: STS signs some for workloads, and checks those of identity providers.

RS256, ES256 and ES384 only (RFC 7518 §3.1); the algorithm is the key's, never the token's choice.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SigningKey", "TokenError", "issuer_of", "read_token"]

_CURVES: Final = {
    "P-256": ("ES256", 32, ec.SECP256R1, hashes.SHA256),
    "P-384": ("ES384", 48, ec.SECP384R1, hashes.SHA384),
}
_PARTS: Final = 3


class TokenError(Exception):
    """A token that is not signed by a key of the set, or cannot be read."""


class SigningKey:
    """A fresh key for "RS256" or "ES384", with its public half as a JWK."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.key_id = secrets.token_hex(8)
        self._key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        if algorithm == "RS256":
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            self._key = ec.generate_private_key(ec.SECP384R1())

    def jwk(self) -> dict[str, str]:
        """Give the public key (RFC 7517)."""
        common = {"kid": self.key_id, "alg": self.algorithm, "use": "sig"}
        if isinstance(self._key, rsa.RSAPrivateKey):
            numbers = self._key.public_key().public_numbers()
            return common | {"kty": "RSA", "n": _number(numbers.n, 256), "e": _number(numbers.e, 3)}
        point = self._key.public_key().public_numbers()
        place = {"x": _number(point.x, 48), "y": _number(point.y, 48)}
        return common | {"kty": "EC", "crv": "P-384"} | place

    def sign(self, claims: Mapping[str, object]) -> str:
        """Give a signed token with these claims."""
        head = {"alg": self.algorithm, "kid": self.key_id, "typ": "JWT"}
        text = f"{_json(head)}.{_json(claims)}"
        if isinstance(self._key, rsa.RSAPrivateKey):
            made = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA384())))
            made = r.to_bytes(48, "big") + s.to_bytes(48, "big")
        return f"{text}.{_coded(made)}"


def read_token(token: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Give the claims of a token that a key of ``jwks`` signed. Times are not looked at.

    Raises:
        TokenError: without a part of the token in it.
    """
    parts = token.split(".")
    try:
        if len(parts) != _PARTS:
            raise TokenError("three parts are expected")
        head, claims = json.loads(_plain(parts[0])), json.loads(_plain(parts[1]))
        if not isinstance(head, dict) or not isinstance(claims, dict) or "crit" in head:
            raise TokenError("an unknown header")
        _verify(head, f"{parts[0]}.{parts[1]}".encode(), _plain(parts[2]), jwks)
    except (ValueError, KeyError, TypeError, binascii.Error, InvalidSignature):
        raise TokenError("the token is not signed by a key of the set") from None
    return claims


def issuer_of(token: str) -> str:
    """Give the issuer a token names, before anything is checked."""
    try:
        claims = json.loads(_plain(token.split(".")[1]))
        return str(claims["iss"])
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error):
        raise TokenError("the token cannot be read") from None


def _verify(head: dict[str, Any], text: bytes, made: bytes, jwks: Mapping[str, Any]) -> None:
    keys = [one for one in jwks["keys"] if one.get("kid") == head.get("kid")]
    if len(keys) != 1:
        raise TokenError("no key of that id")
    jwk = keys[0]
    if jwk["kty"] == "RSA":
        _expect(head, "RS256")
        numbers = rsa.RSAPublicNumbers(_whole(jwk["e"]), _whole(jwk["n"]))
        numbers.public_key().verify(made, text, padding.PKCS1v15(), hashes.SHA256())
        return
    algorithm, size, curve, digest = _CURVES[jwk["crv"]]
    _expect(head, algorithm)
    if len(made) != 2 * size:
        raise TokenError("a signature of the wrong length")
    point = ec.EllipticCurvePublicNumbers(_whole(jwk["x"]), _whole(jwk["y"]), curve())
    halves = (int.from_bytes(made[:size], "big"), int.from_bytes(made[size:], "big"))
    point.public_key().verify(encode_dss_signature(*halves), text, ec.ECDSA(digest()))


def _expect(head: dict[str, Any], algorithm: str) -> None:
    if head.get("alg") != algorithm:
        raise TokenError("the key is for another algorithm")


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _plain(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _json(value: Mapping[str, object]) -> str:
    return _coded(json.dumps(value, separators=(",", ":")).encode())


def _number(value: int, size: int) -> str:
    return _coded(value.to_bytes(size, "big"))


def _whole(text: str) -> int:
    return int.from_bytes(_plain(text), "big")
