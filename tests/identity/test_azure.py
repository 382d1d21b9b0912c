"""The token of a managed identity, on a virtual machine and in App Service."""

import json
import secrets
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from secretkit.errors import ConfigError, ProviderError, ProviderUnavailableError
from secretkit.identity import open_identity
from secretkit.testing import FaultServer
from secretkit.testing.context import provider_context
from secretkit.testing.contract_identity import AUDIENCE, make_token
from secretkit.testing.fault import ok, status
from secretkit.testing.trace import assert_no_trace

LIMIT = timedelta(seconds=10)


@pytest.fixture
def server():
    with FaultServer() as started:
        document = {"access_token": make_token(), "expires_on": "1790000000"}
        started.play(ok(json=json.dumps(document).encode()))
        yield started


def opened(options, audience=AUDIENCE, **environ):
    table = {"type": "azure", **options}
    return open_identity(table, audience=audience, context=provider_context(environ=environ))


def test_a_machine_asks_imds(server):
    opened({"endpoint": server.url, "client_id": "c1"}).assertion(timeout=LIMIT)
    (seen,) = server.requests
    assert seen.headers["metadata"] == "true"
    assert urlsplit(seen.path).path == "/metadata/identity/oauth2/token"
    query = parse_qs(urlsplit(seen.path).query)
    assert query == {"api-version": ["2018-02-01"], "resource": [AUDIENCE], "client_id": ["c1"]}


def test_app_service_has_an_endpoint_and_a_header_of_its_own(server):
    key = secrets.token_urlsafe(16)
    app = opened({}, IDENTITY_ENDPOINT=f"{server.url}/msi/token", IDENTITY_HEADER=key)
    app.assertion(timeout=LIMIT)
    (seen,) = server.requests
    assert seen.headers["x-identity-header"] == key
    assert "metadata" not in seen.headers
    assert urlsplit(seen.path).path == "/msi/token"
    query = parse_qs(urlsplit(seen.path).query)
    assert query == {"api-version": ["2019-08-01"], "resource": [AUDIENCE]}
    server.play(status(500))
    with pytest.raises(ProviderError) as caught:
        app.assertion(timeout=LIMIT)
    assert_no_trace(caught.value, key)


def test_the_audience_that_the_token_says_may_differ_from_the_resource(server):
    options = {"endpoint": server.url, "resource": "api://one", "audience": AUDIENCE}
    assert opened(options, audience="").assertion(timeout=LIMIT)
    with pytest.raises(ProviderError, match="not for api://one"):
        opened({"endpoint": server.url, "resource": "api://one"}).assertion(timeout=LIMIT)


def test_a_machine_without_an_identity_is_told(server):
    server.play(status(400))
    with pytest.raises(ProviderUnavailableError, match="no managed identity") as caught:
        opened({"endpoint": server.url}).assertion(timeout=LIMIT)
    assert "client_id" in caught.value.hint


@pytest.mark.parametrize("code", [404, 410, 429, 500, 503])
def test_an_endpoint_that_is_busy_or_being_updated_is_another_error(server, code):
    server.play(status(code))
    with pytest.raises(ProviderError) as caught:
        opened({"endpoint": server.url}).assertion(timeout=LIMIT)
    assert type(caught.value) is ProviderError
    assert caught.value.retryable
    assert "no managed identity" not in str(caught.value)


def test_a_resource_must_be_known():
    with pytest.raises(ConfigError) as caught:
        opened({}, audience="")
    assert caught.value.key_path == "resource"
