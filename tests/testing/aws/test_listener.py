"""The endpoint itself: sockets, streams and its end."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest

from secretkit.testing.aws.listener import Listener
from secretkit.testing.aws.message import Answer

PATIENCE = timedelta(minutes=10)


@contextmanager
def listening(answer, *, pace=timedelta()):
    seen = []

    def exchange(request):
        seen.append(request)
        return answer

    listener = Listener("us-east-1", port=0, exchange=exchange, pace=pace)
    listener.start()
    try:
        yield listener, seen
    finally:
        if not listener.stopping.is_set():
            listener.stop()


@contextmanager
def connected(listener):
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=5)
    try:
        yield connection
    finally:
        connection.close()


def test_path_query_and_doubled_headers_come_as_they_were_sent():
    with listening(Answer(body=b"ok")) as (listener, seen), connected(listener) as connection:
        connection.putrequest("POST", "/a%3Ab/../c?x=%2f&y")
        connection.putheader("X-A", "1")
        connection.putheader("X-A", "2")
        connection.putheader("content-length", "2")
        connection.endheaders(b"hi")
        assert connection.getresponse().read() == b"ok"
    (request,) = seen
    assert (request.path, request.query, request.body) == ("/a%3Ab/../c", "x=%2f&y", b"hi")
    assert [value for name, value in request.headers if name == "x-a"] == ["1", "2"]
    assert "hi" not in repr(request)


def test_one_connection_serves_many_requests():
    with listening(Answer(body=b"ok")) as (listener, seen), connected(listener) as connection:
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"ok"
    assert len(seen) == 3


def test_pieces_arrive_one_by_one():
    answer = Answer(pieces=(b"first", b"second"))
    with listening(answer) as (listener, _), connected(listener) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"firstsecond"


def test_stopping_ends_a_paused_stream_and_every_thread():
    before = threading.active_count()
    streamed = Answer(pieces=(b"first", b"second"))
    with (
        listening(streamed, pace=PATIENCE) as (listener, _),
        connected(listener) as connection,
        connected(listener) as idle,
    ):
        idle.connect()
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.read(5) == b"first"
        listener.stop()
        with pytest.raises((http.client.HTTPException, OSError)):
            answer.read()
        answer.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("length", ["x", "-1", str(9 << 20)])
def test_a_body_without_a_fit_length_is_refused(length):
    head = f"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n"
    with (
        listening(Answer()) as (listener, seen),
        socket.create_connection(("127.0.0.1", listener.port), timeout=5) as raw,
    ):
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 411 ")
    assert seen == []
