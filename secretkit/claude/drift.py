"""Drift: makes what a plan has and an organization lacks, and says what is there but differs.

What is there is never changed: somebody may rely on it. Running it again changes nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from secretkit.claude.admin import ACCOUNTS, ISSUERS, RULES, AdminApi
from secretkit.claude.plan import SCOPES
from secretkit.core.record import record
from secretkit.errors import ConfigError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.claude.plan import Plan

__all__ = ["Step", "apply_plan"]

CREATED: Final = "created"
UNCHANGED: Final = "unchanged"
DIFFERS: Final = "differs"
LEFT_OUT: Final = "left out"
CONSOLE: Final = "in the Console"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ROLE: Final = "workspace_user"  # what each service account has in the default workspace


@record(kw_only=True)
class Step:
    """What became of one thing: its id, a state, and what differs or is left to do."""

    what: str
    name: str
    id: str
    state: str
    note: str = ""


def apply_plan(plan: Plan, api: AdminApi, *, done: Callable[[Step], None]) -> None:
    """Bring an organization to ``plan``; ``done`` is told each step when it is taken.

    Raises:
        AccessDeniedError: if the token may not; ``done`` has what was made before.
        ConfigError: if the service refuses what the plan has.
        ProviderError: as for any store. Run it again: what was made is found by its name.
    """
    issuer = _brought("issuer", ISSUERS, plan.issuer, api)
    done(issuer)
    account = _brought("service account", ACCOUNTS, plan.service_account, api)
    done(account)
    workspace = str(plan.rule.get("workspace_id", ""))
    if not {issuer.state, account.state} <= {CREATED, UNCHANGED}:
        done(_rule_step(plan, LEFT_OUT, "made once nothing above differs"))
    elif plan.rule["oauth_scope"] not in SCOPES:
        done(_rule_step(plan, CONSOLE, "only the Console grants this scope: make the rule there"))
    elif not workspace.startswith("wrkspc_"):
        done(_rule_step(plan, LEFT_OUT, "set workspace_id = wrkspc_… in the credential"))
    else:
        done(_member(account, workspace, api))
        target = {"type": "service_account", "service_account_id": account.id}
        done(_brought("rule", RULES, {**plan.rule, "issuer_id": issuer.id, "target": target}, api))


def _rule_step(plan: Plan, state: str, note: str) -> Step:
    return Step(what="rule", name=str(plan.rule["name"]), id="", state=state, note=note)


def _brought(what: str, path: str, wanted: Mapping[str, Any], api: AdminApi) -> Step:
    """Find one by its name, or create it."""
    name = str(wanted["name"])
    found = _named(name, api.found(path))
    if found is None:
        made = api.create(path, wanted)
        if made is not None:
            return Step(what=what, name=name, id=_id(made), state=CREATED)
        found = _named(name, api.found(path))  # somebody made it just now
        if found is None:
            raise ConfigError(
                f"the name {name!r} is taken by something that the Admin API does not list",
                hint="choose another one: --name",
            )
    differences = _differences(wanted, found)
    return Step(
        what=what,
        name=name,
        id=_id(found),
        state=DIFFERS if differences else UNCHANGED,
        note="; ".join(differences),
    )


def _member(account: Step, workspace: str, api: AdminApi) -> Step:
    """Let a service account into a workspace; a rule gives no token for one that is not in it."""
    path = f"{ACCOUNTS}/{account.id}/workspaces"
    state = UNCHANGED
    if not any(one.get("workspace_id") == workspace for one in api.found(path)):
        made = api.create(path, {"workspace_id": workspace, "workspace_role": _ROLE})
        state = CREATED if made is not None else UNCHANGED
    return Step(what="membership", name=account.name, id=workspace, state=state)


def _named(name: str, every: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((one for one in every if one.get("name") == name), None)


def _id(made: Mapping[str, Any]) -> str:
    identifier = made.get("id")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise ProviderError("the Admin API gives something without an id", ref="admin-api")
    return identifier


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    differences = ["it is archived"] if found.get("archived_at") else []
    for field, value in wanted.items():
        if field in {"name", "description"}:
            continue
        if field == "workspace_id":
            everywhere = found.get("applies_to_all_workspaces") is True
            if not everywhere and value not in (found.get("workspace_ids") or []):
                differences.append("workspace_id: the rule is not for this workspace")
        elif not _agrees(value, found.get(field)):
            differences.append(f"{field}: {_shown(found.get(field))}, planned {_shown(value)}")
    return differences


def _agrees(wanted: object, found: object) -> bool:
    """Say whether everything that is wanted is found; what the service adds does not count."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        known = {key for key, value in found.items() if value is not None}
        added = known - wanted.keys() - {"service_account_name"}
        return not added and all(_agrees(one, found.get(key)) for key, one in wanted.items())
    return wanted == found


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 and text.isprintable() else "something else"  # noqa: PLR2004
