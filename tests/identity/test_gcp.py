"""The identity token of a Google Cloud workload."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from secretkit.core.message import Reply
from secretkit.errors import ProviderError, SecretNotFoundError
from secretkit.identity import open_identity
from secretkit.testing import FaultServer
from secretkit.testing.context import provider_context
from secretkit.testing.contract_identity import AUDIENCE, make_token
from secretkit.testing.fault import answer, status

LIMIT = timedelta(seconds=10)


@pytest.fixture
def server():
    with FaultServer() as started:
        yield started


def opened(server, **options):
    table = {"type": "gcp", "endpoint": f"{server.url}/", **options}
    return open_identity(table, audience=AUDIENCE, context=provider_context())


def google(body):
    return answer(Reply(status=200, headers={"Metadata-Flavor": "Google"}, body=body))


def test_the_metadata_server_is_asked_as_it_wants_to_be(server):
    server.play(google(f"{make_token()}\n".encode()))
    assert opened(server, account="ci@project.example").assertion(timeout=LIMIT)
    (seen,) = server.requests
    assert seen.headers["metadata-flavor"] == "Google"
    assert urlsplit(seen.path).path == (
        "/computeMetadata/v1/instance/service-accounts/ci@project.example/identity"
    )
    query = parse_qs(urlsplit(seen.path).query)
    assert query == {"audience": [AUDIENCE], "format": ["full"]}


def test_an_account_cannot_leave_its_place_in_the_path(server):
    server.play(google(make_token().encode()))
    opened(server, account="../../../attributes/x?y").assertion(timeout=LIMIT)
    (seen,) = server.requests
    assert "/service-accounts/..%2F..%2F..%2Fattributes%2Fx%3Fy/identity?" in seen.path


def test_who_is_not_google_gives_no_token(server):
    server.play(answer(Reply(status=200, body=make_token().encode())))
    with pytest.raises(ProviderError, match="not Google's metadata server") as caught:
        opened(server).assertion(timeout=LIMIT)
    assert caught.value.hint


def test_a_machine_without_a_service_account_is_told(server):
    server.play(status(404))
    with pytest.raises(SecretNotFoundError) as caught:
        opened(server).assertion(timeout=LIMIT)
    assert "service account" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"\xff", b"a\0b"])
def test_what_is_no_text_is_no_token(server, body):
    server.play(google(body))
    with pytest.raises(ProviderError, match="no token") as caught:
        opened(server).assertion(timeout=LIMIT)
    assert caught.value.hint
