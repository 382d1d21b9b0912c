"""Publication: puts an issuer's public documents where verifiers find them.

As files, for a web server that has TLS already; or over HTTP on loopback, for a reverse proxy.
"""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Face", "write_documents"]

_PATIENCE: Final = 10.0


def write_documents(documents: Mapping[str, str], *, folder: str) -> None:
    """Write each document below ``folder``, replacing it in one step; only where it changes.

    Raises:
        ConfigError: if that cannot be done.
    """
    problem = ""
    for name, text in documents.items():
        path = Path(folder) / name
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if not path.is_file() or path.read_text("utf-8") != text:
                _replace(path, text)
        except (OSError, UnicodeDecodeError) as error:
            problem = f"{path}: {getattr(error, 'strerror', None) or 'not as we wrote it'}"
    if problem:
        raise ConfigError(
            f"the public keys cannot be written ({problem})",
            key_path="identity.issuer.publish",
            hint="name a folder that this user may write",
        )


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as fresh:
            fresh.write(text)
            fresh.flush()
            os.fsync(fresh.fileno())
            os.fchmod(fresh.fileno(), 0o644)  # public: whoever verifies a token reads it
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


class Face:
    """Serves the documents over HTTP on loopback, without TLS; a context manager. Thread-safe."""

    def __init__(self, *, host: str, port: int, max_age: int) -> None:
        self._place = (host, port)
        self._max_age = max_age
        self._documents: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            ConfigError: if the port is taken.
        """
        try:
            self._server = _Server(self._place, _handler(self.page, self._max_age))
        except OSError as error:
            problem = error.strerror
        else:
            self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
            self._thread.start()
            return self
        raise ConfigError(
            f"--listen: nobody can listen on port {self._place[1]} ({problem})",
            hint="choose another port",
        )

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE)

    @property
    def port(self) -> int:
        """The port; the system's choice where 0 was asked for."""
        return int(self._server.server_address[1])

    def publish(self, documents: Mapping[str, str]) -> None:
        """Serve these from now on."""
        self._documents = {f"/{name}": text.encode() for name, text in documents.items()}

    def page(self, path: str) -> bytes | None:
        """Give the document at a path, or None."""
        return self._documents.get(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: http.server would print a traceback for each client that goes away."""


def _handler(page: Callable[[str], bytes | None], max_age: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE
        server_version, sys_version = "secretkit", ""

        def do_GET(self) -> None:  # http.server's name
            found = page(self.path.partition("?")[0])
            body = b"not found\n" if found is None else found
            self.send_response(404 if found is None else 200)
            kind = "text/plain" if found is None else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if found is not None:
                self.send_header("Cache-Control", f"max-age={max_age}")
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: object) -> None:
            """Say nothing: what is asked for is public."""

        def log_error(self, *_: object) -> None:
            """Say nothing: what was no request is nobody's business."""

    return Handler
