"""KeySet: the keys of our issuer, as values, and what is to change about them at a moment.

A verifier fetches the public keys and keeps them for a while. So a key is published ``ahead`` of
its first use, and a former one stays until the last token that it signed has ended. Pure but for
making a key: when it is done is decided by the moment given.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import ProviderUnavailableError, SecretError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KeySet", "Rotation", "SigningKey", "read_keys", "written_keys"]

_ALGORITHM: Final = "ES256"
_LEEWAY: Final = timedelta(minutes=1)  # verifiers forgive that much of a token's end
_FORMAT: Final = 1
_PUBLIC: Final = {"kty", "crv", "x", "y"}
_INSTALL: Final = 'pip install "secretkit[identity]"'


@record(kw_only=True)
class Rotation:
    """How long a key signs (``every``), how long before it is published, and a token's life."""

    every: timedelta = timedelta(days=30)
    ahead: timedelta = timedelta(hours=1)
    life: timedelta = timedelta(minutes=5)


@record(kw_only=True, hidden=("private",))
class SigningKey:
    """One key pair of the curve P-256: its private half as a JWK, its public half to publish."""

    key_id: str
    starts_at: datetime
    public: Mapping[str, str]
    private: Secret

    def sign(self, claims: Mapping[str, Any]) -> Secret:
        """Give a JWT with these claims (ES256, RFC 7518 §3.4); costs about 0.2 ms."""
        from joserfc import jwt  # noqa: PLC0415 - an extra
        from joserfc.jwk import ECKey  # noqa: PLC0415 - an extra

        header = {"alg": _ALGORITHM, "kid": self.key_id, "typ": "JWT"}
        key = ECKey.import_key(json.loads(self.private.reveal()))
        return Secret(jwt.encode(header, dict(claims), key, algorithms=[_ALGORITHM]))


@record(kw_only=True)
class KeySet:
    """The keys by the moment at which each starts to sign."""

    keys: tuple[SigningKey, ...] = ()

    def advanced(self, now: datetime, *, rotation: Rotation) -> KeySet:
        """Give what it should be at ``now``: itself, where nothing is due."""
        keys = self.keys or (_made(now),)  # nobody knows the first one ahead, nor has any token
        newest = keys[-1]
        due = newest.starts_at + rotation.every
        if now >= due - rotation.ahead:
            keys = (*keys, _made(max(due, now + rotation.ahead)))
        over = now - rotation.life - _LEEWAY
        kept = tuple(
            key
            for key, successor in zip(keys, (*keys[1:], None), strict=True)
            if successor is None or successor.starts_at > over
        )
        return self if kept == self.keys else KeySet(keys=kept)

    def signing(self, now: datetime) -> SigningKey | None:
        """Give the newest key that has started, or None."""
        started = [key for key in self.keys if key.starts_at <= now]
        return started[-1] if started else None

    def jwks(self) -> dict[str, Any]:
        """Give the public halves as a JWK Set (RFC 7517 §5), the next one included."""
        common = {"use": "sig", "alg": _ALGORITHM}
        return {"keys": [{**key.public, "kid": key.key_id, **common} for key in self.keys]}


def _made(starts_at: datetime) -> SigningKey:
    try:
        from joserfc.jwk import ECKey  # noqa: PLC0415 - an extra
    except ImportError:
        raise ProviderUnavailableError(
            "the package joserfc is not installed", hint=_INSTALL
        ) from None
    made = ECKey.generate_key("P-256", private=True)
    return SigningKey(
        key_id=secrets.token_hex(8),
        starts_at=starts_at.replace(microsecond=0),
        public={name: str(made.as_dict(private=False)[name]) for name in sorted(_PUBLIC)},
        private=Secret(json.dumps(made.as_dict(private=True))),
    )


def written_keys(keys: KeySet) -> Secret:
    """Give all of it as one secret, for a store."""
    entries = [
        {
            "key_id": key.key_id,
            "starts_at": int(key.starts_at.timestamp()),
            "public": dict(key.public),
            "private": key.private.reveal(),
        }
        for key in keys.keys
    ]
    return Secret(json.dumps({"format": _FORMAT, "keys": entries}))


def read_keys(stored: Secret) -> KeySet:
    """Read what :func:`written_keys` gave.

    Raises:
        SecretError: for anything else, without showing it.
    """
    found = _read(stored)
    if found is None:
        raise SecretError(
            "what is stored are no keys of an issuer",
            hint="name another reference as signing_key; this one holds something else",
        )
    return found


def _read(stored: Secret) -> KeySet | None:
    """Raise nothing: this frame sees private keys."""
    try:
        document = json.loads(stored.reveal())
        if document["format"] != _FORMAT:
            return None
        keys = tuple(
            SigningKey(
                key_id=entry["key_id"],
                starts_at=datetime.fromtimestamp(entry["starts_at"], tz=UTC),
                public={name: entry["public"][name] for name in sorted(_PUBLIC)},
                private=Secret(entry["private"]),
            )
            for entry in document["keys"]
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, SecretError):
        return None
    return KeySet(keys=keys)
