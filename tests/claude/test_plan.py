"""What a federation needs is planned, and made where it is missing, by the stand-in's Admin API."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from claude.federated import ME, Federated
from secretkit.broker import SystemClock
from secretkit.claude.admin import AdminApi
from secretkit.claude.drift import apply_plan
from secretkit.claude.plan import make_plan, public_keys
from secretkit.core.message import Reply
from secretkit.core.record import replace
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ConfigError, ProviderError
from secretkit.testing import ClaudeStub
from secretkit.testing.trace import assert_no_trace
from secretkit.wire import HttpTransport

TOKEN = "sk-ant-" + "oat01-" + "t" * 95
WORKSPACE = "wrkspc_01prod"
FACTS = {
    "kind": "spiffe",
    "issuer": "https://id.example.org",
    "subject": ME,
    "audience": "https://api.anthropic.com",
    "workspace_id": WORKSPACE,
}
TEN = timedelta(seconds=10)


def planned(**changes):
    return make_plan("claude_prod", **FACTS | changes)


@pytest.fixture
def world():
    clock = SystemClock()
    with ClaudeStub(clock=clock) as stub:
        stub.keys.accept(TOKEN, label="admin")
        stub.organization.admins.add("admin")
        made = Federated(stub, clock)
        yield made
        made.close()


def api_of(world, *, token=TOKEN, transport=None):
    return AdminApi(
        Secret(token),
        base_url=world.stub.url,
        transport=transport or HttpTransport(clock=world.clock),
        clock=world.clock,
        timeout=TEN,
    )


def applied(world, plan, **given):
    steps = []
    apply_plan(plan, api_of(world, **given), done=steps.append)
    return steps


def states(steps):
    return [(step.what, step.state) for step in steps]


def test_a_plan_has_what_the_admin_api_takes():
    plan = planned(life=timedelta(minutes=30))
    assert plan.issuer == {
        "name": "claude-prod",
        "issuer_url": "https://id.example.org",
        "jwks": {"type": "discovery"},
        "check_jti": True,
        "max_jwt_lifetime_seconds": 3600,
    }
    assert plan.rule == {
        "name": "claude-prod",
        "match": {"audience": "https://api.anthropic.com", "subject_prefix": ME},
        "oauth_scope": "workspace:inference",
        "token_lifetime_seconds": 1800,
        "workspace_id": WORKSPACE,
    }
    assert plan.service_account["name"] == "claude-prod"


@pytest.mark.parametrize(("life", "seconds"), [(1, 60), (60, 60), (90_000, 86_400)])
def test_a_rules_life_stays_within_its_bounds(life, seconds):
    plan = planned(life=timedelta(seconds=life))
    assert plan.rule["token_lifetime_seconds"] == seconds


@pytest.mark.parametrize("kind", ["file", "kubernetes", "gcp", "azure", "secret"])
def test_an_identity_that_repeats_itself_is_not_held_to_single_use(kind):
    plan = planned(kind=kind)
    assert plan.issuer["check_jti"] is False
    assert any("check_jti" in note for note in plan.notes)


WRONG = {
    "everybody": {"subject": "*"},
    "nobody": {"subject": ""},
    "a star in the middle": {"subject": "repo:*:ref:main"},
    "an issuer by http": {"issuer": "http://id.example.org"},
    "a name with spaces": {"name": "My Rule"},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_plan_that_is_too_wide_or_cannot_be_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        planned(**WRONG[name])
    assert caught.value.hint


def test_a_prefix_and_a_missing_workspace_are_said():
    notes = " ".join(planned(subject="repo:me/it:*", workspace_id="default").notes)
    assert "prefix" in notes
    assert "wrkspc_" in notes


def test_only_public_keys_go_into_a_plan(world):
    keys = public_keys(json.loads(json.dumps(world.issuer.jwks)))
    assert planned(keys=keys).issuer["jwks"] == {"type": "inline", "keys": keys}
    for wrong in ([], {}, {"keys": []}, {"keys": ["x"]}, {"keys": [{"kty": "EC", "d": "x"}]}):
        with pytest.raises(ConfigError):
            public_keys(wrong)


def test_what_is_applied_gives_a_token_and_applied_again_changes_nothing(world):
    plan = planned(keys=world.issuer.jwks["keys"])
    steps = applied(world, plan)
    assert states(steps) == [
        ("issuer", "created"),
        ("service account", "created"),
        ("membership", "created"),
        ("rule", "created"),
    ]
    source = world.source_for(
        federation_rule_id=steps[3].id, service_account_id=steps[1].id, workspace_id=WORKSPACE
    )
    assert world.acquire(source).credential.expires_at
    before = len(world.stub.log)
    again = applied(world, plan)
    assert {state for _, state in states(again)} == {"unchanged"}
    assert [step.id for step in again] == [step.id for step in steps]
    assert all(record.method == "GET" for record in world.stub.log[before:])


def test_what_differs_is_said_and_left_as_it_is(world):
    applied(world, planned())
    steps = applied(world, planned(subject=ME + "2", life=timedelta(minutes=5)))
    assert states(steps)[-1] == ("rule", "differs")
    assert "match" in steps[-1].note
    assert "token_lifetime_seconds: 3600, planned 300" in steps[-1].note
    assert states(applied(world, planned()))[-1] == ("rule", "unchanged")


def test_a_rule_is_not_made_on_an_issuer_that_differs(world):
    applied(world, planned(issuer="https://other.example.org"))
    steps = applied(world, planned())
    assert states(steps) == [
        ("issuer", "differs"),
        ("service account", "unchanged"),
        ("rule", "left out"),
    ]
    assert "https://other.example.org, planned https://id.example.org" in steps[0].note


def test_what_is_archived_is_not_brought_back(world):
    step = applied(world, planned())[0]
    world.stub.organization.answer(
        "POST", f"/v1/organizations/federation_issuers/{step.id}/archive", query={}, given={}
    )
    assert applied(world, planned())[0].note == "it is archived"


def test_more_than_a_page_is_looked_through(world):
    for number in range(120):
        given = {"name": f"account-{number}"}
        path = "/v1/organizations/service_accounts"
        world.stub.organization.answer("POST", path, query={}, given=given)
    applied(world, planned())
    assert states(applied(world, planned()))[1] == ("service account", "unchanged")


def test_a_scope_that_is_the_consoles_is_left_to_it(world):
    steps = applied(world, planned(scope="org:admin"))
    assert states(steps)[-1] == ("rule", "in the Console")
    assert "Console" in steps[-1].note


def test_without_a_workspace_no_rule_is_made(world):
    steps = applied(world, planned(workspace_id=""))
    assert states(steps)[-1] == ("rule", "left out")
    assert "workspace_id" in steps[-1].note


def test_a_token_that_may_not_is_told_what_the_console_must_do(world):
    world.stub.keys.accept(TOKEN + "2", label="other")
    with pytest.raises(AccessDeniedError) as caught:
        applied(world, planned(), token=TOKEN + "2")
    assert "Console" in caught.value.hint
    assert "org:admin" in caught.value.hint
    assert_no_trace(caught.value, TOKEN + "2")


@pytest.mark.parametrize("key", ["sk-ant-" + "api03-x", "sk-ant-" + "admin01-x"])
def test_an_api_key_is_refused_before_it_is_sent(world, key):
    with pytest.raises(ConfigError, match="API key") as caught:
        api_of(world, token=key)
    assert_no_trace(caught.value, key)
    assert world.stub.log == ()


def test_a_name_that_was_taken_just_now_is_compared(world):
    class Late(HttpTransport):
        """Sees nothing in the first list: somebody creates it between that and our request."""

        first = True

        def send(self, request, *, ref, timeout):
            if self.first and request.method == "GET":
                self.first = False
                return Reply(status=200, body=b'{"data":[],"next_page":null}')
            return super().send(request, ref=ref, timeout=timeout)

    applied(world, planned())
    steps = applied(world, planned(), transport=Late(clock=world.clock))
    assert {state for _, state in states(steps)} == {"unchanged"}
    assert world.stub.count(status=409) == 1


def test_what_is_made_may_be_answered_with_201(world):
    class Created(HttpTransport):
        """Answers a creation as RFC 9110 §15.3.2 has it, where the stand-in gives 200."""

        def send(self, request, *, ref, timeout):
            reply = super().send(request, ref=ref, timeout=timeout)
            made = request.method == "POST" and reply.status == 200
            return replace(reply, status=201) if made else reply

    steps = applied(world, planned(), transport=Created(clock=world.clock))
    assert {state for _, state in states(steps)} == {"created"}


def test_a_request_that_is_cut_off_is_found_done_the_next_time(world):
    world.stub.next(path="/v1/organizations/federation_issuers", status=200)
    world.stub.next(path="/v1/organizations/federation_issuers", status=503)
    with pytest.raises(ProviderError, match="503"):
        applied(world, planned())
    assert states(applied(world, planned()))[0] == ("issuer", "unchanged")


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"data":3}', b"<html>", b'{"data":[1]}'])
def test_a_list_that_is_none_is_an_error_of_the_store(world, body):
    world.stub.next(path="/v1/organizations/federation_issuers", body=body)
    with pytest.raises(ProviderError):
        applied(world, planned())


def test_what_the_service_refuses_is_said_in_its_words(world):
    plan = planned()
    bad = replace(plan, rule={**plan.rule, "match": {"audience": "x"}})
    with pytest.raises(ConfigError, match="audience alone"):
        applied(world, bad)
