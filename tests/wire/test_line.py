"""A connection on which every wait ends at one deadline."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta

import pytest

from secretkit.testing import FakeClock
from secretkit.wire.address import read_address
from secretkit.wire.line import Deadline, Line, TooLargeError, _connected, connect


def deadline(seconds=10.0) -> Deadline:
    return Deadline(time.monotonic, seconds=seconds)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_is_left_shrinks_and_is_never_zero():
    clock = FakeClock()
    end = Deadline(clock.monotonic, seconds=2.0)
    assert end.left() == 2.0
    clock.advance(timedelta(seconds=1.5))
    assert end.left() == 0.5
    clock.advance(timedelta(seconds=0.5))
    with pytest.raises(TimeoutError):
        end.left()


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_deadline_that_has_passed_is_a_timeout_at_once(seconds, pair):
    with pytest.raises(TimeoutError):
        Line(pair[0], deadline=deadline(seconds)).send(b"x")
    pair[0].close()
    assert pair[1].recv(1) == b""


def test_a_peer_that_reads_nothing_does_not_hold_up_a_send(pair):
    line = Line(pair[0], deadline=deadline(0.3))
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        line.send(b"x" * 50_000_000)
    assert time.monotonic() - start < 1


def test_a_peer_that_reads_a_little_at_a_time_does_not_either(pair):
    done = threading.Event()

    def sip() -> None:
        while not done.wait(0.05) and pair[1].recv(100_000):
            pass

    thread = threading.Thread(target=sip)
    thread.start()
    start = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            Line(pair[0], deadline=deadline(0.5)).send(b"x" * 100_000_000)
        assert time.monotonic() - start < 1.5
    finally:
        done.set()
        thread.join()


def test_as_much_is_received_as_is_allowed(pair):
    line = Line(pair[0], deadline=deadline())
    line.allow(5)
    pair[1].sendall(b"12345")
    with line.makefile() as stream:
        assert stream.read(5) == b"12345"
        pair[1].sendall(b"6")
        with pytest.raises(TooLargeError):
            stream.read(1)


def test_the_end_of_the_stream_is_no_bytes(pair):
    line = Line(pair[0], deadline=deadline())
    line.allow(5)
    pair[1].close()
    with line.makefile() as stream:
        assert stream.read() == b""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_it_connects_by_name_and_by_number(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://{host}:{server.getsockname()[1]}/"
        line = connect(read_address(url), context=None, deadline=deadline())
        line.send(b"abc")
        line.close()
        line.close()
        peer, _ = server.accept()
        with peer:
            assert peer.recv(10) == b"abc"


def places(*ports: int) -> list[tuple]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]


def test_the_next_address_of_a_name_is_tried():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = closed.getsockname()[1], server.getsockname()[1]
        with _connected(places(*ports), deadline()) as sock:
            assert sock.getpeername()[1] == ports[1]


def test_the_last_address_says_why_none_was_reached():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            _connected(places(port, port), deadline())
    with pytest.raises(socket.gaierror):
        _connected([], deadline())


def test_a_server_that_accepts_nobody_takes_its_share_of_the_time_and_no_more():
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for one in (first, second):  # they fill the queue: nobody accepts
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            connect(read_address(url), context=None, deadline=deadline(0.3))
        assert time.monotonic() - start < 1
        with socket.create_server(("127.0.0.1", 0)) as other:
            ports = server.getsockname()[1], other.getsockname()[1]
            with _connected(places(*ports), deadline(0.6)) as sock:
                assert sock.getpeername()[1] == ports[1]
