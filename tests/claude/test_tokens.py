from __future__ import annotations

import asyncio
import threading

import anthropic
import pytest

from secretkit.claude import (
    AsyncTokenProvider,
    CredentialDelayError,
    CredentialFaultError,
    OriginError,
    TokenProvider,
)
from secretkit.errors import ConfigError
from secretkit.testing.memory import denied, unavailable

BODY = {
    "model": "claude-sonnet-5",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "x"}],
}


def test_the_sdk_asks_each_time_and_recovers_from_a_refused_token(token_world):
    world = token_world
    tokens = TokenProvider("claude", broker=world.broker, base_url=world.stub.url)
    with anthropic.Anthropic(credentials=tokens, base_url=world.stub.url) as client:
        client.messages.create(**BODY)
        world.rotate("b", refuse="a")
        client.messages.create(**BODY)
        world.rotate("c")
        world.broker.refresh("claude", seen=2)
        client.messages.create(**BODY)
    assert world.answers() == [(200, "a"), (401, "a"), (200, "b"), (200, "c")]
    assert world.store.fetches == 3


def test_the_asyncio_sdk_does_the_same_without_a_thread(token_world):
    world = token_world

    async def go():
        tokens = AsyncTokenProvider("claude", broker=world.broker, base_url=world.stub.url)
        options = {"credentials": tokens, "base_url": world.stub.url}
        async with anthropic.AsyncAnthropic(**options) as client:
            await client.messages.create(**BODY)
            world.rotate("b", refuse="a")
            await client.messages.create(**BODY)

    asyncio.run(go())
    assert world.answers() == [(200, "a"), (401, "a"), (200, "b")]
    assert world.store.fetches == 2


def test_a_late_refusal_of_an_old_token_does_not_refresh_the_new_one(token_world):
    world = token_world
    tokens = TokenProvider("claude", broker=world.broker)
    tokens()
    world.rotate("b")

    def elsewhere() -> None:
        tokens()
        tokens(force_refresh=True)

    other = threading.Thread(target=elsewhere)
    other.start()
    other.join()
    assert tokens(force_refresh=True).token == world.b
    assert world.store.fetches == 2


def test_a_token_is_asked_for_each_time_and_does_not_print(token_world):
    token = TokenProvider("claude", broker=token_world.aio)()
    assert token.expires_at == 0
    assert token_world.a not in repr(token)
    assert repr(TokenProvider("claude", broker=token_world.broker)) == "TokenProvider('claude')"


@pytest.mark.parametrize("force", [False, True])
def test_permanent_and_passing_faults_are_told_apart(token_world, force):
    world = token_world
    tokens = TokenProvider("claude", broker=world.broker)
    world.store.otherwise = unavailable()
    with pytest.raises(CredentialDelayError) as caught:
        tokens(force_refresh=force)
    assert isinstance(caught.value, anthropic.RetryableError)


def test_a_denial_ends_the_sdks_tries_at_once(token_world):
    world = token_world
    world.store.otherwise = denied()
    tokens = TokenProvider("claude", broker=world.broker, base_url=world.stub.url)
    with (
        anthropic.Anthropic(credentials=tokens, base_url=world.stub.url) as client,
        pytest.raises(CredentialFaultError) as caught,
    ):
        client.messages.create(**BODY)
    assert isinstance(caught.value, anthropic.CredentialsError)
    assert world.store.fetches == 1
    assert world.stub.log == ()


def test_a_secret_of_another_kind_is_no_token(opaque_world):
    with pytest.raises(CredentialFaultError, match="opaque"):
        TokenProvider("claude", broker=opaque_world.broker)()
    with pytest.raises(CredentialFaultError, match="opaque"):
        asyncio.run(AsyncTokenProvider("claude", broker=opaque_world.broker)())


FACES = [(TokenProvider, anthropic.Anthropic), (AsyncTokenProvider, anthropic.AsyncAnthropic)]


@pytest.mark.parametrize(("provider", "client"), FACES)
def test_a_client_of_another_origin_gets_no_token(token_world, provider, client):
    world = token_world
    tokens = provider("claude", broker=world.broker)
    with pytest.raises(OriginError, match="claude") as caught:
        client(credentials=tokens, base_url=world.stub.url)
    assert "ANTHROPIC_BASE_URL" in caught.value.hint
    assert world.store.fetches == 0


@pytest.mark.parametrize(("provider", "client"), FACES)
def test_the_environments_base_url_cannot_take_the_token_elsewhere(
    token_world, monkeypatch, provider, client
):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://evil.example")
    with pytest.raises(OriginError, match="evil"):
        client(credentials=provider("claude", broker=token_world.broker))


@pytest.mark.parametrize(("provider", "client"), FACES)
def test_a_copy_of_the_client_for_another_origin_gets_no_token(token_world, provider, client):
    tokens = provider("claude", broker=token_world.broker)
    made = client(credentials=tokens)
    assert made.with_options(base_url="https://api.anthropic.com:443/v2").credentials is tokens
    for other in ("https://api.anthropic.com:444", "https://evil.example"):
        with pytest.raises(OriginError):
            made.with_options(base_url=other)
    with pytest.raises(ConfigError, match="clear"):
        made.with_options(base_url="http://api.anthropic.com")


@pytest.mark.parametrize("provider", [TokenProvider, AsyncTokenProvider])
def test_a_base_url_that_would_give_the_token_away_is_refused(token_world, provider):
    with pytest.raises(ConfigError, match="clear"):
        provider("claude", broker=token_world.broker, base_url="http://gateway.example")
