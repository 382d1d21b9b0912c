"""Each federation lets one workload in, and is to the letter what ``federation plan`` writes."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from secretkit.broker.clock import SystemClock
from secretkit.claude.plan import make_plan
from secretkit.cli.root import root as commands
from secretkit.testing.stub.issuer import CLAUDE_AUDIENCE, TokenIssuer
from secretkit.testing.stub.keys import KeyRing
from secretkit.testing.stub.oauth import GRANT_TYPE, Exchange
from secretkit.testing.stub.organization import Organization
from secretkit.testing.stub.refused import RefusedError

FOLDER = Path(__file__).parents[2] / "policies/claude"
ORGANIZATION = "00000000-0000-0000-0000-000000000000"
WORKSPACE = "wrkspc_01EXAMPLE"
CLOCK = SystemClock()
EKS = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
SPIRE = "https://oidc.spire.example.org"
# Where each workload's token comes from, and what it says of itself.
PLANS = {
    "spiffe": (SPIRE, "spiffe://example.org/ns/secretkit/sa/broker"),
    "github": (
        "https://token.actions.githubusercontent.com",
        "repo:example-org/example-repo:ref:refs/heads/main",
    ),
    "kubernetes": (EKS, "system:serviceaccount:secretkit:broker"),
}
NEAR = {
    "spiffe": ["spiffe://example.org/ns/secretkit/sa/rotator", "spiffe://example.com/ns/x"],
    "github": [
        "repo:example-org/example-repo:pull_request",
        "repo:attacker/example-repo:ref:refs/heads/main",
        "repo:example-org/example-repo:ref:refs/heads/feature",
        "repo:example-org/example-repo:environment:production",
    ],
    "kubernetes": ["system:serviceaccount:secretkit:rotator", "system:serviceaccount:x:broker"],
}


def documents(kind):
    return {path.stem: json.loads(path.read_text()) for path in (FOLDER / kind).iterdir()}


class Service:
    """The stand-in's organisation, after these documents were applied to it."""

    def __init__(self, kind, given):
        self.issuer = TokenIssuer(PLANS[kind][0], clock=CLOCK)
        self.stranger = TokenIssuer(PLANS[kind][0], clock=CLOCK)
        self.subject = PLANS[kind][1]
        self.statuses = set()
        self.organization = Organization(ORGANIZATION, clock=CLOCK)
        self.organization.publish(self.issuer)
        self.mint = Exchange(
            KeyRing(CLOCK), organization=self.organization, clock=CLOCK, ttl=timedelta(days=1)
        ).mint
        issuer = self.made("federation_issuers", given["issuer"])
        self.account = self.made("service_accounts", given["service-account"])
        target = {"type": "service_account", "service_account_id": self.account}
        rule = {**given["rule"], "issuer_id": issuer, "target": target}
        self.rule = self.made("federation_rules", rule)
        for space in (WORKSPACE, "wrkspc_01OTHER"):
            self.made(f"service_accounts/{self.account}/workspaces", {"workspace_id": space})

    def made(self, path, body):
        reply = self.organization.answer("POST", f"/v1/organizations/{path}", query={}, given=body)
        return json.loads(reply).get("id")

    def life(self, token, workspace=WORKSPACE):
        """Exchange a token; give the life of what is minted, None if it was refused."""
        body = {
            "grant_type": GRANT_TYPE,
            "assertion": token.reveal(),
            "federation_rule_id": self.rule,
            "organization_id": ORGANIZATION,
            "service_account_id": self.account,
            "workspace_id": workspace,
        }
        try:
            return self.mint(body).life
        except RefusedError as error:
            self.statuses.add(error.status)
            return None

    def passed(self, kind):
        """Try what has to be refused; give what was not."""
        token, subject, hour = self.issuer.token, self.subject, timedelta(hours=1)
        tries = {
            "for AWS": lambda: self.life(token(subject, aud="sts.amazonaws.com")),
            "for nobody": lambda: self.life(token(subject, aud=...)),
            "without a subject": lambda: self.life(token(..., sub=...)),
            "signed by another": lambda: self.life(self.stranger.token(subject)),
            "of another issuer": lambda: self.life(token(subject, iss="https://x.example.org")),
            "that has ended": lambda: self.life(token(subject, life=-hour)),
            "of a day": lambda: self.life(token(subject, life=24 * hour)),
            "without an end": lambda: self.life(token(subject, exp=...)),
            "in another workspace": lambda: self.life(token(subject), "wrkspc_01OTHER"),
            **{f"of {one}": lambda one=one: self.life(token(one)) for one in NEAR[kind]},
            f"of {subject}-x": lambda: self.life(token(f"{subject}-x")),
            "used before": lambda: self.twice(token(subject)),
        }
        return {why for why, attempt in tries.items() if attempt() is not None}

    def twice(self, token):
        return self.life(token) and self.life(token)


REPEATED = {"used before"}  # where the identity gives one token several times: plan.py


def test_there_is_a_federation_for_each_plan():
    assert {path.name for path in FOLDER.iterdir()} == PLANS.keys()


@pytest.mark.parametrize("kind", PLANS)
def test_it_is_what_the_command_writes(kind, tmp_path):
    issuer, subject = PLANS[kind]
    made = make_plan(
        "claude-prod",
        kind=kind,
        issuer=issuer,
        subject=subject,
        audience=CLAUDE_AUDIENCE,
        workspace_id=WORKSPACE,
    )
    assert documents(kind) == made.documents()
    config = tmp_path / "secretkit.toml"
    place = ', token_file = "/var/run/secrets/tokens/claude"' if kind == "kubernetes" else ""
    config.write_text(
        f"""
        [credentials.claude-prod]
        kind = "anthropic-federation"
        identity = {{ type = "{kind}", audience = "{CLAUDE_AUDIENCE}"{place} }}
        federation_rule_id = "fdrl_EXAMPLE"
        service_account_id = "svac_EXAMPLE"
        organization_id = "{ORGANIZATION}"
        workspace_id = "{WORKSPACE}"
        """
    )
    config.chmod(0o600)
    words = ["--config", str(config), "federation", "plan", "claude-prod", "--issuer", issuer]
    words += ["--subject", subject, "--write", str(tmp_path / "written")]
    done = CliRunner(env={"HOME": str(tmp_path)}).invoke(commands, words, prog_name="secretkit")
    assert done.exit_code == 0, done.output
    for path in (FOLDER / kind).iterdir():
        assert (tmp_path / "written" / path.name).read_text() == path.read_text()


@pytest.mark.parametrize("kind", PLANS)
def test_the_workload_gets_a_token_of_an_hour_at_most(kind):
    service = Service(kind, documents(kind))
    assert service.life(service.issuer.token(service.subject)) <= timedelta(minutes=10)
    longer = service.issuer.token(service.subject, life=timedelta(hours=1))
    assert service.life(longer) == timedelta(hours=1)


@pytest.mark.parametrize("kind", PLANS)
def test_nobody_else_gets_one(kind):
    service = Service(kind, documents(kind))
    assert service.passed(kind) == (REPEATED if kind == "kubernetes" else set())
    assert service.statuses == {401}  # refused, and not for a request that is none


def widened(kind):
    """Each with one limit dropped or raised."""
    given = documents(kind)
    for why, part, change in (
        ("any audience", "rule", {"match": {"audience": "sts.amazonaws.com"}}),
        ("a prefix", "rule", {"match": {"subject_prefix": PLANS[kind][1] + "*"}}),
        ("every workspace", "rule", {"applies_to_all_workspaces": True}),
        ("longer tokens", "issuer", {"max_jwt_lifetime_seconds": 176_400}),
        ("tokens twice", "issuer", {"check_jti": False}),
    ):
        changed = deepcopy(given)
        for key, value in change.items():
            known = changed[part].get(key)
            changed[part][key] = {**known, **value} if isinstance(known, dict) else value
        if changed != given:
            yield why, changed


@pytest.mark.parametrize("kind", PLANS)
def test_with_any_one_limit_widened_somebody_else_gets_one(kind):
    usual = Service(kind, documents(kind)).passed(kind)
    mutants = dict(widened(kind))
    assert len(mutants) >= 4
    for mutant, changed in mutants.items():
        assert Service(kind, changed).passed(kind) - usual, f"no case notices {mutant}"
