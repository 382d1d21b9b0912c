"""FaultServer: threads over plain sockets, so that it can break HTTP at any byte."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from secretkit.core.record import record
from secretkit.testing.fault.answer import Fault, Peer, ok, status

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

__all__ = ["FaultServer", "Seen"]

_PATIENCE: Final = 10.0  # seconds for a request to arrive, and for the server to end
_HEAD: Final = 64 * 1024


@record(kw_only=True, hidden=("headers", "body"))
class Seen:
    """A request as it arrived. Its headers, names in lower case, and its body are not printed."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class FaultServer:
    """Serves on a free port of loopback, one thread for a connection. A context manager.

    It speaks HTTP/1.1 without keep-alive, and answers 400 to what it cannot read as a request with
    a Content-Length or none. ``play`` may be called at any time, from any thread.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {"": ok()}
        self._requests: list[Seen] = []
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections = 0
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The server's address without a slash at the end, by number: nothing is resolved."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def requests(self) -> list[Seen]:
        """The requests that arrived whole, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def connections(self) -> int:
        """How many connections were made, also such that brought no request."""
        with self._lock:
            return self._connections

    def play(self, fault: Fault, *, path: str = "") -> None:
        """Answer requests whose path starts with ``path`` so from now on; the longest path wins.

        A deaf fault knows no path: it is for all.
        """
        if fault.deaf and path:
            raise ValueError("a deaf server does not hear the path")
        with self._lock:
            self._faults[path] = fault

    def close(self) -> None:
        """End every connection and thread; safe to repeat.

        Raises:
            RuntimeError: if a thread does not end within 10 seconds.
        """
        if self._closing.is_set():
            return
        place = self._listener.getsockname()
        self._closing.set()
        with suppress(OSError), socket.create_connection(place, timeout=_PATIENCE):
            pass  # wakes accept(), which closing the socket does not everywhere
        self._threads[0].join(_PATIENCE)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)
        if any(thread.is_alive() for thread in self._threads):
            raise RuntimeError("a thread of the fault server did not end")

    def _start(self, work: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=work, args=args, name="fault-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._closing.is_set():
                sock.close()
                return
            sock.settimeout(_PATIENCE)
            with self._lock:
                self._connections += 1
                self._sockets.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        held = sock
        try:
            held = self._heard(sock)
            self._speak(held)
        except OSError:  # the client has gone, which is what a fault is there for
            pass
        finally:
            with self._lock:
                self._sockets -= {sock, held}
            held.close()

    def _heard(self, sock: socket.socket) -> socket.socket:
        """Do TLS, unless the server is deaf."""
        if self._tls is None or self._fault("").deaf:
            return sock
        with self._lock:
            self._sockets.discard(sock)
        held = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._sockets.add(held)
        try:
            held.do_handshake()
        except BaseException:
            held.close()
            raise
        return held

    def _speak(self, sock: socket.socket) -> None:
        peer = Peer(sock, closing=self._closing)
        fault = self._fault("")
        if not fault.deaf:
            seen = _request(sock)
            if seen is None:
                fault = status(400)
            else:
                with self._lock:
                    self._requests.append(seen)
                fault = self._fault(seen.path)
        fault.answer(peer)

    def _fault(self, path: str) -> Fault:
        with self._lock:
            return self._faults[max((one for one in self._faults if path.startswith(one)), key=len)]


def _request(sock: socket.socket) -> Seen | None:
    """Read one request; None for what is none, or says its length in another way."""
    with sock.makefile("rb") as stream:
        method, _, rest = stream.readline(_HEAD).decode("latin-1").partition(" ")
        path, _, version = rest.rstrip("\r\n").partition(" ")
        headers: dict[str, str] = {}
        while line := stream.readline(_HEAD).decode("latin-1").rstrip("\r\n"):
            name, colon, value = line.partition(":")
            if not colon or name != name.strip() or name.lower() in headers:
                return None
            headers[name.lower()] = value.strip()
        length = headers.get("content-length", "0")
        if version != "HTTP/1.1" or not length.isdecimal() or "transfer-encoding" in headers:
            return None
        body = stream.read(int(length))
    return Seen(method=method, path=path, headers=headers, body=body)
