import base64
import json
from datetime import timedelta

import pytest
from stubwire import BODY, request, send

from secretkit.testing.stub.oauth import GRANT_TYPE

MINUTE = timedelta(minutes=1)
BETAS = "oauth-2025-04-20,oidc-federation-2026-04-01"


def part(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def jwt(**claims) -> str:
    return f"{part({'alg': 'RS256'})}.{part(claims)}.{part('signature')}"


@pytest.fixture
def claims(fake_clock):
    now = fake_clock.now().timestamp()
    return {"iat": now, "exp": now + 3600, "jti": "one", "sub": "spiffe://x"}


def grant(**changes):
    body = {
        "grant_type": GRANT_TYPE,
        "assertion": "an opaque assertion",
        "federation_rule_id": "fdrl_01abc",
        "organization_id": "5ec2e7a1-0000-4000-8000-000000000001",
    } | changes
    return {name: value for name, value in body.items() if value is not ...}


def ask(stub, body, **fields):
    fields = {"anthropic_beta": BETAS} | fields
    line = b"POST /v1/oauth/token HTTP/1.1"
    drop = ("authorization", "anthropic-version")
    return send(stub.url, request(stub.url, line=line, body=body, drop=drop, **fields))


def use(stub, token, **fields):
    fields = {"anthropic_beta": "oauth-2025-04-20"} | fields
    return send(stub.url, request(stub.url, authorization=f"Bearer {token}", **fields))


def test_a_grant_gives_a_token_that_works_until_its_end(stub, fake_clock):
    stub.tokens.ttl = MINUTE
    got = ask(stub, grant())
    body = json.loads(got.body)
    assert got.status == 200
    assert got.headers["cache-control"] == "no-store"
    assert body["access_token"].startswith("sk-ant-oat01-")
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 60)
    assert use(stub, body["access_token"]).status == 200
    fake_clock.advance(MINUTE)
    late = use(stub, body["access_token"])
    assert late.status == 401
    assert "expired" in late.error()["message"]
    assert stub.count(key="token-1", status=401) == 1


def test_an_access_token_needs_the_oauth_beta_and_the_bearer_header(stub):
    token = json.loads(ask(stub, grant()).body)["access_token"]
    bare = send(stub.url, request(stub.url, authorization=f"Bearer {token}"))
    assert bare.status == 401
    data = request(
        stub.url, drop=("authorization",), x_api_key=token, anthropic_beta="oauth-2025-04-20"
    )
    assert send(stub.url, data).status == 401
    assert use(stub, token, anthropic_beta="other-1, oauth-2025-04-20").status == 200


WRONG = {
    "no grant_type": ({"grant_type": ...}, 400, "invalid_request"),
    "another grant_type": ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    "no assertion": ({"assertion": ...}, 400, "invalid_request"),
    "an empty assertion": ({"assertion": ""}, 400, "invalid_request"),
    "a number as assertion": ({"assertion": 3}, 400, "invalid_request"),
    "an assertion over 16 KiB": ({"assertion": "a" * (16 * 1024 + 1)}, 400, "invalid_request"),
    "no rule": ({"federation_rule_id": ...}, 400, "invalid_request"),
    "a rule without its prefix": ({"federation_rule_id": "x"}, 400, "invalid_request"),
    "no organisation": ({"organization_id": ...}, 400, "invalid_request"),
    "an organisation that is no UUID": ({"organization_id": "org_1"}, 400, "invalid_request"),
    "a service account of another shape": ({"service_account_id": "x"}, 400, "invalid_request"),
    "a workspace of another shape": ({"workspace_id": "x"}, 400, "invalid_request"),
    "an unknown field": ({"scope": "all"}, 400, "invalid_request"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_grant_is_refused_in_the_oauth_shape(stub, name):
    changes, status, code = WRONG[name]
    got = ask(stub, grant(**changes))
    body = json.loads(got.body)
    assert (got.status, body["error"]) == (status, code)
    assert body.keys() == {"error", "error_description"}
    assert stub.keys.states() == {"a": "accepted"}


def test_the_largest_assertion_and_all_optional_fields_are_taken(stub):
    body = grant(assertion="a" * 16 * 1024, service_account_id="svac_1", workspace_id="default")
    assert ask(stub, body).status == 200


def test_a_jwt_is_used_once(stub, claims):
    body = grant(assertion=jwt(**claims))
    assert ask(stub, body).status == 200
    again = ask(stub, body)
    assert (again.status, json.loads(again.body)["error"]) == (401, "invalid_grant")
    assert ask(stub, grant(assertion=jwt(**claims | {"jti": "two"}))).status == 200


def test_a_token_lives_at_most_twice_what_is_left_of_its_jwt(stub, claims, fake_clock):
    now = fake_clock.now().timestamp()
    got = ask(stub, grant(assertion=jwt(**claims | {"exp": now + 300})))
    assert json.loads(got.body)["expires_in"] == 600
    got = ask(stub, grant(assertion=jwt(**claims | {"exp": now + 5, "jti": "two"})))
    assert json.loads(got.body)["expires_in"] == 60


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1},
        {"exp": ...},
        {"iat": ...},
        {"iat": "now"},
        {"exp": True},
        {"jti": 3},
        {"jti": ""},
    ],
    ids=str,
)
def test_a_jwt_that_is_over_or_incomplete_is_refused(stub, claims, change):
    body = {name: value for name, value in (claims | change).items() if value is not ...}
    got = ask(stub, grant(assertion=jwt(**body)))
    assert (got.status, json.loads(got.body)["error"]) == (401, "invalid_grant")


def test_the_betas_are_required_and_a_credential_is_not_taken(stub):
    assert ask(stub, grant(), anthropic_beta="oauth-2025-04-20").status == 400
    line = b"POST /v1/oauth/token HTTP/1.1"
    assert send(stub.url, request(stub.url, line=line, body=grant())).status == 400


def test_a_minted_token_is_handed_to_whoever_watches(stub):
    seen = []
    stub.tokens.on_mint = seen.append
    token = json.loads(ask(stub, grant()).body)["access_token"]
    assert [secret.reveal() for secret in seen] == [token]


def test_a_token_endpoint_can_be_scripted_to_fail(stub):
    stub.next(status=429, path="/v1/oauth/token", retry_after=7)
    got = ask(stub, grant())
    assert (got.status, got.headers["retry-after"]) == (429, "7")
    assert ask(stub, grant()).status == 200
    assert send(stub.url, request(stub.url, body=BODY)).status == 200


@pytest.mark.parametrize("assertion", ["a.b.c", "a.!!.c", f"a.{part([1])}.c", "..", "a.b"])
def test_what_is_no_jwt_is_taken_as_an_opaque_assertion(stub, assertion):
    assert ask(stub, grant(assertion=assertion)).status == 200
    assert ask(stub, grant(assertion=assertion)).status == 200
