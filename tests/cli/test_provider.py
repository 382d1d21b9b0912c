"""``secretkit provider test``: what is reached, as whom, until when, and nothing left behind."""

from __future__ import annotations

import json
import secrets
import threading
from datetime import timedelta

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.cli.probe import Exchanged, Reference, Store, row_of
from secretkit.cli.session import Session
from secretkit.config.schema import Config, CredentialConfig
from secretkit.core.credential import Opaque
from secretkit.core.freshness import LeasePolicy
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ProviderError
from secretkit.ports import Acquired, Probe
from secretkit.testing import ClaudeStub, MemoryProvider
from secretkit.testing.aws import ACCOUNT, AwsStub, Trust
from secretkit.testing.stub.issuer import TokenIssuer
from secretkit.wiring import Toolkit
from vaulted import bao, fresh

__all__ = ["bao"]

SUBJECT = "spiffe://example.org/ns/prod/sa/app"


def answered(home, *words):
    """Run it with --json; give the rows by reference, and what was printed."""
    code, out, err = home.run("provider", "test", "--json", *words)
    assert err == b"", err
    shown = json.loads(out)["sources"]
    assert code == (0 if all(row["result"] == "ok" for row in shown) else 1)
    return {row["ref"]: row for row in shown}, out.decode()


# -- rows, over providers in memory ----------------------------------------------------------------


class Asked(MemoryProvider):
    """A store that can say who we are."""

    def probe(self, *, timeout):
        return Probe(reached="memory", identity="me", lacks=("write", "list"))


class Stubborn(MemoryProvider):
    """A store that takes nothing back."""

    def revoke(self, handle, *, timeout):
        raise ProviderError("it stays", ref="memory:key", hint="wait for its end")


class Careless(MemoryProvider):
    """Third-party code that fails with the value in its message."""

    def probe(self, *, timeout):
        raise ValueError("hunter2" + "hunter2")


def session_over(provider, tmp_path, kind="opaque", **policy):
    provider.set("key", "value" + "-of-a-key")
    ref = SecretRef.parse("memory:key")
    table = CredentialConfig(name="db", kind=kind, sources=(ref,))
    config = Config(credentials={"db": table}, policy=LeasePolicy(**policy))
    session = Session()
    session._toolkit = Toolkit(
        config, environ={"HOME": str(tmp_path)}, providers={"memory": provider}
    )
    return session


@pytest.fixture
def clock():
    return SystemClock()


def test_a_leased_secret_is_given_back(tmp_path, clock):
    provider = MemoryProvider(clock=clock, expires_after=timedelta(minutes=5))
    session = session_over(provider, tmp_path)
    row = row_of(Reference(ref=SecretRef.parse("memory:key"), kind="opaque"), session)
    assert row["result"] == "ok"
    assert row["expires_at"] > clock.now()
    assert len(provider.revoked) == provider.fetches == 1
    session.close()


def test_a_lease_that_is_not_taken_back_fails_the_test(tmp_path, clock):
    provider = Stubborn(clock=clock, expires_after=timedelta(minutes=5))
    session = session_over(provider, tmp_path)
    row = row_of(Reference(ref=SecretRef.parse("memory:key")), session)
    assert row["result"] == "not given back"
    assert row["lacks"] == "it stays (wait for its end)"
    assert row["expires_at"] is not None
    session.close()


def test_a_value_that_is_not_fit_for_its_kind_fails_the_test_and_is_given_back(tmp_path, clock):
    provider = MemoryProvider(clock=clock, expires_after=timedelta(minutes=5))
    session = session_over(provider, tmp_path, kind="anthropic-api-key")
    provider.set("key", "two\nlines")
    row = row_of(Reference(ref=SecretRef.parse("memory:key"), kind="anthropic-api-key"), session)
    assert row["result"] == "this value cannot be used"
    assert "two" not in str(row)
    assert len(provider.revoked) == 1
    session.close()


def test_a_store_says_who_we_are_and_what_we_may_not_do(tmp_path):
    session = session_over(Asked(), tmp_path)
    row = row_of(Store(name="memory"), session)
    assert (row["reached"], row["identity"], row["lacks"]) == ("memory", "me", "write; list")
    assert row["version"] is None
    session.close()


def test_what_third_party_code_fails_with_is_not_shown(tmp_path):
    session = session_over(Careless(), tmp_path)
    row = row_of(Store(name="memory"), session)
    assert (row["result"], row["lacks"]) == ("defect", "it failed with ValueError")
    session.close()


class Hanging(MemoryProvider):
    """Third-party code that knows no deadline."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()

    def fetch(self, ref, *, timeout):
        self.free.wait(60)
        return super().fetch(ref, timeout=timeout)


def test_a_provider_that_keeps_no_deadline_does_not_hold_the_command(tmp_path, clock):
    provider = Hanging()
    session = session_over(provider, tmp_path, fetch_timeout=timedelta(seconds=0.2))
    row = row_of(Reference(ref=SecretRef.parse("memory:key")), session)
    assert row["result"] == "the store did not answer in time"
    assert 0.2 <= row["seconds"] < 5
    provider.free.set()
    session.close()


class Leasing:
    """A source that cannot say who we are, and that leases."""

    ref = "third:party"

    def __init__(self):
        self.given, self.revoked = 0, []
        self.error = None

    def acquire(self, *, timeout, refused):
        if self.error:
            raise self.error
        self.given += 1
        return Acquired(credential=Opaque(Secret("a-" + "value")), ref=self.ref, handle="lease-1")

    def revoke(self, handle, *, timeout):
        self.revoked.append(handle)


def test_an_exchanged_credential_is_acquired_once_and_given_back(tmp_path):
    session, source = session_over(MemoryProvider(), tmp_path), Leasing()
    session.toolkit._sources["db"] = source
    row = row_of(Exchanged(name="db"), session)
    assert (row["ref"], row["result"]) == ("db", "ok")
    assert (source.given, source.revoked) == (1, ["lease-1"])
    source.error = AccessDeniedError("no", ref=source.ref, hint="ask")
    row = row_of(Exchanged(name="db"), session)
    assert (row["result"], row["lacks"]) == ("access denied", "no (ask)")
    session.close()


# -- the command, over real servers ----------------------------------------------------------------


def test_a_federated_credential_says_as_whom_and_until_when(stocked):
    token = stocked.path / "id.jwt"
    with ClaudeStub() as stub:
        issuer = TokenIssuer("https://id.example.org", clock=SystemClock())
        ids = stub.organization.federate(issuer, subject=SUBJECT)
        write(token, issuer.token(SUBJECT, life=timedelta(hours=1)))
        stocked.config.write_text(
            f'[credentials.claude]\nkind = "anthropic-federation"\nbase_url = "{stub.url}"\n'
            f'identity = {{ type = "file", path = "{token}" }}\n'
            f'federation_rule_id = "{ids.federation_rule_id}"\n'
            f'organization_id = "{ids.organization_id}"\n'
            f'service_account_id = "{ids.service_account_id}"\n'
        )
        rows, out = answered(stocked)
        assert rows["claude"]["result"] == "ok"
        assert rows["claude"]["reached"] == stub.url.partition("://")[2]
        assert SUBJECT in rows["claude"]["identity"]
        assert rows["claude"]["expires_at"].endswith("Z")
        assert token.read_text() not in out
        write(token, issuer.token(SUBJECT, aud="https://elsewhere.example"))
        rows, out = answered(stocked, "claude")
        assert rows["claude"]["result"] != "ok"
        assert "meant for https://elsewhere.example" in rows["claude"]["lacks"]
        assert token.read_text() not in out


def test_an_identity_says_who_it_is_and_its_token_goes_nowhere(stocked):
    issuer = TokenIssuer("https://id.example.org", clock=SystemClock())
    token = issuer.token(SUBJECT)
    write(stocked.path / "id.jwt", token)
    stocked.config.write_text(
        f'[identity.host]\ntype = "file"\npath = "{stocked.path}/id.jwt"\n'
        f'[identity.gone]\ntype = "file"\npath = "{stocked.path}/none"\n'
        '[identity.issuer]\nissuer_url = "https://id.example.org"\nsigning_key = "local:issuer"\n'
    )
    rows, out = answered(stocked)
    assert list(rows) == ["host", "gone"]
    assert rows["host"]["reached"] == f"file:{stocked.path}/id.jwt"
    assert rows["host"]["identity"] == f"{SUBJECT} of https://id.example.org"
    assert rows["host"]["expires_at"].endswith("Z")
    assert rows["gone"]["result"] != "ok"
    assert token.reveal() not in out
    assert list(answered(stocked, "host")[0]) == ["host"]


def test_vault_says_as_whom_and_keeps_no_lease(stocked, bao):
    name, value = fresh("probed"), secrets.token_urlsafe(30)
    bao.write(f"kv/data/{name}", data={"key": value})
    bao.policy(name, f'path "kv/data/{name}" {{ capabilities = ["read"] }}')
    token = stocked.path / "token"
    write(token, bao.token(policies=[name], display_name=name, ttl="1h"))
    stocked.config.write_text(
        f'[providers.vault]\ntype = "vault"\naddress = "{bao.url}"\n'
        f'auth = {{ method = "token", token = "file:{token}" }}\n'
        f'[credentials.db]\nkind = "opaque"\nsource = "vault:kv/{name}#key"\n'
    )
    rows, out = answered(stocked)
    assert list(rows) == ["vault", f"vault:kv/{name}#key"]
    assert rows["vault"]["reached"] == bao.url.partition("://")[2]
    assert name in rows["vault"]["identity"]
    assert rows["vault"]["expires_at"].endswith("Z")
    assert "give leases back" in rows["vault"]["lacks"]
    assert rows[f"vault:kv/{name}#key"]["version"] == "1"
    assert value not in out
    assert list(answered(stocked, "vault")[0]) == list(answered(stocked, "db")[0]) == list(rows)
    rows, _ = answered(stocked, "vault:kv/none")
    assert [row["result"] for row in rows.values()] == ["ok", "access denied"]


def test_a_dynamic_secret_of_vault_is_leased_and_given_back(stocked, bao):
    mount, token = fresh("pki"), stocked.path / "token"
    bao.write(f"sys/mounts/{mount}", type="pki", config={"max_lease_ttl": "1000h"})
    bao.write(f"{mount}/root/generate/internal", common_name="test", ttl="900h", key_type="ec")
    bao.write(f"{mount}/roles/web", allow_any_name=True, key_type="ec", generate_lease=True)
    write(token, bao.root)
    path = f"{mount}/issue/web"
    stocked.config.write_text(
        f'[providers.vault]\ntype = "vault"\naddress = "{bao.url}"\n'
        f'auth = {{ method = "token", token = "file:{token}" }}\n'
        f'parameters = {{ "{path}" = {{ common_name = "web.internal", ttl = "1h" }} }}\n'
        f'[credentials.tls]\nkind = "opaque"\nsource = "vault:{path}"\n'
    )
    rows, out = answered(stocked)
    assert rows[f"vault:{path}"]["result"] == "ok"
    assert rows[f"vault:{path}"]["expires_at"].endswith("Z")
    assert "PRIVATE KEY" not in out
    issued = bao.ask("LIST", f"{mount}/certs")["data"]["keys"]
    ended = [bao.read(f"{mount}/cert/{one}")["data"]["revocation_time"] > 0 for one in issued]
    assert sorted(ended) == [False, True]  # the authority's own, and the one that was tested


def test_a_role_of_aws_says_as_whom_and_until_when(stocked):
    with AwsStub(regions=("us-west-2",)) as aws:
        key = aws.accounts.add_user("broker")
        user, role = (f"arn:aws:iam::{ACCOUNT}:{one}" for one in ("user/broker", "role/claude"))
        aws.accounts.add_role(role, trust=Trust(principals=(user,)))
        pair = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret.reveal()}
        write(stocked.path / "pair", Secret(json.dumps(pair)))
        stocked.config.write_text(
            f'[credentials.bedrock]\nkind = "aws"\nregion = "us-west-2"\nendpoint = "{aws.url()}"\n'
            f'source = "file:{stocked.path}/pair"\nassume_role = {{ role_arn = "{role}" }}\n'
            '[credentials.bearer]\nkind = "bedrock-token"\nbase = "bedrock"\nregion = "us-west-2"\n'
        )
        rows, out = answered(stocked)
        assert rows["bedrock"]["reached"] == aws.url().partition("://")[2]
        assert f"arn:aws:sts::{ACCOUNT}:assumed-role/claude/" in rows["bedrock"]["identity"]
        ends = [one["expires_at"] for one in rows.values()]
        assert all(one.endswith("Z") for one in ends)
        assert [one["result"] for one in rows.values()] == ["ok", "ok"]
        assert pair["SecretAccessKey"] not in out
        assert "bedrock-api-key-" not in out
        aws.deny("sts:AssumeRole", arn=user)
        rows, _ = answered(stocked)
        assert [one["result"] for one in rows.values()] == ["access denied"] * 2
        assert role in rows["bedrock"]["lacks"]


def test_secrets_manager_says_as_whom_and_shows_no_value(stocked):
    value = secrets.token_urlsafe(30)
    with AwsStub(regions=("us-west-2",)) as aws:
        key = aws.accounts.add_user("reader")
        aws.secrets.add("app/key", value, region="us-west-2")
        pair = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret.reveal()}
        write(stocked.path / "pair", Secret(json.dumps(pair)))
        stocked.config.write_text(
            f'[providers.prod]\ntype = "aws-secrets-manager"\nregion = "us-west-2"\n'
            f'endpoint = "{aws.url()}"\nsts_endpoint = "{aws.url()}"\n'
            f'source = "file:{stocked.path}/pair"\n'
            '[credentials.app]\nkind = "opaque"\nsource = ["prod:app/key", "prod:app/none"]\n'
        )
        rows, out = answered(stocked, "app")
    assert list(rows) == ["prod", "prod:app/key", "prod:app/none"]
    assert f"arn:aws:iam::{ACCOUNT}:user/reader" in rows["prod"]["identity"]
    assert rows["prod:app/key"]["result"] == "ok"
    assert rows["prod:app/key"]["version"]
    assert rows["prod:app/none"]["result"] == "not found"
    assert value not in out
    assert pair["SecretAccessKey"] not in out


def test_a_provider_that_cannot_say_who_we_are_wants_a_reference(stocked):
    rows, _ = answered(stocked, "env")
    assert rows["env"]["result"] == "the configuration cannot be used"
    assert "secretkit provider test env:PATH" in rows["env"]["lacks"]


def write(path, secret):
    path.touch(mode=0o600)
    path.write_text(secret.reveal())
