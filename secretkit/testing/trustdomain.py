"""TrustDomain: an authority for SPIFFE identities in tests, with keys that rotate.

It issues X.509-SVIDs and JWT-SVIDs and says which of the latter it takes, as the standards have it:
https://github.com/spiffe/spiffe/tree/main/standards (X509-SVID.md, JWT-SVID.md). Needs
``secretkit[identity]``.
"""

from __future__ import annotations

import binascii
import json
import secrets
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit.broker.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Collection

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, Name
    from joserfc.jwk import ECKey

    from secretkit.ports import Clock

__all__ = ["SvidError", "TrustDomain"]

_EARLIER: Final = timedelta(minutes=1)  # as authorities do, for clocks that are behind
_CA_LIFE: Final = timedelta(days=1)
_HEADER: Final = {"alg", "kid", "typ"}  # JWT-SVID.md §2.1: what a JWT-SVID's header may hold


class SvidError(Exception):
    """A JWT-SVID that this trust domain does not take; the message says why, without the token."""


class TrustDomain:
    """A trust domain such as ``example.org``. All methods are thread-safe.

    After :meth:`rotate` new SVIDs come from new keys, and what the old keys signed stays good until
    :meth:`retire`. ``issuer`` is the claim ``iss``, which SPIRE writes where ``jwt_issuer`` is set;
    empty leaves it out, as the standard does.
    """

    def __init__(
        self, name: str = "example.org", *, issuer: str | None = None, clock: Clock | None = None
    ) -> None:
        self.name = name
        self.issuer = f"https://{name}" if issuer is None else issuer
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._authorities: list[tuple[EllipticCurvePrivateKey, Certificate]] = []
        self._signers: list[ECKey] = []
        self.rotate()

    def rotate(self) -> None:
        """Make new keys; the old ones stay in the bundles."""
        from joserfc.jwk import ECKey  # noqa: PLC0415 - an extra

        signer = ECKey.generate_key("P-256", {"kid": secrets.token_hex(8)}, private=True)
        authority = _authority(self.name, self._clock)
        with self._lock:
            self._signers.append(signer)
            self._authorities.append(authority)

    def retire(self) -> None:
        """Take all keys but the newest out of the bundles."""
        with self._lock:
            del self._signers[:-1]
            del self._authorities[:-1]

    def bundle(self) -> bytes:
        """Give the authorities for X.509-SVIDs: DER, one after the other."""
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - OpenSSL

        with self._lock:
            return b"".join(one.public_bytes(Encoding.DER) for _, one in self._authorities)

    def jwks(self) -> dict[str, Any]:
        """Give the keys for JWT-SVIDs as a JWK Set, for whoever verifies them."""
        with self._lock:
            # joserfc knows no "use" but that of RFC 7517, so it is written here.
            public = [one.as_dict(private=False) for one in self._signers]
        return {"keys": [{**one, "use": "jwt-svid"} for one in public]}

    def jwt(self, subject: str, audience: Collection[str], *, life: timedelta, **more: Any) -> str:  # noqa: ANN401
        """Give a JWT-SVID; ``more`` claims go over its own."""
        from joserfc import jwt  # noqa: PLC0415 - an extra

        with self._lock:
            signer = self._signers[-1]
        now = int(self._clock.now().timestamp())
        claims = {
            "sub": subject,
            "aud": sorted(audience),
            "iat": now,
            "exp": now + int(life.total_seconds()),
            "jti": secrets.token_hex(16),
        } | ({"iss": self.issuer} if self.issuer else {})
        header = {"alg": "ES256", "kid": signer.kid, "typ": "JWT"}
        return jwt.encode(header, claims | more, signer, algorithms=["ES256"])

    def verify(self, token: str, *, audience: str) -> dict[str, Any]:
        """Give the claims of a JWT-SVID that was issued here, for this audience, and is not over.

        Raises:
            SvidError: for any other: also without a signature, signed by a shared key, with a key
                of its own in the header, or without an audience or an end (scorecard B12).
        """
        header = _header(token)
        if header.get("alg") != "ES256" or not header.keys() <= _HEADER:
            raise SvidError("its header is not that of a JWT-SVID of ours")
        with self._lock:
            found = [one for one in self._signers if one.kid == header.get("kid")]
        if len(found) != 1:
            raise SvidError("no key of this trust domain has its key id")
        claims = _verified(token, found[0])
        if claims is None:
            raise SvidError("its signature is not that of the key it names")
        now = self._clock.now().timestamp()
        end, audiences = claims.get("exp"), claims.get("aud")
        if isinstance(end, bool) or not isinstance(end, int | float) or end <= now:
            raise SvidError("it has ended, or has no end")
        if audience not in (audiences if isinstance(audiences, list) else [audiences]):
            raise SvidError("it is for another audience")
        if not str(claims.get("sub", "")).startswith(f"spiffe://{self.name}/"):
            raise SvidError("its subject is not of this trust domain")
        return claims

    def x509(self, subject: str, *, life: timedelta) -> tuple[bytes, bytes]:
        """Give an X.509-SVID and its key, both DER, the key as PKCS #8."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - OpenSSL

        with self._lock:
            signer, authority = self._authorities[-1]
        key, leaf = _leaf(subject, life, (signer, authority), self._clock)
        encoding = serialization.Encoding.DER
        return leaf.public_bytes(encoding), key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def _header(token: str) -> dict[str, Any]:
    from joserfc.util import urlsafe_b64decode  # noqa: PLC0415 - an extra

    try:
        found = json.loads(urlsafe_b64decode(token.split(".", maxsplit=1)[0].encode()))
    except (ValueError, binascii.Error):
        found = None
    return found if isinstance(found, dict) else {}


def _verified(token: str, key: ECKey) -> dict[str, Any] | None:
    from joserfc import jwt  # noqa: PLC0415 - an extra
    from joserfc.errors import JoseError  # noqa: PLC0415 - an extra

    try:
        return jwt.decode(token, key, algorithms=["ES256"]).claims
    except (JoseError, ValueError):
        return None


def _authority(name: str, clock: Clock) -> tuple[EllipticCurvePrivateKey, Certificate]:
    from cryptography import x509  # noqa: PLC0415 - OpenSSL
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - OpenSSL
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - OpenSSL

    key = ec.generate_private_key(ec.SECP256R1())
    number = x509.random_serial_number()
    common = x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name} {number:x}"[:60])
    uri = x509.UniformResourceIdentifier(f"spiffe://{name}")
    made = (
        _draft(x509.Name([common]), key, number, clock, _CA_LIFE)
        .issuer_name(x509.Name([common]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return key, made.sign(key, hashes.SHA256())


def _leaf(
    subject: str,
    life: timedelta,
    signer: tuple[EllipticCurvePrivateKey, Certificate],
    clock: Clock,
) -> tuple[EllipticCurvePrivateKey, Certificate]:
    from cryptography import x509  # noqa: PLC0415 - OpenSSL
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - OpenSSL
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - OpenSSL
    from cryptography.x509.oid import ExtendedKeyUsageOID as For  # noqa: PLC0415 - OpenSSL

    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.ExtendedKeyUsage([For.CLIENT_AUTH, For.SERVER_AUTH])
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer[1].public_key())  # type: ignore[arg-type]
    uri = x509.UniformResourceIdentifier(subject)
    made = (
        _draft(x509.Name([]), key, x509.random_serial_number(), clock, life)
        .issuer_name(signer[1].subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(above, critical=False)
        # X509-SVID.md §2 wants it critical where the subject is empty, as RFC 5280 §4.2.1.6 has it.
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
    )
    return key, made.sign(signer[0], hashes.SHA256())


def _draft(
    name: Name,
    key: EllipticCurvePrivateKey,
    number: int,
    clock: Clock,
    life: timedelta,
) -> Any:  # noqa: ANN401
    from cryptography import x509  # noqa: PLC0415 - OpenSSL

    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + life)
    )


def _usage(*names: str) -> Any:  # noqa: ANN401
    from cryptography import x509  # noqa: PLC0415 - OpenSSL

    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in names for name in every})
