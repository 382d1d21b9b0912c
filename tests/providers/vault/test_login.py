"""Logins against a real OpenBao: each one that it has, what it refuses, and what is shown to it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from certified import Authority
from secretkit.broker.clock import SystemClock
from secretkit.core.message import Reply
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.ports import Assertion
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.fault import FaultServer, answer, ok
from secretkit.testing.trace import assert_no_trace
from vaulted import bao, fresh, world

__all__ = ["bao"]

WAIT = timedelta(seconds=10)
POLICY = """
path "kv/data/shared/*" { capabilities = ["read"] }
path "team/kv/data/*" { capabilities = ["read"] }
"""
READ = SecretRef.parse("vault:kv/shared/app#key")


@pytest.fixture(scope="module")
def reader(bao):
    """The server with one document and a policy that reads it; every method is mounted once."""
    bao.policy("reader", POLICY)
    bao.write("kv/data/shared/app", data={"key": "the-value"})
    for method in ("approle", "userpass", "jwt", "kubernetes"):
        bao.write(f"sys/auth/{method}", type=method)
    return bao


def provider(bao, auth, **given):
    options = given.pop("options", {})
    return VaultProvider.open({"address": bao.url, "auth": auth, **options}, world(**given))


def value(found):
    return found.fetch(READ, timeout=WAIT).secret


# -- token -----------------------------------------------------------------------------------------

TOKEN = {"method": "token", "token": "memory:token"}


def test_a_token_that_someone_else_made_is_used_and_not_revoked_on_closing(reader):
    token = reader.token(policies=["reader"], ttl="1h")
    made = provider(reader, TOKEN, secrets={"token": token})
    assert value(made) == Secret("the-value")
    made.close()
    assert value(made) == Secret("the-value")


def test_a_token_that_is_not_valid_is_refused_at_once_without_a_trace_of_it(reader):
    canary = "hvs.canary-" + "q7" * 12
    with pytest.raises(AccessDeniedError) as caught:
        value(provider(reader, TOKEN, secrets={"token": canary}))
    assert caught.value.ref == str(READ)
    assert caught.value.hint
    assert_no_trace(caught.value, canary)


def test_a_token_with_a_line_end_is_refused_and_not_repaired(reader):
    with pytest.raises(SecretError, match="line break"):
        value(provider(reader, TOKEN, secrets={"token": "abc\n"}))


def test_a_token_that_cannot_be_read_means_that_there_is_no_login(reader):
    with pytest.raises(ProviderUnavailableError, match="no login to Vault: memory:token") as caught:
        value(provider(reader, TOKEN))
    assert caught.value.ref == str(READ)


def test_a_token_that_may_not_look_itself_up_is_taken_as_it_is(reader):
    token = reader.token(policies=["reader"], no_default_policy=True)
    assert value(provider(reader, TOKEN, secrets={"token": token})) == Secret("the-value")


# -- approle ---------------------------------------------------------------------------------------


@pytest.fixture
def role(reader):
    name = fresh("role")
    reader.write(f"auth/approle/role/{name}", token_policies="reader", token_ttl="1h")
    return name


def approle(reader, role, **more):
    role_id = reader.read(f"auth/approle/role/{role}/role-id")["data"]["role_id"]
    return {"method": "approle", "role_id": role_id, "secret_id": "memory:secret", **more}


def secret_id(reader, role):
    return reader.write(f"auth/approle/role/{role}/secret-id")["data"]["secret_id"]


def wrapped(reader, path):
    import http.client
    from urllib.parse import urlsplit

    link = http.client.HTTPConnection(urlsplit(reader.url).netloc)
    headers = {"X-Vault-Token": reader.root.reveal(), "X-Vault-Wrap-TTL": "60"}
    link.request("POST", f"/v1/{path}", headers=headers)
    document = json.loads(link.getresponse().read())
    link.close()
    return document["wrap_info"]["token"]


def test_approle_reads_with_a_role_id_and_a_secret_id(reader, role):
    auth = approle(reader, role)
    assert value(provider(reader, auth, secrets={"secret": secret_id(reader, role)})) == Secret(
        "the-value"
    )


def test_a_role_id_may_be_a_reference(reader, role):
    auth = approle(reader, role)
    secrets = {"secret": secret_id(reader, role), "role": auth["role_id"]}
    made = provider(reader, {**auth, "role_id": "memory:role"}, secrets=secrets)
    assert value(made) == Secret("the-value")


def test_a_wrong_secret_id_is_refused_without_a_trace_of_it(reader, role):
    canary = "canary-" + "z9" * 12
    with pytest.raises(AccessDeniedError, match="login by approle") as caught:
        value(provider(reader, approle(reader, role), secrets={"secret": canary}))
    assert_no_trace(caught.value, canary)


def test_a_wrapped_secret_id_is_unwrapped_once_and_used_for_later_logins(reader, role):
    token = wrapped(reader, f"auth/approle/role/{role}/secret-id")
    made = provider(reader, approle(reader, role, wrapped=True), secrets={"secret": token})
    assert value(made) == Secret("the-value")
    made.close()  # revokes its token
    assert value(made) == Secret("the-value")


def test_a_wrapping_token_that_was_used_says_that_someone_else_may_have(reader, role):
    token = wrapped(reader, f"auth/approle/role/{role}/secret-id")
    auth = approle(reader, role, wrapped=True)
    value(provider(reader, auth, secrets={"secret": token}))
    with pytest.raises(AccessDeniedError, match="used or has ended") as caught:
        value(provider(reader, auth, secrets={"secret": token}))
    assert "someone else" in caught.value.hint
    assert_no_trace(caught.value, token)


def test_a_wrapping_token_that_holds_something_else_is_not_unwrapped(reader, role):
    token = wrapped(reader, "auth/token/create")
    made = provider(reader, approle(reader, role, wrapped=True), secrets={"secret": token})
    with pytest.raises(AccessDeniedError, match="does not hold a secret id"):
        value(made)
    assert reader.write("sys/wrapping/lookup", token=token)["data"]["creation_path"]


# -- userpass, jwt, kubernetes ---------------------------------------------------------------------


def test_userpass_reads_with_a_name_and_a_password(reader):
    name = fresh("user")
    reader.write(f"auth/userpass/users/{name}", password="pass-word", token_policies="reader")
    auth = {"method": "userpass", "username": name, "password": "memory:password"}
    made = provider(reader, auth, secrets={"password": "pass-word"})
    assert value(made) == Secret("the-value")
    with pytest.raises(AccessDeniedError, match="login by userpass"):
        value(provider(reader, auth, secrets={"password": "pass-wrod"}))


class Signer:
    """An identity that signs a JWT of its own for each assertion."""

    ref = "signer"

    def __init__(self, key, **claims):
        self.key, self.claims, self.asked = key, claims, 0

    def assertion(self, *, timeout):
        self.asked += 1
        now = SystemClock().now()
        ends = now + timedelta(minutes=5)
        claims = {"iat": int(now.timestamp()), "exp": int(ends.timestamp()), **self.claims}
        token = jwt.encode({"alg": "ES256"}, claims, self.key)
        return Assertion(secret=Secret(token), expires_at=ends)


@pytest.fixture(scope="module")
def signing_key(reader):
    key = ECKey.generate_key("P-256")
    pem = key.as_pem(private=False).decode()
    reader.write("auth/jwt/config", jwt_validation_pubkeys=[pem])
    reader.write(
        "auth/jwt/role/app",
        role_type="jwt",
        user_claim="sub",
        bound_audiences=["vault"],
        bound_subject="spiffe://example.org/app",
        token_policies=["reader"],
    )
    return key


def jwt_provider(reader, signer, **given):
    auth = {"method": "jwt", "role": "app", "identity": {"type": "spiffe"}}
    asked = []

    def identity(table, audience):
        asked.append((dict(table), audience))
        return signer

    return provider(reader, auth, identity=identity, **given), asked


def test_jwt_shows_a_fresh_assertion_for_the_audience_vault_at_each_login(reader, signing_key):
    signer = Signer(signing_key, sub="spiffe://example.org/app", aud="vault")
    made, asked = jwt_provider(reader, signer)
    assert value(made) == Secret("the-value")
    made.close()
    assert value(made) == Secret("the-value")
    assert asked == [({"type": "spiffe"}, "vault")]
    assert signer.asked == 2


@pytest.mark.parametrize(
    "claims", [{"sub": "spiffe://example.org/other"}, {"aud": "other"}, {"exp": 1_000_000_000}]
)
def test_jwt_of_another_subject_audience_or_time_is_refused(reader, signing_key, claims):
    known = {"sub": "spiffe://example.org/app", "aud": "vault"}
    made, _ = jwt_provider(reader, Signer(signing_key, **{**known, **claims}))
    with pytest.raises(AccessDeniedError, match="login by jwt"):
        value(made)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (AccessDeniedError("no entry", ref="spiffe"), AccessDeniedError),
        (ProviderUnavailableError("no agent", ref="spiffe"), ProviderUnavailableError),
    ],
)
def test_an_identity_that_cannot_be_had_is_told_with_the_reference(reader, error, raised):
    class Broken:
        ref = "spiffe"

        def assertion(self, *, timeout):
            raise error

    made, _ = jwt_provider(reader, Broken())
    with pytest.raises(raised, match="no identity to log in") as caught:
        value(made)
    assert caught.value.ref == str(READ)


def test_kubernetes_has_the_token_reviewed_by_the_cluster(reader, tmp_path):
    authority = Authority(tmp_path)
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "user": {"username": "system:serviceaccount:shop:app", "uid": "1"},
        },
    }
    key = ECKey.generate_key("P-256")
    signer = Signer(
        key,
        sub="system:serviceaccount:shop:app",
        **{"kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "app", "uid": "1"}}},
    )
    with FaultServer(tls=authority.server()) as cluster:
        body = json.dumps(review).encode()
        reply = Reply(status=201, headers={"content-type": "application/json"}, body=body)
        cluster.play(answer(reply), path="/apis/authentication.k8s.io/v1/tokenreviews")
        reader.write(
            "auth/kubernetes/config",
            kubernetes_host=cluster.url,
            kubernetes_ca_cert=authority.bundle.read_text(),
            disable_local_ca_jwt=True,
            token_reviewer_jwt="reviewer",
            disable_iss_validation=True,
        )
        reader.write(
            "auth/kubernetes/role/app",
            bound_service_account_names="app",
            bound_service_account_namespaces="shop",
            token_policies="reader",
        )
        asked = []

        def identity(table, audience):
            asked.append(dict(table))
            return signer

        table = {"type": "kubernetes", "token_file": "/token"}
        auth = {"method": "kubernetes", "role": "app", "identity": table}
        assert value(provider(reader, auth, identity=identity)) == Secret("the-value")
        assert asked == [table]
        assert len(cluster.requests) == 1


# -- namespaces, and answers that are none ---------------------------------------------------------


def test_a_namespace_is_asked_and_not_its_parent(reader):
    space = fresh("team")
    reader.write(f"sys/namespaces/{space}")
    reader.ask(
        "POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}}, namespace=space
    )
    reader.ask("POST", "kv/data/shared/app", {"data": {"key": "of-the-team"}}, namespace=space)
    made = provider(reader, TOKEN, secrets={"token": reader.root}, options={"namespace": space})
    assert value(made) == Secret("of-the-team")
    assert value(provider(reader, TOKEN, secrets={"token": reader.root})) == Secret("the-value")


@pytest.mark.parametrize(
    "auth",
    [
        b'{"auth":null}',
        b'{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"1"}}}',
        b'{"auth":{"client_token":"a b","lease_duration":1}}',
        b'{"auth":{"client_token":"abc","lease_duration":-1}}',
        b'{"auth":{"client_token":"abc","lease_duration":true}}',
    ],
)
def test_an_answer_without_a_usable_token_is_an_error_with_a_hint(auth):
    with FaultServer() as server:
        server.play(ok(json=auth))
        login = {"method": "userpass", "username": "u", "password": "memory:password"}
        made = VaultProvider.open(
            {"address": server.url, "auth": login}, world({"password": "pass-word"})
        )
        with pytest.raises(ProviderError) as caught:
            value(made)
    assert caught.value.hint
    assert_no_trace(caught.value, "pass-word")


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"method": "ldap"},
        {"method": "token"},
        {"method": "token", "token": "memory:a", "role": "app"},
        {"method": "token", "token": "not a reference"},
        {"method": "approle"},
        {"method": "approle", "role_id": "a", "wrapped": True},
        {"method": "userpass", "username": "u"},
        {"method": "jwt", "role": "app"},
        {"method": "jwt", "identity": {"type": "spiffe"}},
        {"method": "kubernetes"},
        {"method": "kubernetes", "role": "app"},
        {"method": "jwt", "role": "app", "identity": {"type": "no-such"}},
        {"method": "cert", "certificate": "a.pem"},
        {"method": "aws"},
    ],
)
def test_a_login_that_cannot_be_used_is_refused_when_it_is_opened(auth):
    with pytest.raises(ConfigError) as caught:
        VaultProvider.open({"address": "https://vault.example", "auth": auth}, world())
    assert caught.value.key_path.startswith("auth")
    assert caught.value.hint


def test_a_login_that_is_read_from_its_own_provider_is_refused_at_once():
    made = []
    context = replace(world(), resolve=lambda _: made[0])
    auth = {"method": "token", "token": "vault:kv/token#key"}
    with FaultServer() as server:
        made.append(VaultProvider.open({"address": server.url, "auth": auth}, context))
        started = SystemClock().monotonic()
        with pytest.raises(ProviderUnavailableError, match="needs the login") as caught:
            value(made[0])
        assert SystemClock().monotonic() - started < 5
        assert server.requests == []
    assert "another provider" in caught.value.hint


def test_an_identity_that_is_no_table_is_named_by_its_place():
    auth = {"method": "jwt", "role": "app", "identity": "batch"}
    with pytest.raises(ConfigError) as caught:
        VaultProvider.open({"address": "https://vault.example", "auth": auth}, world())
    assert caught.value.key_path == "auth.identity"


@pytest.mark.parametrize(
    "address", ["vault:8200", "http://vault.example:8200", "https://u:p@vault", "https://v/?a=b"]
)
def test_an_address_that_would_not_be_safe_is_refused_when_it_is_opened(address):
    with pytest.raises(ConfigError) as caught:
        VaultProvider.open({"address": address, "auth": TOKEN}, world())
    assert caught.value.key_path == "address"
