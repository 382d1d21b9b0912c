"""Identities that an HTTP endpoint gives keep the contract: GitHub, Google Cloud, Azure, AWS."""

import json
import secrets
from contextlib import contextmanager
from datetime import timedelta

import pytest

from secretkit.core.credential import AwsCredentials
from secretkit.core.message import Reply
from secretkit.core.secret import Secret
from secretkit.identity import open_identity
from secretkit.ports import Acquired
from secretkit.testing import FaultServer
from secretkit.testing.context import provider_context
from secretkit.testing.contract_identity import IdentityContract
from secretkit.testing.fault import HANG, answer


class AskedContract(IdentityContract):
    """What those over HTTP share: a server that answers, hangs or is gone."""

    @pytest.fixture(autouse=True)
    def _server(self):
        self.url = "http://127.0.0.1:1"  # nobody listens there
        with FaultServer() as self.server:
            self.url = self.server.url
            yield

    def answer(self, token):
        raise NotImplementedError

    def give(self, token):
        self.server.play(answer(self.answer(token)))

    def asked(self):
        return len(self.server.requests)

    def stalled(self):
        self.server.play(HANG)

        @contextmanager
        def hanging():
            yield

        return hanging()

    @contextmanager
    def gone(self):
        self.url = "http://127.0.0.1:1"
        yield


class TestGithub(AskedContract):
    def make_identity(self, audience):
        environ = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secrets.token_urlsafe(24),
        }
        context = provider_context(environ=environ)
        return open_identity({"type": "github"}, audience=audience, context=context)

    def answer(self, token):
        return Reply(status=200, body=json.dumps({"value": token}).encode())


class TestGcp(AskedContract):
    def make_identity(self, audience):
        table = {"type": "gcp", "endpoint": self.url}
        return open_identity(table, audience=audience, context=provider_context())

    def answer(self, token):
        return Reply(status=200, headers={"Metadata-Flavor": "Google"}, body=token.encode())


class TestAzure(AskedContract):
    def make_identity(self, audience):
        table = {"type": "azure", "endpoint": self.url}
        return open_identity(table, audience=audience, context=provider_context())

    def answer(self, token):
        document = {"access_token": token, "expires_on": "1790000000", "token_type": "Bearer"}
        return Reply(status=200, body=json.dumps(document).encode())


class Fixed:
    """A source with one set of credentials, which nothing looks at here."""

    ref = "aws:base"

    def acquire(self, *, timeout: timedelta, refused):
        secret = Secret(secrets.token_urlsafe(30))
        return Acquired(credential=AwsCredentials("AKIA" + "Q" * 16, secret), ref=self.ref)

    def revoke(self, handle, *, timeout):
        raise NotImplementedError


class TestAws(AskedContract):
    """Over what STS would answer; tests/identity/test_aws.py asks a stand-in that checks."""

    def make_identity(self, audience):
        table = {"type": "aws", "region": "us-east-1", "base": "base", "endpoint": self.url}
        context = provider_context(credentials={"base": Fixed()})
        return open_identity(table, audience=audience, context=context)

    def answer(self, token):
        body = f"<R><GetWebIdentityTokenResult><WebIdentityToken>{token}</WebIdentityToken>"
        body += "</GetWebIdentityTokenResult></R>"
        return Reply(status=200, headers={"Content-Type": "text/xml"}, body=body.encode())
