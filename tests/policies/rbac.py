"""Decides what Kubernetes RBAC allows, for tests: rules only add up, and nothing is denied.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/. Aggregated roles, users and groups
are not evaluated, and therefore refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Documents = list[dict[str, Any]]
BINDINGS = {"RoleBinding": "Role", "ClusterRoleBinding": "ClusterRole"}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a service account, ``namespace/name``, wants to do."""

    who: str
    verb: str
    group: str
    resource: str
    name: str = ""
    namespace: str = ""


def allows(documents: Documents, ask: Ask) -> bool:
    """Say whether any binding gives it."""
    granted = [
        rule
        for binding in documents
        if binding["kind"] in BINDINGS and _is_bound(binding, ask)
        for role in documents
        if _is_meant(role, binding)
        for rule in role["rules"]
    ]
    return any(_fits(rule, ask) for rule in granted)


def _is_bound(binding: dict[str, Any], ask: Ask) -> bool:
    kinds = {one["kind"] for one in binding["subjects"]}
    assert kinds <= {"ServiceAccount"}, f"not evaluated here: {kinds}"
    subjects = {f"{one['namespace']}/{one['name']}" for one in binding["subjects"]}
    inside = binding["kind"] == "ClusterRoleBinding" or (
        binding["metadata"]["namespace"] == ask.namespace
    )
    return inside and ask.who in subjects


def _is_meant(role: dict[str, Any], binding: dict[str, Any]) -> bool:
    meant = binding["roleRef"]
    if role["kind"] != meant["kind"] or role["metadata"]["name"] != meant["name"]:
        return False
    assert "aggregationRule" not in role, "not evaluated here"
    return role["kind"] == "ClusterRole" or (
        role["metadata"]["namespace"] == binding["metadata"]["namespace"]
    )


def _fits(rule: dict[str, Any], ask: Ask) -> bool:
    assert rule.keys() <= {"apiGroups", "resources", "verbs", "resourceNames"}, rule
    pairs = (("verbs", ask.verb), ("apiGroups", ask.group), ("resources", ask.resource))
    named = "resourceNames" not in rule or ask.name in rule["resourceNames"]
    return named and all({one, "*"} & set(rule[key]) for key, one in pairs)


def narrowed(documents: Documents) -> Iterator[tuple[str, Documents]]:
    """Give the documents without one role, binding, subject, or word of a rule."""
    for place, document in enumerate(documents):
        if document["kind"] in {*BINDINGS, *BINDINGS.values()}:
            name = f"{document['kind']} {document['metadata']['name']}"
            yield name, documents[:place] + documents[place + 1 :]
    for keys in _lists(documents):
        for one in _at(documents, keys):
            copy = deepcopy(documents)
            _at(copy, keys).remove(one)
            yield f"{one} of {keys}", copy


def widened(documents: Documents) -> Iterator[tuple[str, Documents]]:
    """Give the documents with everything for one word of a rule, or one subject more."""
    for keys in _lists(documents):
        copy = deepcopy(documents)
        _at(copy, keys)[:] = ["*"]
        if keys[-1] == "subjects":
            more = [{"kind": "ServiceAccount", "name": "rotator", "namespace": "secretkit"}]
            _at(copy, keys)[:] = _at(documents, keys) + more
        yield f"anything for {keys}", copy


def _lists(documents: Documents) -> Iterator[tuple[Any, ...]]:
    for place, document in enumerate(documents):
        for number, rule in enumerate(document.get("rules", ())):
            yield from ((place, "rules", number, key) for key in rule)
        if "subjects" in document:
            yield place, "subjects"


def _at(found: Any, keys: tuple[Any, ...]) -> Any:
    for key in keys:
        found = found[key]
    return found
