import base64
import json
from datetime import timedelta

import pytest
from stubwire import BODY, KEY, request, send

from secretkit.testing import ClaudeStub, FakeClock
from secretkit.testing.stub.issuer import TokenIssuer
from secretkit.testing.stub.oauth import GRANT_TYPE

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
BETAS = "oauth-2025-04-20,oidc-federation-2026-04-01"


URL = "https://id.example.org"
ME = "spiffe://example.org/ns/prod/sa/app"


@pytest.fixture(scope="module")
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def issuer(clock):
    return TokenIssuer(URL, clock=clock)


@pytest.fixture
def stub(clock):
    with ClaudeStub(clock=clock) as made:
        made.keys.accept(KEY, label="a")
        yield made


@pytest.fixture
def ids(stub, issuer):
    return stub.organization.federate(issuer, subject=ME, life=DAY)


@pytest.fixture
def grant(ids, issuer):
    def one(**changes):
        body = {
            "grant_type": GRANT_TYPE,
            "assertion": issuer.token(ME).reveal(),
            "federation_rule_id": ids.federation_rule_id,
            "organization_id": ids.organization_id,
            "service_account_id": ids.service_account_id,
        } | changes
        return {name: value for name, value in body.items() if value is not ...}

    return one


def ask(stub, body, **fields):
    fields = {"anthropic_beta": BETAS} | fields
    line = b"POST /v1/oauth/token HTTP/1.1"
    drop = ("authorization", "anthropic-version")
    return send(stub.url, request(stub.url, line=line, body=body, drop=drop, **fields))


def use(stub, token, **fields):
    fields = {"anthropic_beta": "oauth-2025-04-20"} | fields
    return send(stub.url, request(stub.url, authorization=f"Bearer {token}", **fields))


def test_a_grant_gives_a_token_that_works_until_its_end(stub, grant, clock):
    stub.tokens.ttl = MINUTE
    got = ask(stub, grant())
    body = json.loads(got.body)
    assert got.status == 200
    assert got.headers["cache-control"] == "no-store"
    assert body["access_token"].startswith("sk-ant-oat01-")
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 60)
    assert use(stub, body["access_token"]).status == 200
    clock.advance(MINUTE)
    late = use(stub, body["access_token"])
    assert late.status == 401
    assert "expired" in late.error()["message"]
    assert stub.count(key="token-1", status=401) == 1


def test_an_access_token_needs_the_oauth_beta_and_the_bearer_header(stub, grant):
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
    "no service account": ({"service_account_id": ...}, 400, "invalid_request"),
    "a service account of another shape": ({"service_account_id": "x"}, 400, "invalid_request"),
    "a workspace of another shape": ({"workspace_id": "x"}, 400, "invalid_request"),
    "an unknown field": ({"scope": "all"}, 400, "invalid_request"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_grant_is_refused_in_the_oauth_shape(stub, grant, name):
    changes, status, code = WRONG[name]
    got = ask(stub, grant(**changes))
    body = json.loads(got.body)
    assert (got.status, body["error"]) == (status, code)
    assert body.keys() == {"error", "error_description"}
    assert stub.keys.states() == {"a": "accepted"}


def refused(got):
    assert (got.status, json.loads(got.body)["error"]) == (401, "invalid_grant")
    return json.loads(got.body)["error_description"]


def test_a_jwt_is_used_once(stub, grant, issuer):
    body = grant()
    assert ask(stub, body).status == 200
    assert "used before" in refused(ask(stub, body))
    assert ask(stub, grant()).status == 200


def test_a_jwt_without_jti_may_be_used_again(stub, grant, issuer):
    body = grant(assertion=issuer.token(ME, jti=...).reveal())
    assert ask(stub, body).status == ask(stub, body).status == 200


def test_a_token_lives_at_most_twice_what_is_left_of_its_jwt(stub, grant, issuer):
    def life(seconds):
        assertion = issuer.token(ME, life=timedelta(seconds=seconds)).reveal()
        return json.loads(ask(stub, grant(assertion=assertion)).body)["expires_in"]

    assert [life(300), life(5), life(3600)] == [600, 60, 7200]


def test_a_token_lives_at_most_as_long_as_its_rule_says(stub, grant, issuer):
    ids = stub.organization.federate(issuer, subject=ME, life=2 * MINUTE)
    body = grant(
        federation_rule_id=ids.federation_rule_id, service_account_id=ids.service_account_id
    )
    assert json.loads(ask(stub, body).body)["expires_in"] == 120


CLAIMS = {
    "an end that is past": ({"exp": 1}, "expired"),
    "no end": ({"exp": ...}, "iat and exp"),
    "no beginning": ({"iat": ...}, "iat and exp"),
    "a text as beginning": ({"iat": "now"}, "iat and exp"),
    "a truth value as end": ({"exp": True}, "iat and exp"),
    "a beginning in the future": ({"iat": 4_000_000_000, "exp": 4_000_000_100}, "not valid yet"),
    "a life longer than the issuer's": ({"exp": 4_000_000_000}, "lives longer"),
    "a number as jti": ({"jti": 3}, "jti"),
    "an empty jti": ({"jti": ""}, "jti"),
    "another issuer": ({"iss": "https://other.example.org"}, "iss"),
    "no issuer": ({"iss": ...}, "iss"),
    "another audience": ({"aud": "vault"}, "aud"),
    "no audience": ({"aud": ...}, "aud"),
    "another subject": ({"sub": ME + "2"}, "sub"),
    "no subject": ({"sub": ...}, "sub"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_jwt_with_wrong_claims_is_refused(stub, grant, issuer, name):
    changes, word = CLAIMS[name]
    assert word in refused(ask(stub, grant(assertion=issuer.token(ME, **changes).reveal())))


def test_an_audience_may_be_one_of_several(stub, grant, issuer):
    several = issuer.token(ME, aud=["other", "https://api.anthropic.com"]).reveal()
    assert ask(stub, grant(assertion=several)).status == 200


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_jwt_that_its_issuer_did_not_sign_is_refused(stub, grant, issuer, clock):
    head, claims, signature = issuer.token(ME).reveal().split(".")
    other = TokenIssuer(URL, clock=clock)
    key = other.jwks["keys"][0]
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    wrong = {
        "alg none": f"{encoded({'alg': 'none'})}.{claims}.",
        "HS256": f"{encoded({'alg': 'HS256'})}.{claims}.{signature}",
        "no alg": f"{encoded({})}.{claims}.{signature}",
        "other claims": f"{head}.{encoded(content | {'jti': 'x'})}.{signature}",
        "another key": other.token(ME).reveal(),
        "another key by the same kid": other.sign(
            content, header={"kid": issuer.jwks["keys"][0]["kid"]}
        ).reveal(),
        "a key that it brings along": other.sign(content, header={"jwk": key}).reveal(),
        "a critical extension": issuer.sign(content, header={"crit": ["b64"]}).reveal(),
        "a cut signature": f"{head}.{claims}.{signature[:-4]}",
        "no signature": f"{head}.{claims}.",
        "RS256 over an EC key": f"{encoded({'alg': 'RS256'})}.{claims}.{signature}",
    }
    said = {name: refused(ask(stub, grant(assertion=text))) for name, text in wrong.items()}
    assert all("alg" in said[name] for name in ("alg none", "HS256", "no alg"))
    assert all(
        "header" in said[name] for name in ("a key that it brings along", "a critical extension")
    )
    assert ask(stub, grant(assertion=issuer.sign(content).reveal())).status == 200


def test_an_rs256_signature_is_checked_too(stub, grant, clock):
    issuer = TokenIssuer(URL, clock=clock, algorithm="RS256")
    ids = stub.organization.federate(issuer, subject="a*")
    names = {
        "federation_rule_id": ids.federation_rule_id,
        "service_account_id": ids.service_account_id,
    }
    good = issuer.token("abc").reveal()
    assert refused(ask(stub, grant(assertion=good[:-8] + "AAAAAAAA", **names)))
    assert ask(stub, grant(assertion=good, **names)).status == 200


@pytest.mark.parametrize("assertion", ["a.b.c", "a.!!.c", "e30.WzFd.c", "..", "a.b", "opaque"])
def test_what_is_no_jwt_is_refused(stub, grant, assertion):
    assert "no JWT" in refused(ask(stub, grant(assertion=assertion)))


UNKNOWN = {
    "another rule": {"federation_rule_id": "fdrl_other"},
    "another organization": {"organization_id": "5ec2e7a1-0000-4000-8000-00000000ffff"},
    "another service account": {"service_account_id": "svac_other"},
    "a workspace that the rule is not for": {"workspace_id": "wrkspc_other"},
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_the_organization_has_not_set_up_is_refused(stub, grant, name):
    refused(ask(stub, grant(**UNKNOWN[name])))
    assert ask(stub, grant(workspace_id="default")).status == 200


def test_the_betas_are_required_and_a_credential_is_not_taken(stub, grant):
    assert ask(stub, grant(), anthropic_beta="oauth-2025-04-20").status == 400
    line = b"POST /v1/oauth/token HTTP/1.1"
    assert send(stub.url, request(stub.url, line=line, body=grant())).status == 400


def test_a_minted_token_is_handed_to_whoever_watches(stub, grant):
    seen = []
    stub.tokens.on_mint = seen.append
    token = json.loads(ask(stub, grant()).body)["access_token"]
    assert [secret.reveal() for secret in seen] == [token]


def test_a_token_endpoint_can_be_scripted_to_fail(stub, grant):
    stub.next(status=429, path="/v1/oauth/token", retry_after=7)
    got = ask(stub, grant())
    assert (got.status, got.headers["retry-after"]) == (429, "7")
    assert ask(stub, grant()).status == 200
    assert send(stub.url, request(stub.url, body=BODY)).status == 200
