"""The transport against a server that does everything wrong."""

from __future__ import annotations

import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certified import Authority
from secretkit.broker import SystemClock
from secretkit.core.message import Reply, Request
from secretkit.core.secret import Secret
from secretkit.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from secretkit.testing import fault
from secretkit.testing.trace import assert_no_trace
from secretkit.wire import HttpTransport

LONG = timedelta(seconds=30)
SHORT = timedelta(seconds=1.2)
LATE = {"deaf", "hang", "drip-head", "drip-body"}
BROKEN = {
    "huge-head": "larger than",
    "huge-body": "larger than",
    "endless-body": "larger than",
    "close-early": "ended the connection",
    "close-mid-body": "ended the connection",
    "garbage": "is no HTTP",
}
STATUS = {"redirect": 307, "status-429": 429, "status-503": 503}


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(params=["http", "https"])
def server(request, authority):
    with fault.FaultServer(tls=authority.server() if request.param == "https" else None) as one:
        yield one


@pytest.fixture
def transport(authority) -> HttpTransport:
    return HttpTransport(clock=SystemClock(), ca_bundle=str(authority.bundle))


def asked(server, canary=None, *, path="/v1/x") -> Request:
    headers = {} if canary is None else {"Authorization": canary, "x-plain": "a b"}
    body = b"" if canary is None else canary
    return Request(method="POST", url=server.url + path, headers=headers, body=body)


def refused(transport, request, *, timeout=LONG) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        transport.send(request, ref="vault:x", timeout=timeout)
    assert caught.value.ref == "vault:x"
    assert caught.value.hint
    assert str(caught.value).startswith("vault:x: ")
    return caught.value


def outcome(transport, request, *, timeout) -> Reply | ProviderError:
    try:
        return transport.send(request, ref="vault:x", timeout=timeout)
    except ProviderError as error:
        return error


def sockets() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for one in Path("/proc/self/fd").iterdir():
        try:
            target = str(one.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counts sockets in /proc")
@pytest.mark.parametrize("bad", fault.FAULTS, ids=lambda one: one.name)
def test_every_fault_ends_in_time_with_its_error_and_leaves_nothing_behind(
    bad, server, transport, canary
):
    server.play(bad)
    before, threads = sockets(), threading.active_count()
    start = time.monotonic()
    answer = outcome(transport, asked(server, canary), timeout=SHORT)
    assert time.monotonic() - start < SHORT.total_seconds() + 0.5

    if isinstance(answer, Reply):
        assert bad.name not in LATE | BROKEN.keys()
        assert answer.status == STATUS.get(bad.name, 200)
    elif bad.name in LATE:
        assert isinstance(answer, ProviderTimeoutError)
    else:
        assert type(answer) is ProviderError
        assert BROKEN[bad.name] in str(answer)
    if isinstance(answer, ProviderError):
        assert_no_trace(answer, canary.reveal())
        assert answer.__cause__ is answer.__context__ is None
        assert answer.ref == "vault:x"
        assert answer.hint
    assert server.connections == 1
    server.close()
    assert sockets() <= before
    assert threading.active_count() < threads  # the server's own thread has gone, and no new one


def test_a_request_arrives_as_it_was_given(server, transport, canary):
    reply = transport.send(asked(server, canary, path="/a%2Fb?c=%3A"), ref="r", timeout=LONG)
    (seen,) = server.requests
    assert (seen.method, seen.path) == ("POST", "/a%2Fb?c=%3A")
    assert seen.headers["authorization"] == canary.reveal()
    assert seen.headers["x-plain"] == "a b"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["connection"] == "close"
    assert f"{server.url.partition('://')[0]}://{seen.headers['host']}" == server.url
    assert seen.body == canary.reveal().encode()
    assert reply.status == 200
    assert reply.body == b'{"ok":true}'


def test_a_get_has_no_body_and_no_length(server, transport):
    transport.send(Request(method="GET", url=server.url), ref="r", timeout=LONG)
    (seen,) = server.requests
    assert seen.path == "/"
    assert "content-length" not in seen.headers


def test_a_header_given_twice_is_joined_and_names_are_in_lower_case(server, transport):
    server.play(fault.answer(Reply(status=204, headers={"X-A": "1\r\nx-a: 2", "X-B": "3"})))
    reply = transport.send(asked(server), ref="r", timeout=LONG)
    assert reply.headers["x-a"] == "1, 2"
    assert reply.headers["x-b"] == "3"


def test_a_whole_body_of_one_mebibyte_passes_and_a_byte_more_does_not(server, transport):
    server.play(fault.answer(Reply(status=200, body=b"x" * 1024 * 1024)))
    assert len(transport.send(asked(server), ref="r", timeout=LONG).body) == 1024 * 1024
    server.play(fault.answer(Reply(status=200, body=b"x" * (1024 * 1024 + 1))))
    assert "larger than" in str(refused(transport, asked(server)))


def test_a_head_of_some_kilobytes_passes(server, transport):
    headers = {f"x-{at}": "y" * 1000 for at in range(50)}
    server.play(fault.answer(Reply(status=200, headers=headers)))
    assert len(transport.send(asked(server), ref="r", timeout=LONG).headers) == 52


def test_a_chunked_body_is_put_together(server, transport):
    data = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )
    server.play(fault.Fault(name="chunked", answer=lambda peer: peer.send(data)))
    assert transport.send(asked(server), ref="r", timeout=LONG).body == b"abcde"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\nx: y\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 65600 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 101 + b"\r\n",
        b"220 smtp ready\r\n",
    ],
    ids=["chunk", "negative chunk", "status", "version", "colon", "line", "headers", "smtp"],
)
def test_what_is_almost_http_is_a_provider_error(data, server, transport):
    server.play(fault.Fault(name="almost", answer=lambda peer: peer.send(data)))
    assert type(refused(transport, asked(server))) is ProviderError


@pytest.mark.skipif(sys.platform != "linux", reason="others drop what came before a reset")
def test_an_answer_that_comes_before_the_request_was_read_is_given(transport):
    data = b"HTTP/1.1 413 -\r\nContent-Length: 2\r\n\r\n{}"
    early = fault.Fault(name="early", answer=lambda peer: peer.send(data), deaf=True)
    with fault.FaultServer() as server:
        server.play(early)
        request = Request(method="POST", url=server.url, body=b"x" * 50_000_000)
        assert transport.send(request, ref="r", timeout=LONG).status == 413


def test_a_redirect_is_given_back_and_not_followed(server, transport, canary):
    with fault.FaultServer() as elsewhere:
        server.play(fault.redirect(elsewhere.url + "/"))
        reply = transport.send(asked(server, canary), ref="r", timeout=LONG)
        assert reply.status == 307
        assert reply.headers["location"] == elsewhere.url + "/"
        assert elsewhere.connections == 0


def test_no_time_left_is_a_timeout_before_anything_is_sent(server, transport):
    error = refused(transport, asked(server), timeout=timedelta())
    assert isinstance(error, ProviderTimeoutError)
    assert server.requests == []


def test_a_proxy_and_files_from_the_environment_change_nothing(server, transport, monkeypatch):
    with fault.FaultServer() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
        assert transport.send(asked(server), ref="r", timeout=LONG).status == 200
        assert proxy.connections == 0


def test_no_key_log_is_written(authority, tmp_path, monkeypatch):
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    transport = HttpTransport(clock=SystemClock(), ca_bundle=str(authority.bundle))
    with fault.FaultServer(tls=authority.server()) as server:
        transport.send(asked(server), ref="r", timeout=LONG)
    assert not log.exists()


def test_an_authority_from_the_environment_is_not_trusted(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with fault.FaultServer(tls=authority.server()) as server:
        error = refused(HttpTransport(clock=SystemClock()), asked(server))
    assert isinstance(error, ProviderUnavailableError)
    assert "not trusted" in str(error)
    assert "ca_bundle" in error.hint


def test_a_certificate_of_another_authority_is_not_trusted(stranger, transport, canary):
    with fault.FaultServer(tls=stranger.server()) as server:
        error = refused(transport, asked(server, canary))
        assert server.requests == []
    assert isinstance(error, ProviderUnavailableError)
    assert "not trusted" in str(error)
    assert_no_trace(error, canary.reveal())


def test_a_certificate_for_another_name_is_not_trusted(authority, transport):
    with fault.FaultServer(tls=authority.server("store.example")) as server:
        error = refused(transport, asked(server))
    assert isinstance(error, ProviderUnavailableError)
    assert "for another name" in str(error)


def test_a_certificate_that_ended_is_said_so(authority, transport):
    with fault.FaultServer(tls=authority.expired()) as server:
        error = refused(transport, asked(server))
    assert isinstance(error, ProviderUnavailableError)
    assert "expired" in str(error)
    assert "clock" in error.hint


def test_a_server_that_speaks_no_tls_is_said_so(transport):
    with fault.FaultServer() as server:
        url = server.url.replace("http:", "https:")
        error = refused(transport, Request(method="GET", url=url))
    assert isinstance(error, ProviderUnavailableError)
    assert "TLS" in str(error)


def test_a_client_certificate_is_shown_and_a_renewed_one_needs_no_restart(
    authority, stranger, transport
):
    certificate, key = authority.client("host-1.example")
    known = HttpTransport(
        clock=SystemClock(),
        ca_bundle=str(authority.bundle),
        certificate=certificate,
        private_key_file=key,
    )
    with fault.FaultServer(tls=authority.server(clients=authority)) as server:
        assert known.send(asked(server), ref="r", timeout=LONG).status == 200
        assert "client certificate" in refused(transport, asked(server)).hint
    Path(key).write_text("not a key")
    with fault.FaultServer(tls=authority.server(clients=authority)) as server:
        error = refused(known, asked(server))
        assert isinstance(error, ProviderUnavailableError)
        assert certificate in str(error)
        assert server.connections == 0
        authority.client("host-1.example")
        assert known.send(asked(server), ref="r", timeout=LONG).status == 200


def test_a_bundle_that_is_none_is_named(tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("nothing")
    for path in (bundle, tmp_path / "missing.pem"):
        transport = HttpTransport(clock=SystemClock(), ca_bundle=str(path))
        error = refused(transport, Request(method="GET", url="https://127.0.0.1:1/"))
        assert isinstance(error, ProviderUnavailableError)
        assert str(path) in str(error)


def test_a_port_where_nobody_listens_refuses(transport):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        error = refused(transport, Request(method="GET", url=url))
    assert isinstance(error, ProviderUnavailableError)
    assert "refuses" in str(error)


def test_a_name_that_nobody_has_is_unavailable(transport):
    error = refused(transport, Request(method="GET", url="https://store.invalid/"))
    assert isinstance(error, ProviderUnavailableError)
    assert "store.invalid" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "http://store.example/",
        "http://10.0.0.1/",
        "unix:///run/agent.sock",
        "ftp://127.0.0.1/",
        "https://user:word@store.example/",
        "https:///x",
        "https://127.0.0.1:0/",
        "https://127.0.0.1/a b",
        "https://127.0.0.1/\r\nx: y",
        "https://127.0.0.1/#x",
    ],
)
def test_an_address_that_is_not_allowed_is_refused_before_anything_is_sent(url, transport):
    assert isinstance(refused(transport, Request(method="GET", url=url)), ProviderUnavailableError)


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\ny: b"},
        {"x": "a\nb"},
        {"x": "a\0b"},
        {"x": "ä"},
        {"x y": "a"},
        {"": "a"},
        {"x:y": "a"},
        {"Content-Length": "5"},
        {"transfer-encoding": "chunked"},
        {"host": "elsewhere"},
        {"X-A": "1", "x-a": "2"},
    ],
    ids=lambda headers: repr(sorted(headers)),
)
def test_a_header_that_cannot_be_sent_is_refused_before_anything_is_sent(
    headers, server, transport
):
    request = Request(method="GET", url=server.url, headers=headers)
    assert isinstance(refused(transport, request), ProviderUnavailableError)
    assert server.connections == 0


def test_a_secret_with_a_line_end_is_refused_and_not_shown(server, transport, canary):
    request = Request(
        method="GET", url=server.url, headers={"x": Secret(canary.reveal() + "\r\nx: y")}
    )
    error = refused(transport, request)
    assert "header x" in str(error)
    assert_no_trace(error, canary.reveal())


@pytest.mark.parametrize("method", ["get", "GET / HTTP/1.1\r\n", "", "G T"])
def test_a_method_that_is_none_is_refused(method, server, transport):
    request = Request(method=method, url=server.url)
    assert isinstance(refused(transport, request), ProviderUnavailableError)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_bytes_come_back_there_is_a_reply_or_a_provider_error(data):
    good = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    bad = good[:start] + data.draw(st.binary(max_size=30)) + good[end:]
    with fault.FaultServer() as server:
        server.play(fault.Fault(name="drawn", answer=lambda peer: peer.send(bad)))
        answer = outcome(HttpTransport(clock=SystemClock()), asked(server), timeout=LONG)
    assert type(answer) in {Reply, ProviderError}


def test_many_threads_share_one_transport(server, transport):
    def one(number: int) -> bytes:
        return transport.send(asked(server, path=f"/{number}"), ref="r", timeout=LONG).body

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(40))) == {b'{"ok":true}'}
    assert {seen.path for seen in server.requests} == {f"/{number}" for number in range(40)}
