from __future__ import annotations

import asyncio
import logging
import re

import anthropic
import pytest

from secretkit.claude import (
    CredentialFaultError,
    OriginError,
    async_cloud_arguments,
    cloud_arguments,
)
from secretkit.core.target import Target
from secretkit.errors import ConfigError
from secretkit.testing import broker_over
from secretkit.testing.memory import MemoryProvider

OLD, NEW = "ya29." + "o" * 120, "ya29." + "n" * 120
MESSAGE = {"model": "claude-x", "max_tokens": 4, "messages": [{"role": "user", "content": "x"}]}
CLIENTS = {
    "vertex": (
        anthropic.AnthropicVertex,
        anthropic.AsyncAnthropicVertex,
        {"region": "us-east5", "project_id": "p"},
    ),
    "google-cloud": (
        anthropic.AnthropicGoogleCloud,
        anthropic.AsyncAnthropicGoogleCloud,
        {"location": "us-east5", "project": "p", "workspace_id": "wrkspc_x"},
    ),
    "foundry": (anthropic.AnthropicFoundry, anthropic.AsyncAnthropicFoundry, {}),
}
REFUSED = (
    b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\ncontent-type: application/json\r\n"
    b"connection: close\r\n\r\n{}"
)
platforms = pytest.mark.parametrize("platform", CLIENTS)


@pytest.fixture
def store():
    made = MemoryProvider()
    made.set("token", OLD)
    return made


@pytest.fixture
def broker(store):
    with broker_over(store, kind="opaque", names=("token",)) as made:
        yield made


def bearers(echo):
    found = [re.findall(rb"(?im)^authorization: bearer (\S+)", one) for one in echo.received]
    return [one[0].decode() for one in found]


def ask(broker, platform, face, url):
    sync, later, options = CLIENTS[platform]
    options = {**options, "max_retries": 0}
    if face == "sync":
        with sync(
            **cloud_arguments("token", platform=platform, base_url=url, broker=broker), **options
        ) as client:
            client.messages.create(**MESSAGE)
        return

    async def go():
        given = async_cloud_arguments("token", platform=platform, base_url=url, broker=broker)
        async with later(**given, **options) as client:
            await client.messages.create(**MESSAGE)

    asyncio.run(go())


@platforms
@pytest.mark.parametrize("face", ["sync", "async"])
def test_the_token_of_the_moment_goes_out_and_a_refused_one_is_replaced_once(  # noqa: PLR0913, PLR0917 - fixtures
    store, broker, listen, monkeypatch, caplog, platform, face
):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "evil")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    echo = listen(REFUSED)
    broker.lease("token")
    store.set("token", NEW)
    with caplog.at_level(logging.DEBUG), pytest.raises(anthropic.AuthenticationError) as caught:
        ask(broker, platform, face, echo.url)
    assert bearers(echo) == [OLD, NEW]
    sent = b"".join(echo.received).lower()
    assert b"evil" not in sent
    assert b"api-key:" not in sent
    shown = caplog.text + repr(caught.value.request.headers)
    assert OLD not in shown
    assert NEW not in shown


def test_no_key_of_the_clients_own_goes_out_beside_the_token(broker, listen):
    echo = listen(REFUSED)
    given = cloud_arguments("token", platform="foundry", base_url=echo.url, broker=broker)
    theirs = {"api-key": "theirs", "x-api-key": "theirs", "authorization": "theirs"}
    with (
        anthropic.AnthropicFoundry(**given, default_headers=theirs, max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        client.messages.create(**MESSAGE)
    assert b"theirs" not in b"".join(echo.received)
    assert bearers(echo) == [OLD]


@platforms
def test_the_token_goes_to_its_own_origin_only(broker, listen, platform):
    echo = listen(REFUSED)
    given = cloud_arguments(
        "token", platform=platform, base_url="http://127.0.0.1:9", broker=broker
    )
    client, _, options = CLIENTS[platform]
    given["base_url"] = echo.url
    with client(**given, **options) as made, pytest.raises(OriginError, match="token"):
        made.messages.create(**MESSAGE)
    assert not echo.received


@pytest.mark.parametrize("kind", ["anthropic-api-key", "anthropic-access-token"])
def test_a_key_of_the_claude_api_is_not_sent_to_another_cloud(listen, kind):
    store = MemoryProvider()
    store.set("token", "sk-ant" + "-api03-" + "Q" * 95)
    echo = listen(REFUSED)
    with (
        broker_over(store, kind=kind, names=("token",)) as broker,
        pytest.raises(CredentialFaultError, match=kind),
    ):
        ask(broker, "foundry", "sync", echo.url)
    assert not echo.received


def test_a_token_that_cannot_stand_in_a_header_never_reaches_the_wire(store, broker, listen):
    store.set("token", OLD + "\n")
    echo = listen(REFUSED)
    with pytest.raises(CredentialFaultError, match="line break"):
        ask(broker, "foundry", "sync", echo.url)
    assert not echo.received


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"platform": "foundri"}, "foundri"),
        ({"platform": "bedrock"}, "bedrock"),
        ({"platform": "foundry"}, "base URL"),
        ({"platform": "foundry", "base_url": "http://example.org"}, "clear text"),
    ],
)
def test_what_cannot_be_used_is_named(broker, options, match):
    with pytest.raises(ConfigError, match=match) as caught:
        cloud_arguments("token", broker=broker, **options)
    assert caught.value.hint


def test_the_configured_url_is_used(broker):
    broker._targets = {
        "token": Target(platform="foundry", base_url="https://r.example.org/anthropic/")
    }
    given = cloud_arguments("token", platform="foundry", broker=broker)
    assert str(given["base_url"]) == "https://r.example.org/anthropic/"
    given["http_client"].close()
