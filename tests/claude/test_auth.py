from __future__ import annotations

import asyncio

import anthropic
import httpx2
import pytest

from secretkit.claude import OriginError, RotatingAuth
from secretkit.errors import ConfigError

BODY = {
    "model": "claude-sonnet-5",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "x"}],
}


def test_it_is_an_ordinary_auth_for_an_sdk_client_of_your_own(world):
    auth = RotatingAuth("claude", broker=world.broker, base_url=world.stub.url)
    http_client = anthropic.DefaultHttpxClient(auth=auth, follow_redirects=False)
    arguments = {"api_key": "unused", "base_url": world.stub.url, "max_retries": 0}
    with anthropic.Anthropic(http_client=http_client, **arguments) as client:
        client.messages.create(**BODY)
        world.rotate("b", refuse="a")
        raw = client.messages.with_raw_response.create(**BODY)
        world.stub.keys.refuse("b")
        with pytest.raises(anthropic.AuthenticationError) as caught:
            client.messages.create(**BODY)
    assert world.answers() == [(200, "a"), (401, "a"), (200, "b"), (401, "b")]
    for response in (raw.http_response, *raw.http_response.history, caught.value.response):
        assert response.request.headers["authorization"] == "[secretkit]"
    assert len(raw.http_response.history) == 1


def test_it_works_in_an_asyncio_client_and_a_stream(world):
    auth = RotatingAuth("claude", broker=world.aio, base_url=world.stub.url)

    async def go():
        async with httpx2.AsyncClient(auth=auth, base_url=world.stub.url) as client:
            headers = {"anthropic-version": "2026-10-21"}
            await client.post("/v1/messages", json=BODY, headers=headers)
            world.rotate("b", refuse="a")
            asked = {"json": BODY | {"stream": True}, "headers": headers}
            async with client.stream("POST", "/v1/messages", **asked) as response:
                chunks = [chunk async for chunk in response.aiter_bytes()]
            return response, b"".join(chunks)

    response, text = asyncio.run(go())
    assert response.status_code == 200
    assert b"message_stop" in text
    assert response.request.headers["authorization"] == "[secretkit]"
    assert world.answers() == [(200, "a"), (401, "a"), (200, "b")]


def test_a_failed_connection_masks_the_request_it_holds(world):
    auth = RotatingAuth("claude", broker=world.broker, base_url=world.stub.url)
    world.stub.down()
    with (
        httpx2.Client(auth=auth, base_url=world.stub.url) as client,
        pytest.raises(httpx2.ConnectError) as caught,
    ):
        client.get("/v1/models")
    assert caught.value.request.headers["authorization"] == "[secretkit]"


def test_the_request_to_follow_a_redirect_is_not_kept(world, listen):
    first = listen(
        b"HTTP/1.1 307 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n"
        b"connection: close\r\n\r\n"
    )
    auth = RotatingAuth("claude", broker=world.broker, base_url=first.url)
    with httpx2.Client(auth=auth, base_url=first.url) as client:
        response = client.get("/v1/models")
    assert response.status_code == 307
    assert response.next_request is None


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com.evil.example/",
        "https://api.anthropic.com:444/",
        "http://api.anthropic.com/",
        "https://api.anthropic.com./",
        "https://evil.example/",
        "https://api.anthropic.com@evil.example/",
        "https://[::1]/",
    ],
)
def test_only_the_same_scheme_host_and_port_get_the_credential(world, url):
    auth = RotatingAuth("claude", broker=world.broker)
    request = httpx2.Request("POST", url)
    with pytest.raises(OriginError, match="claude"):
        next(auth.sync_auth_flow(request))
    assert "authorization" not in request.headers
    assert world.store.fetches == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com/v1/x",
        "https://API.anthropic.com:443/",
        "HTTPS://api.anthropic.com",
    ],
)
def test_other_spellings_of_the_same_origin_are_the_same(world, url):
    auth = RotatingAuth("claude", broker=world.broker)
    request = httpx2.Request("POST", url, headers={"x-api-key": "theirs", "cookie": "c"})
    flow = auth.sync_auth_flow(request)
    sealed = next(flow)
    assert sealed.headers["authorization"] == f"Bearer {world.a}"
    assert "x-api-key" not in sealed.headers
    assert request.headers["x-api-key"] == "theirs"
    flow.close()
    assert sealed.headers["authorization"] == "[secretkit]"


def test_the_name_and_target_of_the_connection_cannot_be_bent(world):
    auth = RotatingAuth("claude", broker=world.broker)
    bent = {"sni_hostname": "evil.example", "target": b"http://evil/", "timeout": {"read": 5}}
    request = httpx2.Request("GET", "https://api.anthropic.com/v1/models", extensions=bent)
    request.headers["host"] = "evil.example"
    flow = auth.sync_auth_flow(request)
    sealed = next(flow)
    assert sealed.extensions == {"timeout": {"read": 5}}
    assert sealed.headers["host"] == "api.anthropic.com"
    flow.close()


def test_a_header_of_another_name_is_refused(world):
    with pytest.raises(ConfigError, match="x-evil"):
        RotatingAuth("claude", broker=world.broker, header="x-evil")


def test_it_prints_name_and_origin_only(world):
    world.broker.lease("claude")
    auth = RotatingAuth("claude", broker=world.broker)
    assert repr(auth) == "RotatingAuth('claude', base_url='https://api.anthropic.com:443')"
