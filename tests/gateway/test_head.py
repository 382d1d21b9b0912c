"""The head of a request: each is read in one way, or refused."""

import pytest

from secretkit.gateway.head import Head, read_head


def test_a_request_is_read() -> None:
    head = read_head(b"GET /credentials HTTP/1.1\r\nHost: a:1\r\nX-Y:\t b c \r\nContent-Length: 0")
    assert head == Head(
        method="GET",
        path="/credentials",
        headers={"host": "a:1", "x-y": "b c", "content-length": "0"},
    )


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/2", 400),
        (b"GET http://a/ HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nA : b", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\na: c", 400),
        (b"GET / HTTP/1.1\r\nA: b\rC: d", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: identity", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: \xc2\xb2", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 00", 0),
        (b"GET / HTTP/1.1\r\nContent-Length: 1", 413),
        (b"GET / HTTP/1.1" + b"\r\nA: b" * 65, 431),
    ],
)
def test_what_is_refused(data: bytes, status: int) -> None:
    head = read_head(data)
    assert (head if isinstance(head, int) else 0) == status
