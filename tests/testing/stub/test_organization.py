"""The Admin API of the stand-in, asked by the real SDK."""

import anthropic
import pytest
from stubwire import KEY

from secretkit.testing.stub.organization import DEFAULT_WORKSPACE

TOKEN = "sk-ant-oat01-" + "t" * 95
MATCH = {"subject_prefix": "repo:me/it:*"}


@pytest.fixture
def federation(stub):
    stub.keys.accept(TOKEN, label="admin")
    stub.organization.admins.add("admin")
    with anthropic.Anthropic(
        credentials=lambda **_: anthropic.AccessToken(TOKEN, 0), base_url=stub.url, max_retries=0
    ) as client:
        yield client.organization


def issuer(federation, name="github", **more):
    url = "https://token.actions.githubusercontent.com"
    return federation.federation.issuers.create(name=name, issuer_url=url, **more)


def rule(federation, **changes):
    given = {
        "name": "ci",
        "issuer_id": issuer(federation).id,
        "match": MATCH,
        "oauth_scope": "workspace:inference",
        "target": {
            "type": "service_account",
            "service_account_id": federation.service_accounts.create(name="ci").id,
        },
        "workspace_id": DEFAULT_WORKSPACE,
    } | changes
    return federation.federation.rules.create(**given)


def test_the_sdk_creates_lists_and_archives(federation):
    made = rule(federation, token_lifetime_seconds=600)
    (listed,) = federation.federation.rules.list()
    assert listed.id == made.id
    assert (listed.token_lifetime_seconds, listed.match.subject_prefix) == (600, "repo:me/it:*")
    (trusted,) = federation.federation.issuers.list()
    assert (trusted.check_jti, trusted.max_jwt_lifetime_seconds) == (True, 3600)
    assert trusted.jwks.type == "discovery"
    federation.federation.issuers.archive(trusted.id)
    assert list(federation.federation.issuers.list()) == []
    assert len(list(federation.federation.issuers.list(include_archived=True))) == 1


def test_a_list_goes_over_several_pages(federation):
    for number in range(5):
        federation.service_accounts.create(name=f"account-{number}")
    assert len(list(federation.service_accounts.list(limit=2))) == 5


def test_a_name_is_taken_once(federation):
    issuer(federation)
    with pytest.raises(anthropic.ConflictError) as caught:
        issuer(federation)
    assert caught.value.status_code == 409
    assert caught.value.body["error"]["type"] == "conflict_error"


WRONG = {
    "an audience alone": ({"match": {"audience": "x"}}, 400),
    "a bare star": ({"match": {"subject_prefix": "*"}}, 400),
    "a life of a second": ({"token_lifetime_seconds": 1}, 400),
    "no workspace": ({"workspace_id": None}, 400),
    "an unknown service account": (
        {"target": {"type": "service_account", "service_account_id": "svac_x"}},
        400,
    ),
    "a name that is no slug": ({"name": "My Rule"}, 400),
    "a scope that is the Console's": ({"oauth_scope": "org:admin"}, 403),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_cannot_be_is_refused(federation, name):
    changes, status = WRONG[name]
    with pytest.raises(anthropic.APIStatusError) as caught:
        rule(federation, **changes)
    assert caught.value.status_code == status


def test_only_an_administrators_access_token_is_taken(stub, federation):
    stub.keys.accept(TOKEN + "2", label="other")
    other = anthropic.AccessToken(TOKEN + "2", 0)
    for given in ({"api_key": KEY}, {"credentials": lambda **_: other}):
        with (
            anthropic.Anthropic(base_url=stub.url, max_retries=0, **given) as client,
            pytest.raises(anthropic.PermissionDeniedError) as caught,
        ):
            client.organization.service_accounts.list()
        assert caught.value.body["error"]["type"] == "permission_error"
    assert list(federation.service_accounts.list()) == []


def test_a_service_account_joins_a_workspace(stub, federation):
    account = federation.service_accounts.create(name="ci")
    assert not stub.organization.is_member(account.id, "wrkspc_two")
    federation.service_accounts.workspaces.add(
        account.id, workspace_id="wrkspc_two", workspace_role="workspace_developer"
    )
    assert stub.organization.is_member(account.id, "wrkspc_two")
    listed = federation.service_accounts.workspaces.list(account.id)
    assert [one.workspace_id for one in listed] == [DEFAULT_WORKSPACE, "wrkspc_two"]
    with pytest.raises(anthropic.NotFoundError):
        federation.service_accounts.workspaces.add(
            "svac_none", workspace_id="wrkspc_two", workspace_role="workspace_developer"
        )
