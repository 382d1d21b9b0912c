"""What answers in place of an identity's endpoint may do what it wants: it costs the deadline."""

import secrets
import time
from datetime import timedelta

import pytest

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError
from secretkit.identity import open_identity
from secretkit.ports import Acquired
from secretkit.testing import FaultServer
from secretkit.testing.context import provider_context
from secretkit.testing.fault import FAULTS
from secretkit.testing.trace import assert_no_trace

LIMIT = timedelta(seconds=0.3)
KINDS = ("aws", "azure", "app service", "gcp", "github")


class Base:
    ref = "aws:base"

    def __init__(self, key):
        self.credential = AwsCredentials("AKIA" + "Q" * 16, Secret(key))

    def acquire(self, *, timeout, refused):
        return Acquired(credential=self.credential, ref=self.ref)

    def revoke(self, handle, *, timeout):
        raise NotImplementedError


def opened(kind, url, key):
    """Give an identity that proves itself to its endpoint with ``key``, where it does."""
    environ, table = {}, {"type": kind, "endpoint": url}
    if kind == "github":
        environ = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": key}
        table = {"type": kind}
    elif kind == "app service":
        environ, table = {"IDENTITY_ENDPOINT": url, "IDENTITY_HEADER": key}, {"type": "azure"}
    elif kind == "aws":
        table |= {"region": "us-east-1", "base": "base"}
    context = provider_context(environ=environ, credentials={"base": Base(key)})
    return open_identity(table, audience="one", context=context)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_ends_in_time_with_an_error_that_shows_no_key(kind, fault):
    key = secrets.token_urlsafe(30)
    with FaultServer() as server:
        server.play(fault)
        identity = opened(kind, server.url, key)
        start = time.monotonic()
        with pytest.raises(ProviderError) as caught:
            identity.assertion(timeout=LIMIT)
        assert time.monotonic() - start < LIMIT.total_seconds() + 0.5
        assert caught.value.ref == identity.ref
        assert caught.value.hint
        assert_no_trace(caught.value, key)
        assert server.connections == 1
