"""The server that misbehaves, by a plain socket: what it sends is what its name says."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from certified import Authority
from secretkit.core.message import Reply
from secretkit.testing import FaultServer, fault

GET = b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def server():
    with FaultServer() as one:
        yield one


def place(server) -> tuple[str, int]:
    host, _, port = server.url.partition("://")[2].partition(":")
    return host, int(port)


def said(server, request=GET, *, limit=1 << 30, timeout=10.0) -> bytes:
    """Send ``request``; give what comes until the end, ``limit`` bytes or ``timeout``."""
    got = bytearray()
    with socket.create_connection(place(server), timeout=timeout) as sock:
        sock.sendall(request)
        end = time.monotonic() + timeout
        try:
            while len(got) < limit and (data := sock.recv(65536)):
                got += data
                sock.settimeout(max(0.01, end - time.monotonic()))
        except (TimeoutError, ConnectionResetError):
            pass
    return bytes(got)


def until(happened) -> bool:
    """Wait until something has happened in the server's thread."""
    end = time.monotonic() + 10
    while not happened() and time.monotonic() < end:
        threading.Event().wait(0.01)
    return bool(happened())


def head_and_body(data: bytes) -> tuple[bytes, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


def test_it_answers_well_unless_told_otherwise(server):
    head, body = head_and_body(said(server))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b'{"ok":true}'


def test_it_answers_exactly_what_it_is_given(server):
    server.play(fault.answer(Reply(status=418, headers={"x-a": "b"}, body=b"tea")))
    head, body = head_and_body(said(server))
    assert head.startswith(b"HTTP/1.1 418 ")
    assert b"\r\nx-a: b\r\n" in head
    assert body == b"tea"


@pytest.mark.parametrize("bad", [fault.HANG, fault.DEAF], ids=lambda one: one.name)
def test_it_hangs_and_says_nothing(bad, server):
    server.play(bad)
    assert said(server, timeout=0.3) == b""
    assert server.connections == 1


def test_a_deaf_one_does_not_even_read(server):
    server.play(fault.DEAF)
    said(server, timeout=0.1)
    assert server.requests == []
    with pytest.raises(ValueError, match="path"):
        server.play(fault.DEAF, path="/v1")


def test_it_drips_a_byte_a_second(server):
    server.play(fault.DRIP_HEAD)
    assert said(server, timeout=1.5) == b"HT"
    server.play(fault.DRIP_BODY)
    head, body = head_and_body(said(server, timeout=1.5))
    assert b"content-length: 100" in head
    assert body == b'{"'


@pytest.mark.parametrize(
    ("bad", "least"),
    [(fault.HUGE_HEAD, 10 << 20), (fault.HUGE_BODY, 10 << 20)],
    ids=["head", "body"],
)
def test_huge_is_ten_mebibytes(bad, least, server):
    server.play(bad)
    head, body = head_and_body(said(server))
    assert least * 0.99 < max(len(head), len(body)) < least * 1.01


def test_endless_goes_on(server):
    server.play(fault.ENDLESS_BODY)
    assert len(said(server, limit=20 << 20)) >= 20 << 20


def test_html_is_a_page_and_not_json_is_none(server):
    server.play(fault.HTML)
    head, body = head_and_body(said(server))
    assert b"content-type: text/html" in head
    assert body.startswith(b"<!doctype html>")
    server.play(fault.NOT_JSON)
    assert head_and_body(said(server))[1] == b'{"a":'
    server.play(fault.DUPLICATE_KEYS)
    assert head_and_body(said(server))[1].count(b'"b"') == 2


def test_a_redirect_and_a_status_carry_their_headers(server):
    server.play(fault.redirect("https://elsewhere.invalid/"))
    head, _ = head_and_body(said(server))
    assert head.startswith(b"HTTP/1.1 307 ")
    assert b"\r\nlocation: https://elsewhere.invalid/\r\n" in head
    server.play(fault.status(429, headers={"retry-after": "7"}))
    head, body = head_and_body(said(server))
    assert head.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 7\r\n" in head
    assert body == b"{}"


def test_it_hangs_up(server):
    server.play(fault.CLOSE_EARLY)
    assert said(server) == b""
    server.play(fault.CLOSE_MID_BODY)
    head, body = head_and_body(said(server))
    assert b"content-length: 100" in head
    assert 0 < len(body) < 100


def test_garbage_is_no_http(server):
    server.play(fault.GARBAGE)
    assert not said(server).startswith(b"HTTP")


def test_a_longer_path_comes_before_a_shorter_one(server):
    server.play(fault.status(503))
    server.play(fault.ok(json=b'{"login":1}'), path="/v1/login")
    server.play(fault.status(404), path="/v1")
    for path, code in ((b"/v1/login/x", b"200"), (b"/v1/x", b"404"), (b"/x", b"503")):
        answer = said(server, b"GET " + path + b" HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 " + code)


def test_a_request_is_kept_and_its_values_are_not_printed(server, canary):
    value = canary.reveal()
    request = f"POST /p?q HTTP/1.1\r\nX-Key: {value}\r\nContent-Length: {len(value)}\r\n\r\n{value}"
    said(server, request.encode())
    (seen,) = server.requests
    assert (seen.method, seen.path) == ("POST", "/p?q")
    assert seen.headers["x-key"] == value
    assert seen.body == value.encode()
    assert value not in repr(seen) + repr(server)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nx : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: 1\r\nX: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=range(7),
)
def test_it_is_strict_about_requests(request_, server):
    assert said(server, request_).startswith(b"HTTP/1.1 400 ")
    assert server.requests == []


def test_tls_is_spoken_with_the_context_it_is_given(tmp_path: Path):
    authority = Authority(tmp_path)
    with FaultServer(tls=authority.server()) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(authority.bundle))
        with (
            socket.create_connection(place(server)) as plain,
            trusting.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
        ):
            sock.sendall(GET)
            assert sock.recv(12) == b"HTTP/1.1 200"
        with (
            socket.create_connection(place(server)) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.mark.parametrize("bad", fault.FAULTS, ids=lambda one: one.name)
def test_closing_ends_every_connection_and_thread(bad):
    before = threading.active_count()
    server = FaultServer()
    server.play(bad)
    with socket.create_connection(place(server)) as sock:
        sock.sendall(GET)
        assert until(lambda: server.connections if bad.deaf else server.requests)
        start = time.monotonic()
        server.close()
        server.close()
        assert time.monotonic() - start < 5
    assert threading.active_count() == before


def test_every_fault_has_a_name_of_its_own():
    names = [one.name for one in fault.FAULTS]
    assert len(names) == len(set(names)) > 12
