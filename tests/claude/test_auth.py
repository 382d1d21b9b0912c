from __future__ import annotations

import asyncio
import io

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
    assert set(sealed.extensions) == {"timeout", "trace"}
    assert sealed.extensions["timeout"] == {"read": 5}
    assert sealed.headers["host"] == "api.anthropic.com"
    flow.close()


def test_a_header_of_another_name_is_refused(world):
    with pytest.raises(ConfigError, match="x-evil"):
        RotatingAuth("claude", broker=world.broker, header="x-evil")


def test_it_prints_name_and_origin_only(world):
    world.broker.lease("claude")
    auth = RotatingAuth("claude", broker=world.broker)
    assert repr(auth) == "RotatingAuth('claude', base_url='https://api.anthropic.com:443')"


def moved(url: str, status: int = 307) -> bytes:
    return (
        f"HTTP/1.1 {status} Moved\r\nlocation: {url}\r\ncontent-length: 0\r\n"
        "connection: close\r\n\r\n"
    ).encode()


def post(auth: RotatingAuth, url: str, face: str, **options) -> httpx2.Response:
    if face == "sync":
        with httpx2.Client(auth=auth, **options) as client:
            return client.post(url, json={"prompt": "the-prompt-canary"})

    async def go() -> httpx2.Response:
        async with httpx2.AsyncClient(auth=auth, **options) as client:
            return await client.post(url, json={"prompt": "the-prompt-canary"})

    return asyncio.run(go())


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_client_that_follows_redirects_sends_nothing_to_another_origin(
    world, listen, status, header, face
):
    other = listen(OK)
    first = listen(moved(f"{other.url}/v1/messages", status))
    auth = RotatingAuth("claude", broker=world.broker, base_url=first.url, header=header)
    with pytest.raises(OriginError, match="redirected") as caught:
        post(auth, f"{first.url}/v1/messages", face, follow_redirects=True)
    assert "client_arguments" in caught.value.hint
    assert world.a.encode() in first.received[0]
    assert b"".join(other.received) == b""


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_redirect_to_another_path_of_the_same_origin_is_refused_too(world, listen, face):
    first = listen(moved("/elsewhere"))
    auth = RotatingAuth("claude", broker=world.broker, base_url=first.url)
    with pytest.raises(OriginError, match="redirected"):
        post(auth, f"{first.url}/v1/messages", face, follow_redirects=True)
    assert b"elsewhere" not in b"".join(first.received)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_no_request_that_followed_a_redirect_keeps_the_key(world, listen, face):
    """A mock is not httpcore, so it follows; this one answers at the same origin."""
    first = f"{world.stub.url}/v1/messages"

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/messages":
            return httpx2.Response(307, headers={"location": "/elsewhere"})
        return httpx2.Response(200)

    auth = RotatingAuth("claude", broker=world.broker, base_url=first)
    transport = httpx2.MockTransport(answer)
    response = post(auth, first, face, transport=transport, follow_redirects=True)
    requests = [one.request for one in (response, *response.history)]
    assert [one.headers["authorization"] for one in requests] == ["[secretkit]"] * 2


def test_a_trace_of_the_caller_is_not_shown_the_key(world):
    shown: list[object] = []
    auth = RotatingAuth("claude", broker=world.broker, base_url=world.stub.url)
    with httpx2.Client(auth=auth) as client:
        client.get(
            f"{world.stub.url}/v1/models",
            extensions={"trace": lambda event, info: shown.append((event, info))},
            headers={"anthropic-version": "2026-10-21"},
        )
    assert shown == []
    assert world.answers() == [(200, "a")]


class Pipe(io.RawIOBase):
    """A file that can be read once, as a pipe is."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._left.readinto(buffer)


def is_sent_again(world, **body) -> bool:
    world.broker.lease("claude")
    world.rotate("b")
    auth = RotatingAuth("claude", broker=world.broker)
    flow = auth.sync_auth_flow(httpx2.Request("POST", "https://api.anthropic.com/v1/files", **body))
    first = next(flow)
    assert first.headers["authorization"] == f"Bearer {world.a}"
    try:
        second = flow.send(httpx2.Response(401, request=first))
    except StopIteration:
        return False
    assert second.headers["authorization"] == f"Bearer {world.b}"
    flow.close()
    return True


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": b"x"},
        {"content": "x"},
        {"json": {}},
        {"data": {"a": "b"}},
        {"files": {"file": b"data"}},
        {"files": {"file": ("x.txt", "data", "text/plain")}},
        {"files": {"file": io.BytesIO(b"data"), "other": b"data"}, "data": {"a": ["b", "c"]}},
    ],
)
def test_a_body_that_is_the_same_a_second_time_is_sent_again(world, body):
    assert is_sent_again(world, **body)


@pytest.mark.parametrize(
    "body",
    [
        lambda: {"content": iter([b"x"])},
        lambda: {"content": [b"x"]},
        lambda: {"content": io.BytesIO(b"data")},
        lambda: {"files": {"file": Pipe(b"data")}, "data": {"a": "b"}},
        lambda: {"files": [("one", b"data"), ("two", Pipe(b"data"))]},
    ],
)
def test_a_body_that_is_read_once_is_not_sent_again(world, body):
    assert not is_sent_again(world, **body())


def test_a_file_that_was_closed_meanwhile_is_not_sent_again(world):
    file = io.BytesIO(b"data")
    world.broker.lease("claude")
    world.rotate("b")
    auth = RotatingAuth("claude", broker=world.broker)
    url = "https://api.anthropic.com/v1/files"
    flow = auth.sync_auth_flow(httpx2.Request("POST", url, files={"file": file}))
    first = next(flow)
    file.close()
    with pytest.raises(StopIteration):
        flow.send(httpx2.Response(401, request=first))


def test_port_0_is_not_the_default_port(world):
    auth = RotatingAuth("claude", broker=world.broker)
    with pytest.raises(OriginError):
        next(auth.sync_auth_flow(httpx2.Request("GET", "https://api.anthropic.com:0/v1/models")))
