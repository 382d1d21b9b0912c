"""Decides what an IAM policy allows, for tests: what is not understood is an error, not a yes.

The logic of one policy, as AWS documents it: an explicit deny wins, then an allow, else no.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
Not evaluated, and therefore refused: policy variables (``${...}``), ``NotPrincipal``, binary and
address conditions. Several policies, boundaries and organisation policies are not this one's task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Verdict = Literal["allow", "deny", "no"]
Values = tuple[str, ...]
_STATEMENT = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_OPERATOR = re.compile(r"(?:(?P<set>ForAnyValue|ForAllValues):)?(?P<name>\w+?)(?P<maybe>IfExists)?")


class PolicyError(Exception):
    """The policy, or the request, is nothing that this evaluator understands."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to IAM: who (only for trust policies), what, on what, and what comes with it."""

    action: str
    resource: str = ""
    principal: tuple[str, str] = ("", "")
    context: Mapping[str, str | Values] = field(default_factory=dict)


def verdict(policy: Mapping[str, Any], request: Request) -> Verdict:
    """Give what the policy of an identity or of a role's trust says about a request."""
    _known(policy, {"Version", "Id", "Statement"})
    if policy.get("Version") != "2012-10-17":
        raise PolicyError("an old or missing Version")
    statements = policy["Statement"]
    if not isinstance(statements, list) or not statements:
        raise PolicyError("Statement is a list that is not empty")
    # Every statement is read, also after one that decides: a broken one is never passed over.
    effects = {one["Effect"] for one in statements if _applies(one, request)}
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "no"


def allows(policy: Mapping[str, Any], request: Request) -> bool:
    """Say whether the policy lets a request through."""
    return verdict(policy, request) == "allow"


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    trust = "Principal" in statement
    _known(statement, _STATEMENT | {"Principal"})
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise PolicyError("an Effect that is neither Allow nor Deny")
    if trust == ("Resource" in statement or "NotResource" in statement):
        raise PolicyError("a statement has either a Principal or a Resource")
    checks = (
        _one_of(statement, "Action", lambda given: _like(given.lower(), request.action.lower())),
        _principal(statement["Principal"], request.principal)
        if trust
        else _one_of(statement, "Resource", lambda given: _like(given, request.resource)),
        _conditions(statement.get("Condition", {}), request.context),
    )
    return all(checks)


def _one_of(statement: Mapping[str, Any], name: str, fits: Callable[[str], bool]) -> bool:
    """Match ``Name`` or ``NotName``, of which a statement has exactly one."""
    given = [key for key in (name, f"Not{name}") if key in statement]
    if len(given) != 1:
        raise PolicyError(f"a statement has one of {name} and Not{name}")
    found = any(fits(one) for one in texts(statement[given[0]]))
    return found == (given[0] == name)


def _principal(given: Any, asked: tuple[str, str]) -> bool:
    if given == "*":
        return True
    _known(given, {"AWS", "Federated", "Service"})
    kind, name = asked
    return any(
        who == kind and (one in {"*", name} or (kind == "AWS" and one in _accounts(name)))
        for who, names in given.items()
        for one in texts(names)
    )


def _accounts(arn: str) -> set[str]:
    """What stands for the whole account of a caller."""
    account = arn.split(":")[4]
    return {account, f"arn:aws:iam::{account}:root"}


# -- conditions ------------------------------------------------------------------------------------


def _conditions(given: Mapping[str, Any], context: Mapping[str, str | Values]) -> bool:
    folded = {key.lower(): value for key, value in context.items()}
    if len(folded) != len(context):
        raise PolicyError("a condition key twice in the request")
    results = [
        _condition(operator, texts(wanted), folded.get(key.lower()))
        for operator, keys in given.items()
        for key, wanted in keys.items()
    ]
    return all(results)


def _condition(operator: str, wanted: Values, found: str | Values | None) -> bool:
    parts = _OPERATOR.fullmatch(operator)
    name = parts["name"] if parts else ""
    if name == "Null":
        return _null(operator, wanted, found)
    if parts is None or name not in _COMPARE:
        raise PolicyError(f"an unknown operator: {operator}")
    compare, negated = _COMPARE[name]
    values = (found,) if isinstance(found, str) else found
    for one in wanted:  # a broken value is an error also where the request does not have the key
        compare(one, one)
    if values is None:
        return (
            bool(parts["maybe"]) or parts["set"] == "ForAllValues" or (negated and not parts["set"])
        )
    if len(values) != 1 and not parts["set"]:
        raise PolicyError(
            f"{operator} needs ForAnyValue or ForAllValues: the key has several values"
        )
    each = [any(compare(one, value) for one in wanted) != negated for value in values]
    return any(each) if parts["set"] == "ForAnyValue" else all(each)


def _null(operator: str, wanted: Values, found: str | Values | None) -> bool:
    if operator != "Null" or wanted not in {("true",), ("false",)}:
        raise PolicyError("Null takes true or false, and nothing around it")
    return (wanted == ("true",)) == (found is None)


def _like(pattern: str, text: str) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _arn_like(pattern: str, text: str) -> bool:
    """Each of the six parts on its own: a wildcard does not reach over a colon."""
    wanted, found = pattern.split(":", 5), text.split(":", 5)
    return len(wanted) == len(found) == 6 and all(map(_like, wanted, found))


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def numbers(wanted: str, found: str) -> bool:
        try:
            return compare(float(found), float(wanted))
        except ValueError:
            raise PolicyError(f"no number: {wanted} or {found}") from None

    return numbers


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    def dates(wanted: str, found: str) -> bool:
        return compare(_moment(found), _moment(wanted))

    return dates


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise PolicyError(f"no date: {text}") from None
    if found.tzinfo is None:
        raise PolicyError(f"a date without a time zone: {text}")
    return found


def _bool(wanted: str, found: str) -> bool:
    if {wanted.lower(), found.lower()} - {"true", "false"}:
        raise PolicyError(f"neither true nor false: {wanted} or {found}")
    return wanted.lower() == found.lower()


def _ordered(kind: Any) -> dict[str, tuple[Callable[[str, str], bool], bool]]:
    prefix = "Numeric" if kind is _number else "Date"
    return {
        f"{prefix}Equals": (kind(lambda a, b: a == b), False),
        f"{prefix}NotEquals": (kind(lambda a, b: a == b), True),
        f"{prefix}LessThan": (kind(lambda a, b: a < b), False),
        f"{prefix}LessThanEquals": (kind(lambda a, b: a <= b), False),
        f"{prefix}GreaterThan": (kind(lambda a, b: a > b), False),
        f"{prefix}GreaterThanEquals": (kind(lambda a, b: a >= b), False),
    }


def _equal(wanted: str, found: str) -> bool:
    return wanted == found


def _folded(wanted: str, found: str) -> bool:
    return wanted.casefold() == found.casefold()


# Each compares one value of the policy with one of the request; the second says: negate the answer.
_COMPARE: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_folded, False),
    "StringNotEqualsIgnoreCase": (_folded, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnLike": (_arn_like, False),
    "ArnNotLike": (_arn_like, True),
    "Bool": (_bool, False),
    **_ordered(_number),
    **_ordered(_date),
}


def texts(given: Any) -> Values:
    """Give one text or a list of texts as a tuple; variables are refused."""
    values = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else ()
    if not values or not all(isinstance(one, str) for one in values):
        raise PolicyError("a text or a list of texts that is not empty is expected")
    if any("${" in one for one in values):
        raise PolicyError("a policy variable, which is not evaluated here")
    return values


def _known(given: Any, allowed: set[str]) -> None:
    if not isinstance(given, Mapping) or given.keys() - allowed:
        raise PolicyError(f"an object with keys of {sorted(allowed)} is expected")
