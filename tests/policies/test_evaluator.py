"""The evaluator says what AWS documents, and never yes to what it does not understand."""

from __future__ import annotations

import pytest

from policies.evaluator import PolicyError, Request, allows, verdict

ARN = "arn:aws:s3:::bucket/key"
ROLE = "arn:aws:iam::123456789012:role/broker"


def statement(effect="Allow", **parts):
    named = {"Action": "s3:GetObject", "Resource": "*"} | parts
    return {"Effect": effect} | {name: given for name, given in named.items() if given is not None}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def asks(action="s3:GetObject", resource=ARN, **more):
    return Request(action=action, resource=resource, **more)


def test_nothing_is_allowed_that_is_not_said():
    assert verdict(policy(statement(Action="s3:PutObject")), asks()) == "no"


def test_a_deny_wins_wherever_it_stands():
    for order in (1, -1):
        both = [statement(), statement("Deny")][::order]
        assert verdict(policy(*both), asks()) == "deny"


@pytest.mark.parametrize(
    ("pattern", "action", "fits"),
    [
        ("s3:GetObject", "s3:getobject", True),
        ("S3:Get*", "s3:GetObject", True),
        ("s3:Ge?Object", "s3:GetObject", True),
        ("s3:Get?", "s3:GetObject", False),
        ("*", "iam:CreateUser", True),
        ("s3:*", "s3x:GetObject", False),
        ("s3.GetObject", "s3:GetObject", False),
    ],
)
def test_actions_have_wildcards_and_no_case(pattern, action, fits):
    assert allows(policy(statement(Action=pattern)), asks(action)) is fits
    assert allows(policy(statement(Action=None, NotAction=pattern)), asks(action)) is not fits


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (ARN, True),
        (ARN.upper(), False),
        ("arn:aws:s3:::bucket/*", True),
        ("arn:aws:s3:::bucket/k?y", True),
        ("arn:aws:s3:::bucket", False),
        ("arn:aws:s3:::bucke./key", False),
        ("arn:aws:s3:::other/*", False),
    ],
)
def test_resources_have_wildcards_and_case(pattern, fits):
    assert allows(policy(statement(Resource=["arn:aws:x", pattern])), asks()) is fits
    inverse = statement(Resource=None, NotResource=["arn:aws:x", pattern])
    assert allows(policy(inverse), asks()) is not fits


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "fits"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", "a", None, False),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", "b", False),
        ("StringNotEquals", "a", "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", "a", None, True),
        ("StringEqualsIgnoreCase", "a", "A", True),
        ("StringNotEqualsIgnoreCase", "a", "A", False),
        ("StringLike", "repo:o/*", "repo:o/r:ref", True),
        ("StringLike", "repo:o/*", "repo:other/r", False),
        ("StringLike", "a?", None, False),
        ("StringNotLike", "a*", "b", True),
        ("ArnLike", "arn:aws:iam::*:role/x", "arn:aws:iam::1:role/x", True),
        ("ArnLike", "arn:aws:*", "arn:aws:iam::1:role/x", False),
        ("ArnLike", "arn:aws:iam::*:x", "arn:aws:iam::1:2:x", False),
        ("ArnLike", "iam:*", "iam:x", False),
        ("ArnEquals", "arn:aws:iam::1:role/*", "arn:aws:iam::1:role/a:b", True),
        ("ArnNotLike", "arn:aws:iam::1:*", "arn:aws:iam::2:x", True),
        ("ArnNotEquals", "arn:aws:iam::1:*", "arn:aws:iam::1:x", False),
        ("Bool", "true", "True", True),
        ("Bool", "true", "false", False),
        ("Bool", "true", None, False),
        ("BoolIfExists", "true", None, True),
        ("Null", "true", None, True),
        ("Null", "true", "x", False),
        ("Null", "false", "x", True),
        ("Null", "false", None, False),
        ("NumericEquals", "90", "90.0", True),
        ("NumericNotEquals", "90", "90", False),
        ("NumericLessThan", "90", "90", False),
        ("NumericLessThan", "90", "9", True),
        ("NumericLessThanEquals", "90", "90", True),
        ("NumericLessThanEquals", "90", None, False),
        ("NumericGreaterThan", "90", "91", True),
        ("NumericGreaterThanEquals", "90", "89", False),
        ("DateLessThan", "2026-11-24T00:00:00Z", "2026-11-23T23:59:59Z", True),
        ("DateLessThan", "2026-11-24T00:00:00+00:00", "2026-11-24T01:00:00+02:00", True),
        ("DateLessThanEquals", "2026-11-24T00:00:00Z", "2026-11-24T00:00:01Z", False),
        ("DateGreaterThan", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z", True),
        ("DateGreaterThanEquals", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z", True),
        ("DateEquals", "2026-11-24T00:00:00Z", "2026-11-24T00:00:01Z", False),
        ("DateNotEquals", "2026-11-24T00:00:00Z", "2026-11-24T00:00:01Z", True),
        ("ForAnyValue:StringEquals", ["a", "b"], ("c", "b"), True),
        ("ForAnyValue:StringEquals", ["a", "b"], ("c",), False),
        ("ForAnyValue:StringEquals", "a", None, False),
        ("ForAnyValue:StringNotEquals", "a", None, False),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "b"), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringEquals", "a", None, True),
        ("ForAllValues:StringEquals", "a", (), True),
        ("ForAllValues:StringNotEquals", "a", ("b", "a"), False),
        ("ForAllValues:StringLike", "a*", "ab", True),
    ],
)
def test_conditions_are_those_of_aws(operator, wanted, found, fits):
    conditional = statement(Condition={operator: {"Aws:Key": wanted}})
    context = {} if found is None else {"aws:kEY": found}
    assert allows(policy(conditional), asks(context=context)) is fits


def test_every_condition_has_to_hold():
    one, two = {"StringEquals": {"a:x": "1", "a:y": "2"}}, {"Bool": {"a:z": "true"}}
    context = {"a:x": "1", "a:y": "2", "a:z": "true"}
    both = policy(statement(Condition=one | two))
    assert allows(both, asks(context=context))
    for key in context:
        assert not allows(both, asks(context=context | {key: "false"}))


@pytest.mark.parametrize(
    ("given", "caller", "fits"),
    [
        ({"AWS": ROLE}, ROLE, True),
        ({"AWS": [ROLE + "-x", ROLE]}, ROLE, True),
        ({"AWS": ROLE.replace("123456789012", "111122223333")}, ROLE, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, ROLE, True),
        ({"AWS": "123456789012"}, ROLE, True),
        ({"AWS": "111122223333"}, ROLE, False),
        ({"AWS": "*"}, ROLE, True),
        ("*", ROLE, True),
        ({"AWS": ROLE + "*"}, ROLE, False),
        ({"Federated": ROLE}, ROLE, False),
    ],
)
def test_a_trust_policy_names_who_may(given, caller, fits):
    trust = statement(Action="sts:AssumeRole", Resource=None, Principal=given)
    asked = Request(action="sts:AssumeRole", principal=("AWS", caller))
    assert allows(policy(trust), asked) is fits


@pytest.mark.parametrize(
    "broken",
    [
        statement(Condition={"StringMatches": {"a:x": "1"}}),
        statement(Condition={"IpAddress": {"a:x": "1"}}),
        statement(Condition={"NullIfExists": {"a:x": "true"}}),
        statement(Condition={"Null": {"a:x": "maybe"}}),
        statement(Condition={"ForSomeValues:StringEquals": {"a:x": "1"}}),
        statement(Condition={"NumericLessThan": {"a:missing": "many"}}),
        statement(Condition={"DateLessThan": {"a:missing": "2026-11-24"}}),
        statement(Condition={"Bool": {"a:missing": "yes"}}),
        statement(Condition={"StringEquals": {"a:x": []}}),
        statement(Condition={"StringEquals": {"a:x": 1}}),
        statement(Condition={"StringEquals": {"a:x": "${aws:username}"}}),
        statement(Condition={"StringEquals": {"a:list": "1"}}),
        statement(Resource="arn:aws:s3:::${aws:username}/*"),
        statement(Action=None),
        statement(NotAction="s3:PutObject"),
        statement(Resource=None),
        statement(NotResource=ARN),
        statement(Principal="*"),
        statement(Resource=None, NotPrincipal="*"),
        statement(Resource=None, Principal={"Somebody": "x"}),
        statement(Allow="s3:*"),
        statement(effect="Permit"),
        {"Action": "s3:GetObject", "Resource": "*"},
    ],
)
def test_what_is_not_understood_is_an_error_also_beside_what_allows(broken):
    context = {"a:x": "1", "a:list": ("1", "2")}
    for order in (1, -1):
        both = policy(*[statement(), broken][::order])
        with pytest.raises(PolicyError):
            verdict(both, asks(context=context))


@pytest.mark.parametrize(
    "broken",
    [
        {"Statement": [statement()]},
        {"Version": "2008-10-17", "Statement": [statement()]},
        {"Version": "2012-10-17", "Statement": []},
        {"Version": "2012-10-17", "Statement": statement()},
        policy(statement()) | {"Statements": []},
    ],
)
def test_a_document_that_is_none_is_an_error(broken):
    with pytest.raises(PolicyError):
        verdict(broken, asks())


def test_a_key_that_is_twice_in_a_request_is_an_error():
    with pytest.raises(PolicyError):
        allows(policy(statement()), asks(context={"a:x": "1", "A:X": "2"}))
