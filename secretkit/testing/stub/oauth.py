"""The token endpoint: a workload's JWT for a short-lived access token (RFC 7523 jwt-bearer).

Facts from anthropic 2.12's ``lib/credentials`` and its type docs. Not checked: the signature, the
issuer and the audience; the stand-in has no federation rules. Error codes are RFC 6749's.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.secret import Secret
from secretkit.errors import SecretError
from secretkit.testing.stub.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.ports import Clock
    from secretkit.testing.stub.keys import KeyRing

__all__ = ["BETAS", "GRANT_TYPE", "Exchange", "Minted"]

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
BETAS: Final = frozenset({"oauth-2025-04-20", "oidc-federation-2026-04-01"})
MAX_ASSERTION: Final = 16 * 1024
_LEAST_LIFE: Final = timedelta(minutes=1)

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REQUIRED: Final = {
    "federation_rule_id": re.compile(r"fdrl_[A-Za-z0-9]{1,64}"),
    "organization_id": _UUID,
}
_OPTIONAL: Final = {
    "service_account_id": re.compile(r"svac_[A-Za-z0-9]{1,64}"),
    "workspace_id": re.compile(r"wrkspc_[A-Za-z0-9]{1,64}|default"),
}


@dataclass(frozen=True, slots=True)
class Minted:
    """A new access token with its label in the key ring and its life."""

    secret: Secret
    label: str
    life: timedelta

    def body(self) -> bytes:
        """Write the endpoint's answer."""
        return json.dumps(
            {
                "access_token": self.secret.reveal(),
                "token_type": "Bearer",
                "expires_in": int(self.life.total_seconds()),
                "scope": "workspace:inference",
            }
        ).encode()


class Exchange:
    """Mints access tokens; each assertion with a ``jti`` once. ``ttl`` may be set at any time.

    Like the service, a token lives no longer than twice what is left of its assertion, and at least
    60 s of that; ``ttl`` below that is kept as it is.
    """

    def __init__(self, keys: KeyRing, *, clock: Clock, ttl: timedelta) -> None:
        self.ttl = ttl
        self.on_mint: Callable[[Secret], None] | None = None
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: dict[str, float] = {}

    def mint(self, body: Mapping[str, object]) -> Minted:
        """Check the request and make a token.

        Raises:
            RefusedError: 400 or 401 with an RFC 6749 code.
        """
        _check_fields(body)
        life = self.ttl
        claims = _claims(_assertion(body))
        if claims is not None:
            left = self._check_claims(claims)
            life = min(life, max(_LEAST_LIFE, 2 * left))
        token, label = self._keys.mint(life=life)
        if self.on_mint is not None:
            self.on_mint(token)
        return Minted(token, label, life)

    def _check_claims(self, claims: Mapping[str, object]) -> timedelta:
        now = self._clock.now().timestamp()
        issued, ends, jti = claims.get("iat"), claims.get("exp"), claims.get("jti")
        if not _is_instant(issued) or not _is_instant(ends):
            raise RefusedError(401, "the assertion needs iat and exp", oauth="invalid_grant")
        left = float(str(ends)) - now
        if left <= 0:
            raise RefusedError(401, "the assertion has expired", oauth="invalid_grant")
        if jti is not None:
            if not isinstance(jti, str) or not jti:
                raise RefusedError(401, "jti is not a text", oauth="invalid_grant")
            self._spend(jti, now=now, until=float(str(ends)))
        return timedelta(seconds=min(left, timedelta(days=1).total_seconds()))

    def _spend(self, jti: str, *, now: float, until: float) -> None:
        with self._lock:
            self._spent = {old: end for old, end in self._spent.items() if end > now}
            if jti in self._spent:
                raise RefusedError(401, "the assertion was used before", oauth="invalid_grant")
            self._spent[jti] = until


def _check_fields(body: Mapping[str, object]) -> None:
    if body.keys() - {"grant_type", "assertion"} - _REQUIRED.keys() - _OPTIONAL.keys():
        raise RefusedError(400, "the request has an unknown field", oauth="invalid_request")
    if "grant_type" not in body:
        raise RefusedError(400, "grant_type is missing", oauth="invalid_request")
    if body["grant_type"] != GRANT_TYPE:
        raise RefusedError(400, "grant_type is not jwt-bearer", oauth="unsupported_grant_type")
    for name, shape in (_REQUIRED | _OPTIONAL).items():
        if name not in body and name in _OPTIONAL:
            continue
        value = body.get(name)
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise RefusedError(400, f"{name} is missing or malformed", oauth="invalid_request")


def _assertion(body: Mapping[str, object]) -> Secret:
    if not isinstance(body.get("assertion"), str):
        raise RefusedError(400, "assertion is missing", oauth="invalid_request")
    try:
        secret = Secret(str(body["assertion"]))
    except SecretError:
        raise RefusedError(400, "assertion is empty or not text", oauth="invalid_request") from None
    if len(secret.reveal().encode()) > MAX_ASSERTION:
        raise RefusedError(
            400, f"assertion is longer than {MAX_ASSERTION} bytes", oauth="invalid_request"
        )
    return secret


def _claims(assertion: Secret) -> Mapping[str, object] | None:
    """Give a JWT's claims, or None for an assertion that is not a JWT."""
    if assertion.reveal().count(".") != 2:  # noqa: PLR2004 - header.claims.signature, RFC 7519
        return None
    try:
        claims = json.loads(_unpadded(assertion.reveal().split(".")[1]))
    except (ValueError, binascii.Error):
        return None
    return claims if isinstance(claims, dict) else None


def _unpadded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _is_instant(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
