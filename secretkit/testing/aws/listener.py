"""Listener: one endpoint on a free loopback port, a thread for each connection."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final

from secretkit.testing.aws.message import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from secretkit.testing.aws.message import Answer

__all__ = ["Listener"]

_LARGEST: Final = 8 << 20
_PATIENCE: Final = 10.0


class Listener:
    """Serves until :meth:`stop`. ``exchange`` gives the answer, or None to cut the connection."""

    def __init__(
        self,
        region: str,
        *,
        port: int,
        exchange: Callable[[Incoming], Answer | None],
        pace: timedelta,
    ) -> None:
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.region, self._server.exchange = region, exchange
        self._server.pace, self._server.stopping = pace.total_seconds(), self.stopping
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True, name=f"aws-{region}"
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Cut every connection, and wait for the threads."""
        self.stopping.set()
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()
        self._thread.join(_PATIENCE)


class _Server(HTTPServer):
    """Knows its connections, so that it can end them."""

    request_queue_size = 512
    region: str
    exchange: Callable[[Incoming], Answer | None]
    pace: float
    stopping: threading.Event

    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(place, handler)
        self._open: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - its types
        thread = threading.Thread(
            target=self._talk, args=(request, client_address), daemon=True, name="aws-connection"
        )
        with self._lock:
            self._open[thread] = request
        thread.start()

    def _talk(self, request: socket.socket, address: Any) -> None:  # noqa: ANN401 - its type
        try:
            self.finish_request(request, address)
        except OSError:
            pass  # the client went away, or stop() cut the connection
        finally:
            self.shutdown_request(request)
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def cut(self) -> None:
        with self._lock:
            talking = dict(self._open)
        for thread, connection in talking.items():
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(_PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _LARGEST or "transfer-encoding" in self.headers:
            self.close_connection = True
            self.send_error(411)
            return
        body = self.rfile.read(int(length))
        path, _, query = self.path.partition("?")
        answer = self.server.exchange(
            Incoming(
                method=self.command,
                path=path,
                query=query,
                headers=tuple((name.lower(), value) for name, value in self.headers.items()),
                body=body,
                region=self.server.region,
            )
        )
        if answer is None:
            self.close_connection = True
        else:
            self._write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _write(self, answer: Answer) -> None:
        self.send_response_only(answer.status)  # without its Date: the answer has the clock's
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.pieces is None:
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in answer.pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if self.server.stopping.wait(self.server.pace):
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Write nothing: a request line may hold a presigned URL."""
