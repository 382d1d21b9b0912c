"""The login by AWS identity, against a stand-in of Vault that checks what AWS would.

OpenBao 2.7 has no such method. The stand-in takes the statement apart as Vault does, looks whether
its own name is signed, and has the signature checked by the AWS stand-in's verifier.
"""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from secretkit.core.credential import Opaque
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ProviderUnavailableError
from secretkit.ports import Acquired
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.aws.account import Accounts
from secretkit.testing.aws.message import AwsRefusedError, Incoming
from secretkit.testing.aws.signature import Verifier
from secretkit.testing.clock import FakeClock
from secretkit.testing.fault import FaultServer, ok, status
from secretkit.testing.trace import assert_no_trace
from vaulted import world

WAIT = timedelta(seconds=10)
READ = SecretRef.parse("vault:kv/app#key")
LOGIN = "/v1/auth/aws/login"
SERVER = "vault.example.org"


class Base:
    """A source of AWS credentials."""

    ref = "aws:base"

    def __init__(self, credential, fail=None):
        self.credential, self.fail = credential, fail

    def acquire(self, *, timeout, refused):
        if self.fail is not None:
            raise self.fail
        return Acquired(credential=self.credential, ref=self.ref)

    def revoke(self, handle, *, timeout):
        raise AssertionError("nothing was leased")


class Stand:
    def __init__(self):
        self.clock = FakeClock()
        self.accounts = Accounts(clock=self.clock, life=None)
        self.base = Base(self.accounts.add_user("app"))
        self.server = FaultServer()
        login = {"auth": {"client_token": "token-1", "lease_duration": 60, "renewable": True}}
        self.server.play(ok(json=json.dumps(login).encode()), path=LOGIN)
        document = {"data": {"data": {"key": "the-value"}, "metadata": {"version": 1}}}
        self.server.play(ok(json=json.dumps(document).encode()), path="/v1/kv/data/app")

    def fetch(self, **auth):
        context = world(clock=self.clock, credential={"base": self.base}.__getitem__)
        table = {"method": "aws", "base": "base", **auth}
        options = {"address": self.server.url, "auth": table, "kv_version": "2"}
        return VaultProvider.open(options, context).fetch(READ, timeout=WAIT)

    def statement(self):
        (login,) = [one for one in self.server.requests if one.path == LOGIN]
        return json.loads(login.body)

    def caller(self, *, server=SERVER, region="us-east-1"):
        """Give who AWS would say it is, having looked at what Vault looks at."""
        sent = self.statement()
        coded = ("iam_request_url", "iam_request_body", "iam_request_headers")
        url, body, lines = (b64decode(sent[name]) for name in coded)
        given = {name.lower(): value for name, value in json.loads(lines).items()}
        signed = given["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert given.get("x-vault-aws-iam-server-id", "") == server
        assert ("x-vault-aws-iam-server-id" in signed) == bool(server)
        assert body == b"Action=GetCallerIdentity&Version=2011-06-15"
        parts = urlsplit(url.decode())
        request = Incoming(
            method=sent["iam_http_request_method"],
            path=parts.path,
            query=parts.query,
            headers=(("host", parts.netloc), *given.items()),
            body=body,
            region=region,
        )
        return Verifier(self.accounts).holder(request, service="sts").arn


@pytest.fixture
def stand():
    made = Stand()
    yield made
    made.server.close()


def test_the_statement_is_one_that_aws_accepts_and_names_the_vault(stand):
    assert stand.fetch(server_id=SERVER, role="app").secret == Secret("the-value")
    assert stand.caller() == "arn:aws:iam::123456789012:user/app"
    assert stand.statement()["role"] == "app"
    assert b64decode(stand.statement()["iam_request_url"]) == b"https://sts.amazonaws.com/"


def test_a_region_has_its_own_endpoint_and_the_role_may_be_left_to_vault(stand):
    stand.fetch(region="eu-central-1")
    assert stand.caller(server="", region="eu-central-1").endswith("user/app")
    assert "role" not in stand.statement()


def test_the_key_is_not_in_what_is_sent(stand):
    stand.fetch(server_id=SERVER)
    sent = json.dumps([b64decode(v).decode(errors="replace") for v in stand.statement().values()])
    assert stand.base.credential.secret.reveal() not in sent


def test_a_statement_that_was_changed_or_is_old_is_not_accepted(stand):
    stand.fetch(server_id=SERVER)
    with pytest.raises(AwsRefusedError):
        stand.caller(region="eu-west-1")
    stand.clock.advance(timedelta(minutes=20))
    with pytest.raises(AwsRefusedError):
        stand.caller()


def test_a_refusal_by_vault_holds_neither_key_nor_statement(stand):
    stand.server.play(status(400), path=LOGIN)
    with pytest.raises(AccessDeniedError, match="login by aws") as caught:
        stand.fetch(server_id=SERVER)
    assert_no_trace(caught.value, stand.base.credential.secret.reveal())
    assert_no_trace(caught.value, stand.statement()["iam_request_headers"])


@pytest.mark.parametrize("kind", [AccessDeniedError, ProviderUnavailableError])
def test_credentials_that_cannot_be_had_are_told_with_the_reference(stand, kind):
    stand.base.fail = kind("no session", ref="aws:base", hint="log in")
    with pytest.raises(kind, match="no AWS credentials to log in") as caught:
        stand.fetch()
    assert (caught.value.ref, caught.value.hint) == (str(READ), "log in")


def test_a_base_of_another_kind_is_refused(stand):
    stand.base.credential = Opaque(Secret("x"))
    with pytest.raises(ProviderUnavailableError, match="of the kind opaque"):
        stand.fetch()
