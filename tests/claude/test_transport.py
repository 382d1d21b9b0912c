from __future__ import annotations

import asyncio

import httpx2
import pytest

from secretkit.claude import AsyncSealedTransport, RotatingAuth, SealedTransport
from secretkit.claude.stream import AsyncSealedStream, SealedStream


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
