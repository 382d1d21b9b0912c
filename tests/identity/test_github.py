"""The token of a GitHub Actions job."""

import json
import secrets
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from secretkit.core.message import Reply
from secretkit.errors import AccessDeniedError, ProviderError, ProviderUnavailableError
from secretkit.identity import open_identity
from secretkit.testing import FaultServer
from secretkit.testing.context import provider_context
from secretkit.testing.contract_identity import make_token
from secretkit.testing.fault import answer, ok, redirect, status
from secretkit.testing.trace import assert_no_trace

AUDIENCE = "https://api.example.org/a?b=c&d"
LIMIT = timedelta(seconds=10)


class Job:
    def __init__(self, server):
        self.key = secrets.token_urlsafe(24)
        self.server = server
        self.environ = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{server.url}/ids?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.key,
        }

    def identity(self):
        context = provider_context(environ=self.environ)
        return open_identity({"type": "github"}, audience=AUDIENCE, context=context)


@pytest.fixture
def job():
    with FaultServer() as server:
        yield Job(server)


def test_the_endpoint_is_asked_once_for_each_assertion_as_the_job(job):
    job.server.play(ok(json=json.dumps({"value": make_token(aud=AUDIENCE)}).encode()))
    identity = job.identity()
    for _ in range(3):
        assert identity.assertion(timeout=LIMIT)
    assert len(job.server.requests) == 3
    for seen in job.server.requests:
        query = parse_qs(urlsplit(seen.path).query)
        assert (seen.method, urlsplit(seen.path).path) == ("GET", "/ids")
        assert query == {"api-version": ["2.0"], "audience": [AUDIENCE]}
        assert seen.headers["authorization"] == f"Bearer {job.key}"


@pytest.mark.parametrize("name", ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
def test_a_job_without_the_permission_is_told_which(job, name):
    job.environ[name] = ""
    with pytest.raises(ProviderUnavailableError, match=f"github: {name} is not set") as caught:
        job.identity().assertion(timeout=LIMIT)
    assert "id-token: write" in caught.value.hint
    assert_no_trace(caught.value, job.key)
    assert job.server.connections == 0


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_is_denied_and_says_what_the_job_needs(job, code):
    job.server.play(status(code))
    with pytest.raises(AccessDeniedError) as caught:
        job.identity().assertion(timeout=LIMIT)
    assert caught.value.ref == "github"
    assert "id-token: write" in caught.value.hint


@pytest.mark.parametrize(
    "reply",
    [
        status(503, headers={"retry-after": "7"}),
        redirect("https://elsewhere.invalid/"),
        ok(json=b'{"value": null}'),
        ok(json=b'{"value": ""}'),
        ok(json=b'{"value": "a\\u0000b"}'),
        ok(json=b'{"count": 1}'),
        answer(Reply(status=200, body=b"<html>")),
    ],
    ids=["503", "redirect", "null", "empty", "nul", "missing", "page"],
)
def test_no_answer_carries_the_job_s_own_token_away(job, reply):
    job.server.play(reply)
    with pytest.raises(ProviderError) as caught:
        job.identity().assertion(timeout=LIMIT)
    assert caught.value.ref == "github"
    assert caught.value.hint
    assert_no_trace(caught.value, job.key)
    assert len(job.server.requests) == 1


def test_a_throttled_endpoint_says_when_to_come_back(job):
    job.server.play(status(429, headers={"retry-after": "7"}))
    with pytest.raises(ProviderError) as caught:
        job.identity().assertion(timeout=LIMIT)
    assert caught.value.retry_after == timedelta(seconds=7)
