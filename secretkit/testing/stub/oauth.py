"""The token endpoint: a workload's JWT for a short-lived access token (RFC 7523 jwt-bearer).

Facts from anthropic 2.12's ``lib/credentials`` and its type docs. Error codes are RFC 6749's. Not
known of the service, and so the stricter way here: clocks may not differ at all.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.secret import Secret
from secretkit.errors import SecretError
from secretkit.testing.stub.jwt import opened, verified
from secretkit.testing.stub.organization import DEFAULT_WORKSPACE
from secretkit.testing.stub.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.ports import Clock
    from secretkit.testing.stub.keys import KeyRing
    from secretkit.testing.stub.organization import Organization

__all__ = ["BETAS", "GRANT_TYPE", "Exchange", "Minted"]

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
BETAS: Final = frozenset({"oauth-2025-04-20", "oidc-federation-2026-04-01"})
MAX_ASSERTION: Final = 16 * 1024
_AUDIENCE: Final = "https://api.anthropic.com"
_LEAST_LIFE: Final = timedelta(minutes=1)

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REQUIRED: Final = {
    "federation_rule_id": re.compile(r"fdrl_[A-Za-z0-9]{1,64}"),
    "organization_id": _UUID,
    "service_account_id": re.compile(r"svac_[A-Za-z0-9]{1,64}"),
}
_OPTIONAL: Final = {
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

    Like the service, a token lives no longer than its rule says and than twice what is left of its
    assertion, and at least 60 s of that; ``ttl`` is a bound of the test's own, below 60 s too.
    """

    def __init__(
        self, keys: KeyRing, *, organization: Organization, clock: Clock, ttl: timedelta
    ) -> None:
        self.ttl = ttl
        self.on_mint: Callable[[Secret], None] | None = None
        self._keys = keys
        self._organization = organization
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: dict[str, float] = {}

    def mint(self, body: Mapping[str, object]) -> Minted:
        """Check the request and make a token.

        Raises:
            RefusedError: 400 or 401 with an RFC 6749 code.
        """
        _check_fields(body)
        assertion = _assertion(body)
        rule, issuer = self._rule(body)
        if opened(assertion).claims.get("iss") != issuer["issuer_url"]:
            raise _ungranted("the assertion's iss is not the issuer of this rule")
        claims = verified(assertion, self._organization.keys_of(issuer))
        _check_match(claims, rule["match"])
        left = self._check_life(claims, issuer)
        self._check_workspace(body.get("workspace_id"), rule)
        if issuer["check_jti"] and "jti" in claims:
            self._spend(issuer["id"], claims)
        stated = timedelta(seconds=rule["token_lifetime_seconds"])
        life = min(self.ttl, max(_LEAST_LIFE, min(stated, 2 * left)))
        token, label = self._keys.mint(life=life)
        if self.on_mint is not None:
            self.on_mint(token)
        return Minted(token, label, life)

    def _rule(self, body: Mapping[str, object]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Give the rule that the request names, with its issuer."""
        rule = self._organization.found("federation_rules", body["federation_rule_id"])
        if body["organization_id"] != self._organization.id or rule is None:
            raise _ungranted("there is no such rule in this organization")
        issuer = self._organization.found("federation_issuers", rule["issuer_id"])
        account = rule["target"]["service_account_id"]
        if body["service_account_id"] != account:
            raise _ungranted("the rule is for another service account")
        if issuer is None or self._organization.found("service_accounts", account) is None:
            raise _ungranted("the rule's issuer or service account is archived")
        return rule, issuer

    def _check_life(self, claims: Mapping[str, Any], issuer: Mapping[str, Any]) -> timedelta:
        now = self._clock.now().timestamp()
        issued, ends = claims.get("iat"), claims.get("exp")
        if not _is_instant(issued) or not _is_instant(ends):
            raise _ungranted("the assertion needs iat and exp")
        starts = claims.get("nbf", issued)
        if not _is_instant(starts) or max(float(str(starts)), float(str(issued))) > now + 1:
            raise _ungranted("the assertion is not valid yet")
        left = float(str(ends)) - now
        if left <= 0:
            raise _ungranted("the assertion has expired")
        if float(str(ends)) - float(str(issued)) > issuer["max_jwt_lifetime_seconds"]:
            raise _ungranted("the assertion lives longer than the issuer may let it")
        return timedelta(seconds=left)

    def _check_workspace(self, asked: object, rule: Mapping[str, Any]) -> None:
        enabled = rule["workspace_ids"]
        if asked is None and len(enabled) > 1:
            raise RefusedError(
                400, "workspace_id is missing, and the rule has several", oauth="invalid_request"
            )
        fallback = enabled[0] if enabled else DEFAULT_WORKSPACE
        wanted = DEFAULT_WORKSPACE if asked == "default" else str(asked or fallback)
        account = rule["target"]["service_account_id"]
        if (wanted not in enabled and not rule["applies_to_all_workspaces"]) or (
            not self._organization.is_member(account, wanted)
        ):
            raise _ungranted("the rule, or its service account, is not in this workspace")

    def _spend(self, issuer_id: str, claims: Mapping[str, Any]) -> None:
        jti = claims["jti"]
        if not isinstance(jti, str) or not jti:
            raise _ungranted("jti is not a text")
        now, key = self._clock.now().timestamp(), f"{issuer_id} {jti}"
        with self._lock:
            self._spent = {old: end for old, end in self._spent.items() if end > now}
            if key in self._spent:
                raise _ungranted("the assertion was used before")
            self._spent[key] = float(claims["exp"])


def _ungranted(why: str) -> RefusedError:
    return RefusedError(401, why, oauth="invalid_grant")


def _check_match(claims: Mapping[str, Any], match: Mapping[str, Any]) -> None:
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    if match.get("audience", _AUDIENCE) not in audiences:
        raise _ungranted("the assertion's aud is not the rule's")
    wanted, subject = match.get("subject_prefix"), claims.get("sub")
    if wanted is not None:
        prefix = wanted.removesuffix("*")
        if not isinstance(subject, str) or not subject.startswith(prefix):
            raise _ungranted("the assertion's sub is not the rule's")
        if subject != wanted and prefix == wanted:
            raise _ungranted("the assertion's sub is not the rule's")
    if any(claims.get(name) != value for name, value in match.get("claims", {}).items()):
        raise _ungranted("the assertion's claims are not the rule's")


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


def _is_instant(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
