"""Jwt: an assertion's signature and claims, checked as RFC 7515, 7519 and 8725 ask for.

Only ES256, ES384 and RS256, by a key of the issuer's own set. A header that brings a key along, or
an extension that must be understood, is refused.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from secretkit.testing.stub.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.core.secret import Secret

__all__ = ["Jwk", "Unverified", "opened", "verified"]

Jwk = dict[str, Any]

_CURVES: Final = {"ES256": "P-256", "ES384": "P-384"}
_KINDS: Final = {"RS256": "RSA", "ES256": "EC", "ES384": "EC"}
_USES: Final = {None, "sig", "jwt-svid"}
_FOREIGN_KEYS: Final = {"jwk", "jku", "x5u", "x5c", "crit"}
_PARTS: Final = 3
_LEAST_RSA: Final = 2048


class Unverified:
    """A JWT taken apart, its signature not looked at yet."""

    def __init__(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
        self.header = header
        self.claims = claims


def _refused(why: str) -> RefusedError:
    return RefusedError(401, why, oauth="invalid_grant")


def opened(assertion: Secret) -> Unverified:
    """Take a JWT apart.

    Raises:
        RefusedError: if it is none.
    """
    parts = assertion.reveal().split(".")
    if len(parts) != _PARTS:
        raise _refused("the assertion is no JWT")
    header, claims = _object(parts[0]), _object(parts[1])
    if header is None or claims is None:
        raise _refused("the assertion is no JWT")
    return Unverified(header, claims)


def verified(assertion: Secret, keys: Sequence[Jwk]) -> Mapping[str, Any]:
    """Give the claims of an assertion that one of ``keys`` has signed.

    Raises:
        RefusedError: if none has.
    """
    jwt = opened(assertion)
    algorithm = jwt.header.get("alg")
    if algorithm not in _KINDS:
        raise _refused("the assertion's alg is none of RS256, ES256 and ES384")
    if _FOREIGN_KEYS & jwt.header.keys():
        raise _refused("the assertion's header brings a key, or an extension that is not known")
    message, _, signature = assertion.reveal().rpartition(".")
    key = _chosen(keys, algorithm, jwt.header.get("kid"))
    if not _is_signed(key, algorithm, message.encode(), signature):
        raise _refused("the assertion's signature is not the issuer's")
    return jwt.claims


def _chosen(keys: Sequence[Jwk], algorithm: str, kid: object) -> Jwk:
    fitting = [
        key
        for key in keys
        if key.get("kty") == _KINDS[algorithm]
        and key.get("use") in _USES
        and key.get("alg", algorithm) == algorithm
        and key.get("crv") == _CURVES.get(algorithm)
        and (kid is None or key.get("kid") == kid)
    ]
    if len(fitting) != 1:
        raise _refused("the issuer has no such key")
    return fitting[0]


def _is_signed(key: Jwk, algorithm: str, message: bytes, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only for federation

    try:
        check = _check_rsa if _KINDS[algorithm] == "RSA" else _check_ec
        check(key, algorithm, message, _unpadded(signature))
    except (InvalidSignature, ValueError, KeyError):
        return False
    return True


def _check_rsa(key: Jwk, _algorithm: str, message: bytes, signature: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

    public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
    if public.key_size < _LEAST_RSA:
        raise ValueError("too short a key")
    public.verify(signature, message, padding.PKCS1v15(), SHA256())


def _check_ec(key: Jwk, algorithm: str, message: bytes, signature: bytes) -> None:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - as above

    curve: ec.EllipticCurve = ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1()
    digest = hashes.SHA256() if algorithm == "ES256" else hashes.SHA384()
    numbers = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), curve)
    half = curve.key_size // 8
    if len(signature) != 2 * half:
        raise ValueError("not r and s")
    r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    numbers.public_key().verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(digest))


def _number(text: str) -> int:
    return int.from_bytes(_unpadded(text))


def _object(part: str) -> dict[str, Any] | None:
    try:
        found = json.loads(_unpadded(part))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unpadded(part: str) -> bytes:
    if "=" in part or not part.isascii():
        raise ValueError("not base64url as JOSE has it")
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
