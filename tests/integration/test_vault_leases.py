"""Leases of a real OpenBao on a real PostgreSQL, through a configuration and the broker."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import psycopg
import pytest

from broker.world import until
from ledger.postgres_server import postgres
from secretkit import wiring
from secretkit.broker.clock import SystemClock
from secretkit.config.parse import parse_config
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    RefError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.ports import Probing, Renewable, Revocable
from secretkit.testing.trace import assert_no_trace
from vaulted import bao, fresh, opened

__all__ = ["bao", "postgres"]

WAIT = timedelta(seconds=10)
POLICY = """
path "database/creds/*" { capabilities = ["read"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"""
CREATE = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"


@pytest.fixture(scope="module")
def database(bao, postgres):
    """The database engine over the PostgreSQL; gives what makes a role in it."""
    bao.write("sys/mounts/database", type="database")
    place = postgres.url.partition("host=")[2].partition("&")[0]
    bao.write(
        "database/config/pg",
        plugin_name="postgresql-database-plugin",
        connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@/postgres?host={place}",
        allowed_roles="*",
        username="postgres",
        password="not-looked-at",
    )
    bao.policy("leases", POLICY)

    def role(**lives):
        name = fresh("app")
        settings = {"db_name": "pg", "creation_statements": [CREATE], **lives}
        bao.write(f"database/roles/{name}", **settings)
        return name

    return role


def users(postgres, role):
    """The users that the role has made and that are there now."""
    found = postgres.run("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
    return [name for (name,) in found if f"-{role}-" in name]


def toolkit(bao, tmp_path, *, role, policy="leases", life="1h"):
    """A toolkit over a configuration that logs in by userpass and leases from ``role``."""
    user, word = fresh("user"), "pass-" + "word"
    if "userpass/" not in bao.read("sys/auth")["data"]:
        bao.write("sys/auth/userpass", type="userpass")
    bao.write(f"auth/userpass/users/{user}", password=word, token_policies=policy, token_ttl=life)
    path = tmp_path / "secretkit.toml"
    path.write_text(f"""
[providers.vault]
type = "vault"
address = "{bao.url}"
auth = {{ method = "userpass", username = "{user}", password = "env:VAULT_WORD" }}

[credentials.db]
kind = "opaque"
source = "vault:database/creds/{role}"
""")
    config = parse_config(path.read_bytes(), file=path)
    environ = {"HOME": str(tmp_path), "VAULT_WORD": word}
    return wiring.Toolkit(config, environ=environ)


def logs_in(postgres, secret):
    """Say whether PostgreSQL lets this user in now."""
    document = json.loads(secret.reveal())
    url = postgres.url.replace("postgres:@", f"{document['username']}:@")
    try:
        with psycopg.connect(url, password=document["password"], connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


# -- the life of a lease ---------------------------------------------------------------------------


def test_a_lease_is_renewed_then_replaced_ahead_of_max_ttl_and_given_back_at_the_end(
    bao, postgres, database, tmp_path
):
    role = database(default_ttl="2s", max_ttl="5s")
    with toolkit(bao, tmp_path, role=role) as made:
        broker, waiting = made.broker(), threading.Event()
        served: dict[str, int] = {}
        for _ in range(40):
            secret = broker.get("db")
            assert logs_in(postgres, secret), "a user that has ended was served"
            name = json.loads(secret.reveal())["username"]
            served[name] = served.get(name, 0) + 1
            waiting.wait(0.2)
        assert 2 <= len(served) <= 4  # 8 s: a new one about each 4 s, not each 2 s
    assert users(postgres, role) == []


def test_without_the_right_to_revoke_leases_closing_ends_them_with_the_token(
    bao, postgres, database, tmp_path
):
    bao.policy("only-creds", 'path "database/creds/*" { capabilities = ["read"] }')
    role = database(default_ttl="1h", max_ttl="2h")
    with toolkit(bao, tmp_path, role=role, policy="only-creds") as made:
        made.broker().get("db")
        assert len(users(postgres, role)) == 1
    # OpenBao ends what hangs on a token a moment later.
    until(lambda: users(postgres, role) == [], what="the lease ended with its token")


def test_what_a_command_that_ends_at_once_was_given_stays_good(bao, postgres, database, tmp_path):
    role = database(default_ttl="1h", max_ttl="2h")
    with toolkit(bao, tmp_path, role=role) as made:
        lease = made.lease_once("db")
    assert logs_in(postgres, lease.credential.secret)
    assert len(users(postgres, role)) == 1


def test_the_end_that_is_told_is_that_of_the_token_where_it_comes_first(
    bao, postgres, database, tmp_path
):
    role = database(default_ttl="1h", max_ttl="2h")
    with toolkit(bao, tmp_path, role=role, life="20s") as made:
        lease = made.broker().lease("db")
        assert lease.expires_at <= SystemClock().now() + timedelta(seconds=20)


def test_a_lease_is_renewed_and_revoked_by_its_handle(bao, postgres, database):
    role = database(default_ttl="1h", max_ttl="2h")
    provider = opened(bao)
    assert isinstance(provider, Renewable)
    assert isinstance(provider, Revocable)
    found = provider.fetch(SecretRef.parse(f"vault:database/creds/{role}"), timeout=WAIT)
    assert provider.renew(found.handle, timeout=WAIT) > found.expires_at
    for _ in range(2):
        provider.revoke(found.handle, timeout=WAIT)
    assert users(postgres, role) == []
    with pytest.raises(SecretNotFoundError) as caught:
        provider.renew(found.handle, timeout=WAIT)
    assert found.handle.rpartition("/")[2] not in str(caught.value)


def test_a_refused_user_is_replaced_by_another(bao, postgres, database, tmp_path):
    role = database(default_ttl="1h", max_ttl="2h")
    with toolkit(bao, tmp_path, role=role) as made:
        broker = made.broker()
        first = broker.lease("db")
        second = broker.refresh("db", seen=first.generation)
        assert first.credential.secret != second.credential.secret
    assert users(postgres, role) == []


def test_a_role_that_is_not_there_is_one_clear_error(bao, database):
    with pytest.raises(ProviderError) as caught:
        opened(bao).fetch(SecretRef.parse("vault:database/creds/no-such"), timeout=WAIT)
    assert caught.value.hint


def test_a_field_that_is_not_there_leaves_no_user_behind(bao, postgres, database):
    role = database(default_ttl="1h", max_ttl="2h")
    ref = SecretRef.parse(f"vault:database/creds/{role}#no-such-field")
    with pytest.raises(SecretNotFoundError):
        opened(bao).fetch(ref, timeout=WAIT)
    assert users(postgres, role) == []


def test_a_static_role_ends_when_its_password_will_be_changed(bao, postgres, database):
    name = fresh("static")
    postgres.run(f"CREATE ROLE {name} LOGIN")
    bao.write(f"database/static-roles/{name}", db_name="pg", username=name, rotation_period="1h")
    ref = SecretRef.parse(f"vault:database/static-creds/{name}#password")
    found = opened(bao).fetch(ref, timeout=WAIT)
    ends = SystemClock().now() + timedelta(hours=1)
    assert found.handle is None
    assert ends - timedelta(minutes=1) < found.expires_at <= ends + timedelta(seconds=2)


def test_a_static_role_whose_password_is_being_changed_is_asked_again(bao, postgres, database):
    name = fresh("static")
    postgres.run(f"CREATE ROLE {name} LOGIN")
    bao.write(f"database/static-roles/{name}", db_name="pg", username=name, rotation_period="5s")
    provider, waiting = opened(bao), threading.Event()
    errors = []
    for _ in range(120):  # the last half second before each change has a ttl of 0
        try:
            found = provider.fetch(
                SecretRef.parse(f"vault:database/static-creds/{name}#password"), timeout=WAIT
            )
            assert found.expires_at is not None, "a password about to change has no end"
        except ProviderError as error:
            errors.append(error)
            break
        waiting.wait(0.1)
    assert errors
    assert errors[0].retryable
    assert "now" in str(errors[0])


# -- pki, transit, and what cannot be leased -------------------------------------------------------


@pytest.fixture(scope="module")
def pki(bao):
    bao.write("sys/mounts/pki", type="pki", config={"max_lease_ttl": "87600h"})
    bao.write("pki/root/generate/internal", common_name="test", ttl="1000h", key_type="ec")
    settings = {"allow_any_name": True, "key_type": "ec", "max_ttl": "72h"}
    bao.write("pki/roles/web", **settings, generate_lease=False)
    bao.write("pki/roles/leased", **settings, generate_lease=True)


WANTED = {"common_name": "web.internal", "ttl": "1h"}


def test_a_certificate_is_issued_with_what_parameters_say_and_ends_when_it_does(bao, pki):
    provider = opened(bao, parameters={"pki/issue/web": WANTED})
    found = provider.fetch(SecretRef.parse("vault:pki/issue/web"), timeout=WAIT)
    document = json.loads(found.secret.reveal())
    assert document["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE KEY" in document["private_key"]
    assert found.expires_at.timestamp() == document["expiration"]
    assert found.handle is None


def test_a_leased_certificate_has_a_handle_and_is_revoked_by_it(bao, pki):
    provider = opened(bao, parameters={"pki/issue/leased": WANTED})
    found = provider.fetch(SecretRef.parse("vault:pki/issue/leased"), timeout=WAIT)
    serial = json.loads(found.secret.reveal())["serial_number"]
    with pytest.raises(SecretNotFoundError):  # so that the broker takes a new one instead
        provider.renew(found.handle, timeout=WAIT)
    provider.revoke(found.handle, timeout=WAIT)
    assert bao.read(f"pki/cert/{serial}")["data"]["revocation_time"] > 0


def test_a_path_that_wants_a_request_says_where_to_write_it(bao, pki):
    with pytest.raises(ProviderError) as caught:
        opened(bao).fetch(SecretRef.parse("vault:pki/issue/web"), timeout=WAIT)
    assert "parameters" in caught.value.hint


@pytest.fixture(scope="module")
def transit(bao):
    bao.write("sys/mounts/transit", type="transit")
    bao.write("transit/keys/app")

    def encrypted(text):
        from base64 import b64encode

        coded = b64encode(text if isinstance(text, bytes) else text.encode()).decode()
        return bao.write("transit/encrypt/app", plaintext=coded)["data"]["ciphertext"]

    return encrypted


def decrypt(bao, ciphertext):
    ref = SecretRef("vault", "transit/decrypt/app", field=ciphertext)
    return opened(bao).fetch(ref, timeout=WAIT).secret


def test_transit_decrypts_the_ciphertext_that_the_reference_holds(bao, transit):
    assert decrypt(bao, transit("the-välue")) == Secret("the-välue")


def test_what_is_no_ciphertext_or_no_text_is_one_clear_error(bao, transit):
    with pytest.raises(ProviderError) as caught:
        decrypt(bao, "vault:v1:bm90IGVuY3J5cHRlZA==")
    assert caught.value.hint
    with pytest.raises(SecretError, match="no text"):
        decrypt(bao, transit(b"\xff\xfe"))


def test_a_ciphertext_older_than_the_oldest_allowed_key_says_how_to_rewrap(bao, transit):
    old = transit("the-value")
    bao.write("transit/keys/app/rotate")
    bao.write("transit/keys/app/config", min_decryption_version=2)
    with pytest.raises(ProviderError, match="no longer takes") as caught:
        decrypt(bao, old)
    assert "rewrap" in caught.value.hint
    assert not caught.value.retryable
    assert_no_trace(caught.value, "the-value")
    assert decrypt(bao, transit("the-value")) == Secret("the-value")


def test_of_transit_nothing_else_is_read_and_nothing_made_is_written(bao, transit):
    provider = opened(bao)
    for text in ("vault:transit/keys/app", "vault:transit/decrypt/app"):
        with pytest.raises(SecretNotFoundError):
            provider.fetch(SecretRef.parse(text), timeout=WAIT)
    for ref in map(SecretRef.parse, ("vault:transit/keys/app", "vault:pki/issue/web")):
        with pytest.raises(RefError):
            provider.write(ref, Secret("x"))
        with pytest.raises(RefError):
            provider.delete(ref)
        with pytest.raises(RefError):
            provider.version(ref, timeout=WAIT)


# -- who we are ------------------------------------------------------------------------------------


def test_a_probe_says_where_as_whom_until_when_and_what_we_may_not(bao):
    bao.policy("narrow", 'path "kv/data/x" { capabilities = ["read"] }')
    token = bao.token(policies=["narrow"], ttl="1h", display_name="shop")
    provider = opened(bao, token, parameters={"pki/issue/web": WANTED})
    assert isinstance(provider, Probing)
    found = provider.probe(timeout=WAIT)
    assert found.reached in bao.url
    assert found.identity == "token-shop (policies: default, narrow)"
    assert found.expires_at <= SystemClock().now() + timedelta(hours=1)
    assert found.lacks == ("give leases back", "ask pki/issue/web")
    assert opened(bao).probe(timeout=WAIT).lacks == ()


def test_a_probe_with_a_token_that_has_died_is_refused(bao):
    token = bao.token(policies=["default"], ttl="1h")
    bao.write("auth/token/revoke", token=token.reveal())
    with pytest.raises(AccessDeniedError):
        opened(bao, token).probe(timeout=WAIT)
