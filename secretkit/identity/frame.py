"""Frames: JSON objects on a line between two processes of ours, each after its length."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from socket import socket

__all__ = ["MAX_FRAME", "receive", "send"]

MAX_FRAME: Final = 1024 * 1024
_CHUNK: Final = 16 * 1024
_SIZE: Final = struct.Struct("!I")


def send(line: socket, message: Mapping[str, Any]) -> None:
    """Write one object; one that is too big is sent as the code RESOURCE_EXHAUSTED instead.

    Raises:
        OSError: if the other side is gone, or takes nothing in the line's time.
    """
    data = json.dumps(message).encode()
    if len(data) > MAX_FRAME:
        data = b'{"code": "RESOURCE_EXHAUSTED"}'
    line.sendall(_SIZE.pack(len(data)) + data)


def receive(line: socket, *, left: Callable[[], float]) -> dict[str, Any]:
    """Read one object; ``left`` gives the seconds that there still are.

    Raises:
        TimeoutError: if they are up.
        OSError: if the other side is gone.
        ValueError: if it is no frame.
    """
    data = bytearray()
    try:
        while len(data) < _SIZE.size or len(data) < _whole(data):
            line.settimeout(max(left(), 0.001))  # 0 would mean: do not wait at all
            part = line.recv(_CHUNK)
            if not part:
                raise ConnectionResetError
            data += part
        found = json.loads(data[_SIZE.size :])
    finally:
        data.clear()
    if not isinstance(found, dict):
        raise ValueError("a frame holds an object")  # noqa: TRY004 - not a mistake in our code
    return found


def _whole(data: bytearray) -> int:
    """Give how long the frame is, its length included."""
    (size,) = _SIZE.unpack_from(data)
    if size > MAX_FRAME:
        raise ValueError("a frame is too long")
    return int(_SIZE.size + size)
