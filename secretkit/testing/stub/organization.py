"""Organization: issuers, service accounts and federation rules, as the Admin API keeps them.

Facts from anthropic 2.12's ``resources/organization`` and its type docs. What the stand-in cannot
do is refused: a ``condition`` (it evaluates no CEL), and fetching keys over a network: what a
discovery would find is told to it by :meth:`Organization.publish`.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.testing.stub.refused import RefusedError
from secretkit.testing.stub.resource import COLLECTIONS, made

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.ports import Clock
    from secretkit.testing.stub.issuer import TokenIssuer
    from secretkit.testing.stub.jwt import Jwk

__all__ = ["DEFAULT_WORKSPACE", "Federation", "Organization"]

DEFAULT_WORKSPACE: Final = "wrkspc_01default"
_PATH: Final = re.compile(
    r"/v1/organizations/(?P<kind>\w+)(?:/(?P<id>\w+)/(?P<part>archive|workspaces))?"
)
_PAGE: Final = 20
_HOUR: Final = timedelta(hours=1)


@record(kw_only=True)
class Federation:
    """The ids that a client of a federation sends."""

    organization_id: str
    issuer_id: str
    service_account_id: str
    federation_rule_id: str


class Organization:
    """What one organisation has set up. Thread-safe.

    Its Admin API takes the access tokens whose labels are in ``admins``: they stand for the scope
    ``org:admin``.
    """

    def __init__(self, organization_id: str, *, clock: Clock) -> None:
        self.id = organization_id
        self.admins: set[str] = set()
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in COLLECTIONS}
        self._members: set[tuple[str, str]] = set()
        self._published: dict[str, Sequence[Jwk]] = {}

    def publish(self, issuer: TokenIssuer) -> None:
        """Let an issuer's discovery document and keys be found by its URL."""
        self._published[issuer.url] = issuer.jwks["keys"]

    def federate(
        self,
        issuer: TokenIssuer,
        *,
        subject: str,
        life: timedelta = _HOUR,
        audience: str = "",
    ) -> Federation:
        """Trust ``issuer``, and let ``subject`` be a service account in the default workspace."""
        self.publish(issuer)
        tail = secrets.token_hex(4)
        trusted = self._create(
            "federation_issuers", {"name": f"issuer-{tail}", "issuer_url": issuer.url}
        )
        account = self._create("service_accounts", {"name": f"account-{tail}"})
        match = {"subject_prefix": subject} | ({"audience": audience} if audience else {})
        rule = self._create(
            "federation_rules",
            {
                "name": f"rule-{tail}",
                "issuer_id": trusted["id"],
                "match": match,
                "oauth_scope": "workspace:inference",
                "target": {"type": "service_account", "service_account_id": account["id"]},
                "token_lifetime_seconds": int(life.total_seconds()),
                "workspace_id": DEFAULT_WORKSPACE,
            },
        )
        return Federation(
            organization_id=self.id,
            issuer_id=trusted["id"],
            service_account_id=account["id"],
            federation_rule_id=rule["id"],
        )

    # -- what the token endpoint asks --------------------------------------------------------------

    def found(self, kind: str, identifier: object) -> Mapping[str, Any] | None:
        """Give what is kept under an id and not archived, or None."""
        with self._lock:
            kept = self._kept[kind].get(str(identifier))
        return kept if kept is not None and kept["archived_at"] is None else None

    def every(self, kind: str) -> list[Mapping[str, Any]]:
        """Give everything of a kind, archived or not: ``federation_rules``, say."""
        with self._lock:
            return list(self._kept[kind].values())

    def keys_of(self, issuer: Mapping[str, Any]) -> Sequence[Jwk]:
        """Give the keys by which an issuer's signatures are checked."""
        if issuer["jwks"]["type"] == "inline":
            keys: Sequence[Jwk] = issuer["jwks"]["keys"]
            return keys
        return self._published.get(issuer["issuer_url"], ())

    def is_member(self, service_account_id: str, workspace_id: str) -> bool:
        """Say whether a service account is in a workspace; each is in the default one."""
        return (
            workspace_id == DEFAULT_WORKSPACE or (service_account_id, workspace_id) in self._members
        )

    # -- the Admin API -----------------------------------------------------------------------------

    def check(self, label: str, *, is_token: bool) -> None:
        """Refuse who is no administrator.

        Raises:
            RefusedError: 403.
        """
        if not is_token:
            raise RefusedError(403, "API keys are not accepted here; use an OAuth access token")
        if label not in self.admins:
            raise RefusedError(403, "this token lacks the scope org:admin")

    def answer(
        self, method: str, path: str, *, query: Mapping[str, str], given: Mapping[str, Any]
    ) -> bytes:
        """Give the body of the answer to one request of the Admin API.

        Raises:
            RefusedError: 400, 404, 405 or 409.
        """
        match = _PATH.fullmatch(path)
        if match is None or match["kind"] not in COLLECTIONS:
            raise RefusedError(404, "there is nothing at this path")
        kind = match["kind"]
        if match["part"] is not None:
            return self._part(method, kind, match["id"], match["part"], given)
        if method == "GET":
            return json.dumps(self._listed(kind, query)).encode()
        return json.dumps(self._create(kind, given)).encode()

    def _part(
        self, method: str, kind: str, identifier: str, part: str, given: Mapping[str, Any]
    ) -> bytes:
        with self._lock:
            kept = self._kept[kind].get(identifier)
            if kept is None:
                raise RefusedError(404, "there is no such resource")
            if method == "GET" and (kind, part) == ("service_accounts", "workspaces"):
                return json.dumps(self._memberships(identifier)).encode()
            if method != "POST":
                raise RefusedError(405, "this method is not allowed here")
            if part == "archive":
                kept["archived_at"] = self._clock.now().isoformat()
                return json.dumps(kept).encode()
            if kind == "federation_issuers" or not given.keys() >= {"workspace_id"}:
                raise RefusedError(400, "workspace_id: it is required")
            if kind == "federation_rules":
                kept["workspace_ids"].append(given["workspace_id"])
                return json.dumps(kept).encode()
            self._members.add((identifier, str(given["workspace_id"])))
        return json.dumps(
            {
                "type": "service_account_workspace_member",
                "service_account_id": identifier,
                "workspace_id": given["workspace_id"],
                "workspace_role": given.get("workspace_role"),
            }
        ).encode()

    def _memberships(self, identifier: str) -> Mapping[str, Any]:
        mine = [workspace for account, workspace in sorted(self._members) if account == identifier]
        data = [
            {
                "type": "service_account_workspace_member",
                "service_account_id": identifier,
                "workspace_id": workspace,
                "workspace_role": "workspace_user",
                "implicit": workspace == DEFAULT_WORKSPACE,
            }
            for workspace in (DEFAULT_WORKSPACE, *mine)
        ]
        return {"data": data, "next_page": None}

    def _listed(self, kind: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        if query.keys() - {"limit", "page", "include_archived"}:
            raise RefusedError(400, "an unknown query parameter")
        start, limit = query.get("page", "0"), query.get("limit", str(_PAGE))
        if not start.isdecimal() or not re.fullmatch(r"[1-9][0-9]{0,2}", limit):
            raise RefusedError(400, "page or limit: cannot be read")
        archived = query.get("include_archived") == "true"
        with self._lock:
            every = [
                one for one in self._kept[kind].values() if archived or one["archived_at"] is None
            ]
        end = int(start) + int(limit)
        following = str(end) if end < len(every) else None
        return {"data": every[int(start) : end], "next_page": following}

    def _create(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        fresh = made(kind, given, at=self._clock.now().isoformat())
        if kind == "federation_rules" and (
            self.found("federation_issuers", fresh["issuer_id"]) is None
            or self.found("service_accounts", fresh["target"]["service_account_id"]) is None
        ):
            raise RefusedError(400, "issuer_id or target: there is no such resource")
        with self._lock:
            if any(one["name"] == fresh["name"] for one in self._kept[kind].values()):
                raise RefusedError(409, "name: there is one of this name already")
            self._kept[kind][fresh["id"]] = fresh
        return fresh
