"""Each trust policy lets one caller in: not its neighbour, not a namesake in another account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.asked import ACCOUNT
from policies.evaluator import Request, allows
from policies.mutation import narrowed, widened

FOLDER = Path(__file__).parents[2] / "policies/aws/trust"
WEB = "sts:AssumeRoleWithWebIdentity"
OTHER = "999999999999"
GITHUB = "token.actions.githubusercontent.com"
EKS = "oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
SPIRE = "oidc.spire.example.org"
REPOSITORY = "repo:example-org/example-repo"


def policy(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def web(issuer, sub, aud="sts.amazonaws.com", **more):
    """What STS asks about a token that it has verified: its issuer is the provider's name."""
    claims = {f"{issuer}:sub": sub, f"{issuer}:aud": aud}
    return Request(
        action=more.get("action", WEB),
        principal=(
            "Federated",
            f"arn:aws:iam::{more.get('account', ACCOUNT)}:oidc-provider/{issuer}",
        ),
        context={name: value for name, value in claims.items() if value is not None},
    )


def around(issuer, right, wrong):
    """The job of a web identity, and what has to be refused for every issuer."""
    allowed = {"the workload": web(issuer, right)}
    refused = {
        "for another audience": web(issuer, right, aud="https://api.anthropic.com"),
        "for no audience": web(issuer, right, aud=None),
        "without a subject": web(issuer, None),
        "of an issuer that any account could have": web("oidc.attacker.example.org", right),
        "of the issuer by a provider of another account": web(issuer, right, account=OTHER),
        "by another way in": web(issuer, right, action="sts:AssumeRole"),
        "with tags": web(issuer, right, action="sts:TagSession"),
        "with another's claims": Request(
            action=WEB,
            principal=("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"),
            context={"oidc.attacker.example.org:sub": right, "accounts.google.com:aud": "x"},
        ),
        **{f"subject {one}": web(issuer, one) for one in wrong},
    }
    return allowed, refused


def external_id():
    role = "arn:aws:iam::111122223333:role/secretkit-broker"

    def assume(arn=role, **context):
        named = {f"sts:{name}": value for name, value in context.items()}
        return Request(action="sts:AssumeRole", principal=("AWS", arn), context=named)

    def tag(tags, arn=role):
        context = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
        context["aws:TagKeys"] = tuple(tags)
        return Request(action="sts:TagSession", principal=("AWS", arn), context=context)

    right = {"ExternalId": "EXTERNAL_ID"}
    namesake = role.replace("111122223333", OTHER)
    allowed = {"the broker": assume(**right), "its team": tag({"team": "TEAM"})}
    refused = {
        "without an external id": assume(),
        "with an empty external id": assume(ExternalId=""),
        "with another's external id": assume(ExternalId="ANOTHER_ID"),
        "with the id in other letters": assume(ExternalId="external_id"),
        "with a wildcard for an id": assume(ExternalId="*"),
        "the same name in another account": assume(namesake, **right),
        "another role of the account": assume(role.replace("broker", "batch"), **right),
        "a role whose name begins alike": assume(f"{role}-x", **right),
        "a user of the role's name": assume(role.replace(":role/", ":user/"), **right),
        "the role below a path": assume(role.replace("role/", "role/path/"), **right),
        "another team's tag": tag({"team": "OTHER"}),
        "a tag beside it": tag({"team": "TEAM", "admin": "yes"}),
        "another tag": tag({"admin": "yes"}),
        "a namesake's tag": tag({"team": "TEAM"}, namesake),
        "another role's tag": tag({"team": "TEAM"}, role.replace("broker", "batch")),
        "another way in": Request(
            action="sts:AssumeRoleWithSAML",
            principal=("AWS", role),
            context={"sts:ExternalId": "EXTERNAL_ID"},
        ),
        "a source identity": Request(
            action="sts:SetSourceIdentity",
            principal=("AWS", role),
            context={"sts:ExternalId": "EXTERNAL_ID", "aws:RequestTag/team": "TEAM"},
        ),
    }
    return allowed, refused


TRUST = {
    "external-id": external_id(),
    "github-oidc": around(
        GITHUB,
        f"{REPOSITORY}:ref:refs/heads/main",
        [
            f"{REPOSITORY}:pull_request",
            "repo:attacker/example-repo:pull_request",
            "repo:attacker/example-repo:ref:refs/heads/main",
            "repo:example-org/example-repo-x:ref:refs/heads/main",
            "repo:example-org/other:ref:refs/heads/main",
            f"{REPOSITORY}:ref:refs/heads/main-x",
            f"{REPOSITORY}:ref:refs/tags/main",
            f"{REPOSITORY}:ref:refs/heads/feature",
            f"{REPOSITORY}:environment:production",
            "repo:Example-Org/example-repo:ref:refs/heads/main",
            "repo:*",
        ],
    ),
    "eks-oidc": around(
        EKS,
        "system:serviceaccount:secretkit:broker",
        [
            "system:serviceaccount:secretkit:rotator",
            "system:serviceaccount:secretkit:broker-x",
            "system:serviceaccount:default:broker",
            "system:serviceaccount:secretkit-x:broker",
            "system:node:broker",
            "system:serviceaccount:*:*",
        ],
    ),
    "spiffe-oidc": around(
        SPIRE,
        "spiffe://example.org/ns/secretkit/sa/broker",
        [
            "spiffe://example.org/ns/secretkit/sa/rotator",
            "spiffe://example.org/ns/default/sa/broker",
            "spiffe://example.org.attacker.example/ns/secretkit/sa/broker",
            "spiffe://other.example.org/ns/secretkit/sa/broker",
            "spiffe://EXAMPLE.org/ns/secretkit/sa/broker",
            "spiffe://example.org/ns/secretkit/sa/broker/x",
        ],
    ),
}


def test_every_trust_policy_has_cases():
    assert {path.stem for path in FOLDER.glob("*.json")} == TRUST.keys()


@pytest.mark.parametrize("name", TRUST)
def test_the_one_caller_gets_in(name):
    assert all(allows(policy(name), one) for one in TRUST[name][0].values())


@pytest.mark.parametrize("name", TRUST)
def test_nobody_else_gets_in(name):
    refused = TRUST[name][1]
    assert len(refused) >= 10
    assert [why for why, one in refused.items() if allows(policy(name), one)] == []


@pytest.mark.parametrize("name", TRUST)
def test_without_any_one_part_the_caller_stays_out(name):
    for mutant, changed in narrowed(policy(name)):
        assert not all(allows(changed, one) for one in TRUST[name][0].values()), mutant


@pytest.mark.parametrize("name", TRUST)
def test_with_any_one_part_widened_somebody_else_gets_in(name):
    mutants = dict(widened(policy(name)))
    assert len(mutants) >= 4
    for mutant, changed in mutants.items():
        assert any(allows(changed, one) for one in TRUST[name][1].values()), mutant


@pytest.mark.parametrize("name", [name for name in TRUST if name.endswith("oidc")])
def test_a_web_identity_is_always_held_to_an_audience_and_one_whole_subject(name):
    for statement in policy(name)["Statement"]:
        assert statement["Condition"].keys() == {"StringEquals"}
        keys = statement["Condition"]["StringEquals"]
        issuer = statement["Principal"]["Federated"].partition("/")[2]
        assert keys.keys() == {f"{issuer}:aud", f"{issuer}:sub"}
        assert not any("*" in one for one in keys.values())
