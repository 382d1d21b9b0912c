"""Makes the mutants of an IAM policy: each takes one thing away, or lets one thing more through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from policies.evaluator import texts

Policy = dict[str, Any]
Mutant = tuple[str, Policy]


def narrowed(policy: Policy) -> Iterator[Mutant]:
    """Give the policy without one statement, action, resource, principal or condition value."""
    for number, statement in enumerate(policy["Statement"]):
        name = statement["Sid"]
        if len(policy["Statement"]) > 1:
            yield f"{name}: dropped", _changed(policy, lambda p, n=number: p["Statement"].pop(n))
        for path in _lists(statement):
            values = texts(_at(statement, path))
            for one in values if len(values) > 1 else ():
                left = [other for other in values if other != one]
                yield f"{name}: without {one}", _put(policy, number, path, left)


def widened(policy: Policy) -> Iterator[Mutant]:
    """Give the policy with one condition dropped, or one action, resource or principal widened."""
    for number, statement in enumerate(policy["Statement"]):
        name = statement["Sid"]
        for operator, keys in statement.get("Condition", {}).items():
            for key in keys:
                path = ("Condition", operator, key)
                yield f"{name}: any {key}", _changed(policy, _dropping(number, path))
        for path in _lists(statement):
            values = texts(_at(statement, path))
            for place, one in enumerate(values):
                for wider in _wider(path, one):
                    changed = [*values[:place], wider, *values[place + 1 :]]
                    yield f"{name}: {wider} for {one}", _put(policy, number, path, changed)


def _wider(path: tuple[str, ...], value: str) -> Iterator[str]:
    if path[0] == "Action":
        yield value.partition(":")[0] + ":*"
    elif path[0] == "Principal":
        yield "*"
        if path[1] == "AWS":
            yield ":".join([*value.split(":")[:5], "root"])
    elif value != "*" and (path[0] == "Resource" or "Like" in path[1]):
        yield "*"
        parts = value.split(":", 5)
        for place in (3, 4, 5):  # region, account, name; what is empty is no part of such an ARN
            if parts[place]:
                yield ":".join([*parts[:place], "*", *parts[place + 1 :]])
        if value.endswith("/*"):
            yield value.removesuffix("/*") + "*"


def _lists(statement: Policy) -> Iterator[tuple[str, ...]]:
    """Where a statement has values, of which one can be taken away."""
    yield from ((name,) for name in ("Action", "Resource") if name in statement)
    yield from (("Principal", kind) for kind in statement.get("Principal", {}))
    for operator, keys in statement.get("Condition", {}).items():
        yield from (("Condition", operator, key) for key in keys)


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        found = found[step]
    return found


def _changed(policy: Policy, change: Callable[[Policy], object]) -> Policy:
    copy = deepcopy(policy)
    change(copy)
    return copy


def _put(policy: Policy, number: int, path: tuple[str, ...], values: list[str]) -> Policy:
    def change(copy: Policy) -> None:
        _at(copy["Statement"][number], path[:-1])[path[-1]] = values

    return _changed(policy, change)


def _dropping(number: int, path: tuple[str, ...]) -> Callable[[Policy], object]:
    return lambda copy: _at(copy["Statement"][number], path[:-1]).pop(path[-1])
