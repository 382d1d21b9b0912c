"""Resource: the shape of an issuer, a service account and a rule, checked when one is created."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from secretkit.testing.stub.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COLLECTIONS", "made"]

COLLECTIONS: Final = ("federation_issuers", "service_accounts", "federation_rules")

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_FIELDS: Final = {
    "federation_issuers": {
        *("name", "issuer_url", "jwks", "check_jti", "max_jwt_lifetime_seconds"),
    },
    "service_accounts": {"name", "description", "organization_role"},
    "federation_rules": {
        *("name", "issuer_id", "match", "oauth_scope", "target", "description"),
        *("applies_to_all_workspaces", "token_lifetime_seconds", "workspace_id"),
    },
}
_PREFIXES: Final = dict(zip(COLLECTIONS, ("fdis", "svac", "fdrl"), strict=True))
_JWKS: Final = {"discovery": set(), "explicit_url": {"url"}, "inline": {"keys"}}
# "OAuth callers may only set workspace:developer or workspace:inference": rule_create_params.py
_SCOPES: Final = {"workspace:developer", "workspace:inference"}


def made(kind: str, given: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """Give a new resource with the defaults filled in.

    Raises:
        RefusedError: 400 for a field that is unknown, missing or malformed, 403 for a scope.
    """
    if given.keys() - _FIELDS[kind]:
        raise RefusedError(400, "the request has an unknown field")
    name = given.get("name")
    if not isinstance(name, str) or not _SLUG.fullmatch(name):
        raise RefusedError(400, "name: lower case, digits and hyphens are expected")
    fill = {
        "federation_issuers": _issuer,
        "service_accounts": _account,
        "federation_rules": _rule,
    }[kind]
    return {
        "id": f"{_PREFIXES[kind]}_01{secrets.token_hex(10)}",
        "type": kind.removesuffix("s"),
        "name": name,
        "created_at": at,
        "updated_at": at,
        "archived_at": None,
        **fill(given),
    }


def _issuer(given: Mapping[str, Any]) -> dict[str, Any]:
    url = given.get("issuer_url")
    if not isinstance(url, str) or not url.startswith("https://"):
        raise RefusedError(400, "issuer_url: an https URL is expected")
    jwks = given.get("jwks", {"type": "discovery"})
    if not isinstance(jwks, dict) or not jwks.keys() >= _JWKS.get(jwks.get("type", ""), {"type."}):
        raise RefusedError(400, "jwks: discovery, explicit_url or inline is expected")
    longest = given.get("max_jwt_lifetime_seconds", 3600)
    _check_range("max_jwt_lifetime_seconds", longest, 1, 176_400)
    return {
        "issuer_url": url,
        "jwks": jwks,
        "check_jti": given.get("check_jti", True) is not False,
        "max_jwt_lifetime_seconds": longest,
    }


def _account(given: Mapping[str, Any]) -> dict[str, Any]:
    role = given.get("organization_role", "developer")
    if role not in {"admin", "developer"}:
        raise RefusedError(400, "organization_role: admin or developer is expected")
    return {"description": given.get("description"), "organization_role": role}


def _rule(given: Mapping[str, Any]) -> dict[str, Any]:
    match, target = given.get("match"), given.get("target")
    if not isinstance(match, dict) or match.keys() - {"audience", "subject_prefix", "claims"}:
        raise RefusedError(400, "match: audience, subject_prefix and claims are known here")
    subject = match.get("subject_prefix")
    if not match.get("claims") and (not isinstance(subject, str) or not subject.strip("*")):
        raise RefusedError(400, "match: audience alone, or a bare *, is not sufficient")
    if not isinstance(target, dict) or target.get("type") != "service_account":
        raise RefusedError(400, "target: a service_account is expected")
    if given.get("oauth_scope") not in _SCOPES:
        raise RefusedError(403, "oauth_scope: OAuth callers may not grant this one")
    life = given.get("token_lifetime_seconds", 3600)
    _check_range("token_lifetime_seconds", life, 60, 86_400)
    everywhere = given.get("applies_to_all_workspaces", False) is True
    workspace = given.get("workspace_id")
    if workspace is None and not everywhere:
        raise RefusedError(400, "workspace_id: required unless applies_to_all_workspaces")
    return {
        "issuer_id": given.get("issuer_id"),
        "match": match,
        "target": {"service_account_id": "", **target},
        "oauth_scope": given["oauth_scope"],
        "token_lifetime_seconds": life,
        "description": given.get("description"),
        "applies_to_all_workspaces": everywhere,
        "workspace_ids": [] if workspace is None else [workspace],
    }


def _check_range(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RefusedError(400, f"{name}: a whole number from {least} to {most} is expected")
