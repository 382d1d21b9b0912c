"""Plan: the issuer, the service account and the rule that a credential's federation needs.

Shapes: ``types/organization/federation/*_create_params.py`` of anthropic 2.12. What a file holds is
what the Admin API takes, but for the two ids that are known only once the first two are made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

__all__ = ["SCOPES", "Plan", "make_plan", "public_keys"]

SCOPES: Final = ("workspace:inference", "workspace:developer")
"""What an OAuth token may grant by the Admin API; others are the Console's."""

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
# Identities that give the same token more than once; Claude would take it once only.
_REPEATING: Final = {"file", "kubernetes", "secret", "azure", "gcp"}
_LIVES: Final = {"azure": 90_000}  # a managed identity's token lasts up to 24 h
_LIFE: Final = 3600
_LEAST, _MOST = 60, 86_400  # token_lifetime_seconds: rule_create_params.py
_PRIVATE: Final = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}  # RFC 7518 §6


@record(kw_only=True)
class Plan:
    """What to make, in this order, and what to know about it. No secret."""

    name: str
    issuer: Mapping[str, Any]
    service_account: Mapping[str, Any]
    rule: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def documents(self) -> dict[str, Mapping[str, Any]]:
        """Give each as the Admin API takes it, by the name of its file."""
        return {
            "issuer": self.issuer,
            "service-account": self.service_account,
            "rule": self.rule,
        }


def make_plan(  # noqa: PLR0913 - what a federation consists of, by keyword
    credential: str,
    *,
    kind: str,
    issuer: str,
    subject: str,
    audience: str,
    workspace_id: str = "",
    scope: str = SCOPES[0],
    life: timedelta | None = None,
    keys: Sequence[Mapping[str, Any]] = (),
    name: str = "",
) -> Plan:
    """Give the plan for one workload: ``kind`` is its identity's, the rest what its token says.

    ``subject`` is matched whole, or as a prefix if it ends with ``*``. ``keys`` are the issuer's
    public keys, for one whose discovery document Claude cannot reach.

    Raises:
        ConfigError: for a subject that would let everybody in, and a name that is no slug.
    """
    slug = name or credential.lower().replace("_", "-")
    _check(slug, issuer, subject)
    repeats = kind in _REPEATING
    seconds = _LIFE if life is None else int(life.total_seconds())
    return Plan(
        name=slug,
        issuer={
            "name": slug,
            "issuer_url": issuer,
            "jwks": {"type": "inline", "keys": list(keys)} if keys else {"type": "discovery"},
            "check_jti": not repeats,
            "max_jwt_lifetime_seconds": _LIVES.get(kind, _LIFE),
        },
        service_account={"name": slug, "description": f"secretkit credential {credential}"},
        rule={
            "name": slug,
            "match": {"audience": audience, "subject_prefix": subject},
            "oauth_scope": scope,
            "token_lifetime_seconds": min(_MOST, max(_LEAST, seconds)),
            **({"workspace_id": workspace_id} if workspace_id else {}),
        },
        notes=_notes(kind, subject, workspace_id, keys=keys),
    )


def public_keys(document: object) -> list[Mapping[str, Any]]:
    """Give the keys of a JWKS document (RFC 7517).

    Raises:
        ConfigError: if it is none, or holds a key that is not public.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise ConfigError(
            "this file is no JWKS document", hint='it is JSON with a list: {"keys": [{"kty": …}]}'
        )
    if any(_PRIVATE & key.keys() for key in keys):
        raise ConfigError(
            "a key in this file is private, and would be given away",
            hint="export the public keys alone; if others have seen the file, make new ones",
        )
    return keys


def _check(slug: str, issuer: str, subject: str) -> None:
    if not _SLUG.fullmatch(slug):
        raise ConfigError(
            f"{slug!r} cannot be a name in the Claude Console",
            hint="choose one with --name: lower case, digits and hyphens",
        )
    if not issuer.startswith("https://"):
        raise ConfigError(
            "the issuer of the identity's token is no https URL",
            hint="it has to be the token's iss to the letter, such as https://id.example.org",
        )
    if not subject.strip("*") or "*" in subject[:-1]:
        raise ConfigError(
            "a rule with this subject would let in too many, or nobody",
            hint="write the whole subject; a * may only stand at its end, after a prefix",
        )


def _notes(
    kind: str, subject: str, workspace_id: str, *, keys: Sequence[object]
) -> tuple[str, ...]:
    notes = []
    if not keys:
        notes.append(
            "Claude fetches the issuer's keys over the internet; where it cannot: --jwks FILE"
        )
    if kind in _REPEATING:
        notes.append(
            f"check_jti is false, because an identity of kind {kind} gives one token several times"
        )
    if subject.endswith("*"):
        notes.append("the subject is a prefix: everybody whose subject begins like that gets in")
    if not workspace_id or workspace_id == "default":
        notes.append(
            "the rule needs the id of a workspace: set workspace_id = wrkspc_… in the credential"
        )
    return tuple(notes)
