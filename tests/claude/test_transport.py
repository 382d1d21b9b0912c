from __future__ import annotations

import asyncio
import gc
import threading

import httpx2
import pytest

from secretkit.claude import AsyncSealedTransport, RotatingAuth, SealedTransport
from secretkit.claude.network import AsyncPinnedClient, PinnedClient
from secretkit.claude.stream import AsyncSealedStream, SealedStream, stripped
from secretkit.redact.watched import FAILED


def refusal(size: int) -> bytes:
    head = f"HTTP/1.1 401 No\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n"
    return head.encode() + b"x" * size


@pytest.mark.parametrize("size", [0, 1000, 200_000])
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_refusal_of_any_length_is_followed_by_one_more_try(world, listen, size, face):
    server = listen(refusal(size))
    world.broker.lease("claude")
    world.rotate("b")
    auth = RotatingAuth("claude", broker=world.broker, base_url=server.url)
    if face == "sync":
        transport = SealedTransport(httpx2.HTTPTransport(), auth=auth)
        with httpx2.Client(transport=transport) as client:
            response = client.post(f"{server.url}/v1/messages", json={})
    else:

        async def go():
            transport = AsyncSealedTransport(httpx2.AsyncHTTPTransport(), auth=auth)
            async with httpx2.AsyncClient(transport=transport) as client:
                return await client.post(f"{server.url}/v1/messages", json={})

        response = asyncio.run(go())
    assert response.status_code == 401
    assert len(response.content) == size
    assert [world.a.encode() in one for one in server.received] == [True, False]
    assert [world.b.encode() in one for one in server.received] == [False, True]


def test_a_hook_of_the_client_sees_no_key(world):
    seen: list[str] = []
    auth = RotatingAuth("claude", broker=world.broker, base_url=world.stub.url)
    hooks = {
        "request": [lambda request: seen.append(str(request.headers.raw))],
        "response": [lambda response: seen.append(str(response.request.headers.raw))],
    }
    transport = SealedTransport(httpx2.HTTPTransport(), auth=auth)
    with httpx2.Client(transport=transport, event_hooks=hooks) as client:
        headers = {"anthropic-version": "2026-10-21"}
        assert client.get(f"{world.stub.url}/v1/models", headers=headers).status_code == 200
    assert len(seen) == 2
    assert world.a not in "".join(seen)


def test_closing_calls_back_once(world):
    calls: list[int] = []
    auth = RotatingAuth("claude", broker=world.broker, base_url=world.stub.url)
    transport = SealedTransport(httpx2.HTTPTransport(), auth=auth, on_close=lambda: calls.append(1))
    transport.close()
    transport.close()
    assert calls == [1]


def test_a_closed_stream_gives_nothing_more():
    stream = SealedStream(httpx2.ByteStream(b"abc"))
    assert b"".join(stream) == b"abc"
    stream.close()
    stream.close()
    with pytest.raises(httpx2.StreamClosed):
        list(stream)

    async def go():
        stream = AsyncSealedStream(httpx2.ByteStream(b"abc"))
        assert [chunk async for chunk in stream] == [b"abc"]
        await stream.aclose()
        await stream.aclose()
        with pytest.raises(httpx2.StreamClosed):
            [chunk async for chunk in stream]

    asyncio.run(go())


def test_closing_for_asyncio_leaves_the_loop_free(world):
    """The loop lets the end come: were it blocked, on_close would wait in vain."""
    loop_ran = threading.Event()
    waited: list[bool] = []
    auth = RotatingAuth("claude", broker=world.broker, base_url=world.stub.url)

    async def go() -> None:
        transport = AsyncSealedTransport(
            httpx2.AsyncHTTPTransport(),
            auth=auth,
            on_close=lambda: waited.append(loop_ran.wait(5)),
        )
        closing = asyncio.create_task(transport.aclose())
        await asyncio.sleep(0.05)
        loop_ran.set()
        await closing
        await transport.aclose()

    asyncio.run(go())
    assert waited == [True]


@pytest.mark.parametrize(
    ("made", "inner", "client"),
    [
        (SealedTransport, httpx2.HTTPTransport, PinnedClient),
        (AsyncSealedTransport, httpx2.AsyncHTTPTransport, AsyncPinnedClient),
    ],
)
def test_a_forgotten_client_ends_its_broker_without_waiting_for_it(world, made, inner, client):
    collected, ended = threading.Event(), threading.Event()

    def on_close() -> None:
        if collected.wait(5):
            ended.set()

    auth = RotatingAuth("claude", broker=world.broker, base_url=world.stub.url)
    forgotten = client(made(inner(), auth=auth, on_close=on_close))
    del forgotten
    gc.collect()
    collected.set()
    assert ended.wait(5)


def test_an_error_that_cannot_be_redacted_says_so_in_one_word():
    class Hostile(list):
        def __iter__(self):
            raise RuntimeError

    assert stripped(ValueError(Hostile())).args == (FAILED,)
