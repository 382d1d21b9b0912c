"""Frames: what is sent comes whole, and what is none is refused."""

import socket
import struct
import threading

import pytest

from secretkit.identity.frame import MAX_FRAME, receive, send


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_objects_come_one_by_one_and_whole_however_long(pair):
    ours, theirs = pair
    long = {"token": "é" * 100_000}
    writing = threading.Thread(target=send, args=(ours, long))
    writing.start()
    assert receive(theirs, left=lambda: 10) == long
    writing.join(10)
    send(theirs, {})
    assert receive(ours, left=lambda: 10) == {}


def test_an_object_that_is_too_big_is_a_code(pair):
    ours, theirs = pair
    send(ours, {"token": "x" * MAX_FRAME})
    assert receive(theirs, left=lambda: 10) == {"code": "RESOURCE_EXHAUSTED"}


@pytest.mark.parametrize(
    "data", [struct.pack("!I", MAX_FRAME + 1), b"\0\0\0\2[]", b"\0\0\0\2no", b"\0\0\0\2\xff\xff"]
)
def test_what_is_no_frame_is_refused(pair, data):
    ours, theirs = pair
    ours.sendall(data)
    with pytest.raises(ValueError):  # noqa: PT011 - of json, of Unicode and ours
        receive(theirs, left=lambda: 10)


def test_half_a_frame_is_waited_for_until_the_end_of_the_line_or_of_the_time(pair):
    ours, theirs = pair
    ours.sendall(b"\0\0\0\2{")
    with pytest.raises(TimeoutError):
        receive(theirs, left=lambda: 0.0)
    ours.sendall(b"\0\0")
    ours.close()
    with pytest.raises(ConnectionResetError):
        receive(theirs, left=lambda: 10)
