"""Line: a connection on which every wait ends at one deadline.

A socket's own timeout bounds a single read, so a server that sends a byte a second never meets it.
Here each call to the socket is given what is left of the whole.
"""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from _typeshed import WriteableBuffer

    from secretkit.wire.address import Address

__all__ = ["Deadline", "Line", "TooLargeError", "connect"]

_BUFFER: Final = 16 * 1024  # what one TLS record holds


class TooLargeError(Exception):
    """More was received than is allowed."""


class Deadline:
    """A moment on a monotonic clock, and the seconds until then."""

    def __init__(self, monotonic: Callable[[], float], *, seconds: float) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Give the seconds that are left, always more than zero.

        Raises:
            TimeoutError: if none are.
        """
        left = self._end - self._monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Line:
    """The part of a socket that ``http.client.HTTPResponse`` needs, under a deadline.

    ``allow`` says how many more bytes may be received. Not thread-safe; close it.
    """

    def __init__(self, sock: socket.socket, *, deadline: Deadline) -> None:
        self._socket = sock
        self._deadline = deadline
        self._allowed = 0

    def allow(self, count: int) -> None:
        """Let ``count`` bytes be received from now on."""
        self._allowed = count

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(self._deadline.left())
            rest = rest[self._socket.send(rest) :]

    def receive(self, buffer: WriteableBuffer) -> int:
        """Receive into ``buffer``; give how many bytes, 0 at the end.

        Raises:
            TooLargeError: if more came than was allowed.
        """
        self._socket.settimeout(self._deadline.left())
        count = self._socket.recv_into(buffer)
        self._allowed -= count
        if self._allowed < 0:
            raise TooLargeError
        return count

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        """Give a reader of what comes in."""
        return io.BufferedReader(_Incoming(self), _BUFFER)

    def close(self) -> None:
        """Close the connection; safe to repeat."""
        self._socket.close()


class _Incoming(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._line.receive(buffer)


def connect(address: Address, *, context: ssl.SSLContext | None, deadline: Deadline) -> Line:
    """Connect to ``address``, by TLS where a context is given.

    Asking for the addresses of a name cannot be bounded: the system's resolver takes no deadline.

    Raises:
        OSError: in all its kinds, ``socket.gaierror``, ``ssl.SSLError`` and ``TimeoutError`` too.
    """
    places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    sock = _connected(places, deadline)
    try:
        if context is not None:
            sock = context.wrap_socket(
                sock,
                server_hostname=address.host,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # a reply that was cut off is not a whole one
            )
            sock.settimeout(deadline.left())
            sock.do_handshake()
    except BaseException:
        sock.close()
        raise
    return Line(sock, deadline=deadline)


def _connected(places: Sequence[tuple[Any, ...]], deadline: Deadline) -> socket.socket:
    """Try the addresses of a name in turn; each gets its share of the time that is left."""
    for more in range(len(places) - 1, -1, -1):
        family, kind, protocol, _, place = places[-1 - more]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left() / (more + 1))
            sock.connect(place)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException as error:
            sock.close()
            if not more or not isinstance(error, OSError):
                raise
        else:
            return sock
    raise socket.gaierror
