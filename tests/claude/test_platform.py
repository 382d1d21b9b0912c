from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import anthropic
import pytest

from claude.amazon_world import REGION, WORKSPACE, amazon_world
from secretkit.claude import async_client_arguments, client_arguments, connect, connect_async
from secretkit.core.target import Target
from secretkit.errors import ConfigError
from secretkit.providers.aws.bearer import open_source
from secretkit.testing import broker_over
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider

MESSAGE = {
    "model": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "x"}],
}
TYPES = {
    "bedrock": (anthropic.AnthropicBedrock, anthropic.AsyncAnthropicBedrock),
    "bedrock-mantle": (anthropic.AnthropicBedrockMantle, anthropic.AsyncAnthropicBedrockMantle),
    "claude-on-aws": (anthropic.AnthropicAWS, anthropic.AsyncAnthropicAWS),
}
HOSTS = {
    "bedrock": "https://bedrock-runtime.us-west-2.amazonaws.com",
    "bedrock-mantle": "https://bedrock-mantle.us-west-2.api.aws/anthropic",
    "claude-on-aws": "https://aws-external-anthropic.us-west-2.api.aws",
}
FACES = ("sync", "async")
platforms = pytest.mark.parametrize("platform", TYPES)
faces = pytest.mark.parametrize("face", FACES)
HOSTILE = {
    "AWS_REGION": "eu-evil-1",
    "AWS_DEFAULT_REGION": "eu-evil-1",
    "AWS_PROFILE": "evil",
    "AWS_ACCESS_KEY_ID": "AKIA" + "E" * 16,
    "AWS_SECRET_ACCESS_KEY": "evil" * 10,
    "AWS_SESSION_TOKEN": "evil" * 10,
    "AWS_BEARER_TOKEN_BEDROCK": "",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "ANTHROPIC_API_KEY": "sk-ant" + "-api03-" + "E" * 95,
    "ANTHROPIC_AUTH_TOKEN": "evil",
    "ANTHROPIC_AWS_API_KEY": "evil",
    "ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_evil",
    "ANTHROPIC_AWS_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_BEDROCK_MANTLE_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Evil: 1\nanthropic-workspace-id: wrkspc_evil",
    "ANTHROPIC_PROFILE": "nobody",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.fixture
def world():
    with amazon_world() as made:
        yield made


def options_of(platform):
    return {"workspace_id": WORKSPACE} if platform == "claude-on-aws" else {}


def made(world, name, face, **options):
    make = connect if face == "sync" else connect_async
    return make(name, broker=world.broker if face == "sync" else world.aio, **options)


def closed(client, face):
    client.close() if face == "sync" else asyncio.run(client.close())


@platforms
@faces
def test_each_platform_has_its_own_client_and_its_regions_own_server(world, platform, face):
    plain = Target(platform=platform, region=REGION, workspace_id=WORKSPACE)
    with amazon_world(clock=world.clock, targets={"bedrock": plain}) as bare:
        client = made(bare, "bedrock", face, platform=platform)
    assert isinstance(client, TYPES[platform][FACES.index(face)])
    assert str(client.base_url).rstrip("/") == HOSTS[platform]
    assert client.aws_region == REGION
    assert client.max_retries == anthropic.DEFAULT_MAX_RETRIES
    assert client.timeout == anthropic.DEFAULT_TIMEOUT
    assert client.aws_secret_key is client.aws_session_token is client.aws_profile is None
    if platform == "claude-on-aws":
        assert client.workspace_id == WORKSPACE
    closed(client, face)


def test_region_workspace_and_url_are_the_configured_ones_unless_named(world):
    with connect("bedrock", platform="bedrock", broker=world.broker) as client:
        assert str(client.base_url).rstrip("/") == world.aws.url()
        client.messages.create(**MESSAGE)
    with connect(
        "bedrock",
        platform="bedrock",
        region="us-east-1",
        base_url=world.aws.url("us-east-1"),
        broker=world.broker,
    ) as client:
        client.messages.create(**MESSAGE)
    assert [call.region for call in world.aws.calls] == [REGION, "us-east-1"]
    assert {call.status for call in world.aws.calls} == {200}


def test_another_regions_url_is_not_taken_over(world):
    options = {"platform": "bedrock", "region": "us-east-1", "broker": world.broker}
    with connect("bedrock", **options) as client:
        assert str(client.base_url) == HOSTS["bedrock"].replace(REGION, "us-east-1")


def test_another_platforms_url_is_not_taken_over(world):
    with connect("bedrock", platform="bedrock-mantle", broker=world.broker) as client:
        assert str(client.base_url).rstrip("/") == HOSTS["bedrock-mantle"]


@platforms
@faces
def test_a_hostile_environment_changes_nothing(world, monkeypatch, platform, face):
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    options = {"platform": platform, "base_url": world.urls()[platform], **options_of(platform)}
    client = made(world, "bedrock", face, max_retries=0, **options)
    copied = client.with_options(timeout=5)
    assert "evil" not in repr((client.default_headers, copied.default_headers)).lower()

    async def go():
        for one in (client, copied):
            await one.messages.create(**MESSAGE)
            async with one.messages.stream(**MESSAGE) as stream:
                assert await stream.get_final_text() == world.aws.claude.reply
        await client.close()

    if face == "async":
        asyncio.run(go())
    else:
        for one in (client, copied):
            one.messages.create(**MESSAGE)
            with one.messages.stream(**MESSAGE) as stream:
                assert stream.get_final_text() == world.aws.claude.reply
        client.close()
    assert world.answers() == [(200, "")] * 4
    assert client.webhook_key is copied.webhook_key is None


@platforms
def test_without_a_url_it_is_the_regions_server_whatever_the_environment_says(
    world, monkeypatch, platform
):
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    plain = Target(platform=platform, region=REGION, workspace_id=WORKSPACE)
    with (
        amazon_world(clock=world.clock, targets={"bedrock": plain}) as bare,
        connect("bedrock", platform=platform, broker=bare.broker) as client,
    ):
        assert str(client.base_url).rstrip("/") == HOSTS[platform]
        assert client.aws_region == REGION


@platforms
def test_no_secret_is_left_in_the_sdks_cache_of_sessions(world, platform):
    from anthropic.lib.aws._auth import _get_session

    before = _get_session.cache_info()
    options = {"base_url": world.urls()[platform], **options_of(platform)}
    with connect("bedrock", platform=platform, broker=world.broker, **options) as client:
        client.messages.create(**MESSAGE)
    assert _get_session.cache_info() == before


@platforms
@faces
@pytest.mark.parametrize("method", ["copy", "with_options"])
def test_a_copy_for_another_region_is_refused_and_told_how(world, platform, face, method):
    options = {"platform": platform, **options_of(platform)}
    client = made(world, "bedrock", face, **options)
    with pytest.raises(TypeError, match=r"one region; make another with connect\("):
        getattr(client, method)(aws_region="us-east-1")
    closed(client, face)


@platforms
@pytest.mark.parametrize(
    "option",
    [
        "api_key",
        "aws_access_key",
        "aws_secret_key",
        "aws_session_token",
        "aws_profile",
        "skip_auth",
    ],
)
def test_a_credential_past_the_broker_is_refused_in_a_copy_and_at_first(world, platform, option):
    options = {"platform": platform, "broker": world.broker, **options_of(platform)}
    with pytest.raises(TypeError, match=option):
        connect("bedrock", **options, **{option: "x"})
    with connect("bedrock", **options) as client, pytest.raises(TypeError, match=option):
        client.with_options(**{option: "x"})


@pytest.mark.parametrize("header", ["X-Amz-Security-Token", "authorization", "X-AMZ-Date"])
def test_a_default_header_that_would_stand_for_a_credential_is_refused(world, header):
    with pytest.raises(TypeError, match=header):
        connect(
            "bedrock", platform="bedrock", broker=world.broker, default_headers={header: "theirs"}
        )


@faces
def test_a_credential_for_aws_needs_the_platform_to_be_said(world, face):
    """The type of the client is in the code, and does not change with the configuration."""
    with pytest.raises(ConfigError, match="bedrock") as caught:
        made(world, "bedrock", face)
    assert caught.value.hint == "connect('bedrock', platform='bedrock')"
    arguments = client_arguments if face == "sync" else async_client_arguments
    with pytest.raises(ConfigError, match="bedrock"):
        arguments("bedrock", broker=world.broker)


@faces
def test_a_credential_of_another_platform_than_aws_is_refused(world, face):
    targets = {"bedrock": Target(platform="vertex", region="us-east5")}
    with (
        amazon_world(clock=world.clock, targets=targets) as other,
        pytest.raises(ConfigError, match="vertex"),
    ):
        made(other, "bedrock", face, platform="bedrock", region=REGION)


@faces
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"platform": "bedrok"}, "bedrok"),
        ({"platform": "vertex"}, "vertex"),
        ({"platform": "foundry"}, "foundry"),
        ({"region": REGION}, "no regions"),
        ({"workspace_id": WORKSPACE}, "no regions"),
        ({"platform": "bedrock", "workspace_id": WORKSPACE}, "workspaces"),
        ({"platform": "bedrock", "header": "x-api-key"}, "x-api-key"),
        ({"platform": "bedrock", "region": "us-west-2.evil.example/"}, "region"),
        ({"platform": "bedrock", "region": "US-WEST-2"}, "region"),
        ({"platform": "claude-on-aws", "workspace_id": "a\nb"}, "workspace"),
        ({"platform": "bedrock", "base_url": "http://evil.example"}, "clear text"),
        ({"platform": "bedrock", "base_url": "https://u:p@example.org"}, "user name"),
        ({"platform": "bedrock", "proxy": "ftp://x"}, "proxy"),
    ],
)
def test_what_cannot_be_used_is_named(world, face, options, match):
    with pytest.raises(ConfigError, match=match) as caught:
        made(world, "bedrock", face, **options)
    assert caught.value.hint


@platforms
def test_what_the_configuration_does_not_say_must_be_said(world, platform):
    with amazon_world(clock=world.clock, targets={"bedrock": Target(platform=platform)}) as bare:
        with pytest.raises(ConfigError, match="AWS region") as caught:
            connect("bedrock", platform=platform, broker=bare.broker)
        assert "[credentials.bedrock]" in caught.value.hint
        if platform == "claude-on-aws":
            with pytest.raises(ConfigError, match="workspace"):
                connect("bedrock", platform=platform, region=REGION, broker=bare.broker)


def test_an_unknown_name_is_refused_at_once(world):
    with pytest.raises(ConfigError, match="bedrok"):
        connect("bedrok", platform="bedrock", broker=world.broker)


@faces
def test_a_client_that_cannot_be_made_closes_what_it_opened(world, face):
    with pytest.raises(TypeError, match="not_an_option"):
        made(world, "bedrock", face, platform="bedrock", not_an_option=1)


def test_the_configured_url_of_a_direct_credential_is_used():
    store = MemoryProvider()
    store.set("claude", "sk-ant" + "-api03-" + "Q" * 95)
    with broker_over(store) as broker:
        broker._targets = {"claude": Target(base_url="http://127.0.0.1:9")}
        with connect(broker=broker) as client:
            assert str(client.base_url).rstrip("/") == "http://127.0.0.1:9"
        with connect(broker=broker, base_url="http://127.0.0.1:8") as client:
            assert str(client.base_url).rstrip("/") == "http://127.0.0.1:8"


def bearers(world):
    context = provider_context(clock=world.clock, credentials={"base": world.sessions})
    table = {"base": "base", "region": REGION}
    return {"bearer": open_source(table, ref="bedrock-token:bearer", context=context)}


def a_minute_later(world):
    """Move the clock once no renewal is under way: it would be written off as overdue."""
    for _ in range(1000):
        if all(thread.name != "secretkit-fetch" for thread in threading.enumerate()):
            break
        threading.Event().wait(0.01)
    world.clock.advance(timedelta(minutes=1))


@pytest.mark.parametrize("platform", ["bedrock", "bedrock-mantle"])
@faces
def test_a_short_term_key_is_the_bearer_of_every_request_for_twenty_minutes(platform, face):
    targets = {"bearer": Target(platform=platform, region=REGION)}
    with amazon_world(sources=bearers, targets=targets) as world:
        options = {"platform": platform, "base_url": world.urls()[platform], "max_retries": 0}
        client = made(world, "bearer", face, **options)

        async def go():
            for _ in range(21):
                await client.messages.create(**MESSAGE)
                async with client.messages.stream(**MESSAGE) as stream:
                    await stream.get_final_text()
                a_minute_later(world)
            await client.close()

        if face == "async":
            asyncio.run(go())
        else:
            for _ in range(21):
                client.messages.create(**MESSAGE)
                with client.messages.stream(**MESSAGE) as stream:
                    stream.get_final_text()
                a_minute_later(world)
            client.close()
        assert world.answers() == [(200, "")] * 42
        assert 2 <= len(world.sessions.begun) <= 4


@faces
def test_a_short_term_key_whose_session_was_ended_is_replaced_once(face):
    targets = {"bearer": Target(platform="bedrock", region=REGION)}
    with amazon_world(sources=bearers, targets=targets) as world:
        options = {"platform": "bedrock", "base_url": world.aws.url(), "max_retries": 0}
        world.broker.lease("bearer")
        world.aws.accounts.expire(world.sessions.begun[0].credentials.access_key_id)
        client = made(world, "bearer", face, **options)

        async def go():
            await client.messages.create(**MESSAGE)
            await client.close()

        if face == "async":
            asyncio.run(go())
        else:
            client.messages.create(**MESSAGE)
            client.close()
        assert world.answers() == [(403, "ExpiredTokenException"), (200, "")]
        assert len(world.sessions.begun) == 2
