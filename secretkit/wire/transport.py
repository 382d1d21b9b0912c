"""HttpTransport: one request over one connection, its reply whole within one deadline."""

from __future__ import annotations

import os
import re
import ssl
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Final, cast

from secretkit.core.message import Reply
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, ProviderError, ProviderUnavailableError
from secretkit.wire.address import read_address
from secretkit.wire.fault import broken, unreached
from secretkit.wire.line import Deadline, Line, TooLargeError, connect
from secretkit.wire.trust import trusting

if TYPE_CHECKING:
    import socket
    from datetime import timedelta

    from secretkit.core.message import Request
    from secretkit.ports import Clock
    from secretkit.wire.address import Address

__all__ = ["HttpTransport"]

_HEAD: Final = 64 * 1024
_BODY: Final = 1024 * 1024
# The buffer may take in some of the body with the head; chunks bring framing of their own.
_SLACK: Final = 16 * 1024
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_VALUE: Final = re.compile(r"[\t -~]*")
_OURS: Final = {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}


class HttpTransport:
    """Implements :class:`secretkit.ports.Transport` with the standard library. Thread-safe.

    HTTP/1.1, a connection for each request; https, or http to this machine and to metadata
    services. No proxy, no redirect, no environment: a 3xx is given back as it is. TLS is 1.2 or
    newer, with the system's authorities or those of ``ca_bundle`` alone. The files are read on
    first use, and again when they change, so a renewed certificate needs no restart.

    ``timeout`` bounds connecting, the TLS handshake, sending, and every byte of head and body
    together, without a thread. It does not bound the system's resolver: where DNS hangs, a call
    takes as long as that does (``options timeout`` in resolv.conf), and ends then.

    Headers that the connection itself needs (Host, Content-Length, Connection, Accept-Encoding,
    Transfer-Encoding) are the transport's own, and refused in a request.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ca_bundle: str = "",
        certificate: str = "",
        private_key_file: str = "",
    ) -> None:
        self._clock = clock
        self._files = {
            "ca_bundle": ca_bundle,
            "certificate": certificate,
            "private_key_file": private_key_file,
        }
        self._trusted: tuple[tuple[object, ...], ssl.SSLContext] | None = None

    def send(self, request: Request, *, ref: str, timeout: timedelta) -> Reply:
        """Give the whole reply; see the port for the errors.

        A request that cannot be sent as it is (an address that is not allowed, a header with a
        line end) is a ProviderUnavailableError, and nothing of it is sent.
        """
        answer = self._exchange(request, ref, timeout.total_seconds())
        if isinstance(answer, ProviderError):
            raise answer  # outside of every handler: it carries no foreign exception
        return answer

    def _exchange(self, request: Request, ref: str, seconds: float) -> Reply | ProviderError:
        deadline = Deadline(self._clock.monotonic, seconds=seconds)
        try:
            address = read_address(request.url)
            _check(request)
            context = self._trust() if address.scheme == "https" else None
        except ConfigError as error:
            return ProviderUnavailableError(f"{ref}: {error}", ref=ref, hint=error.hint)
        try:
            line = connect(address, context=context, deadline=deadline)
        except OSError as error:
            return unreached(error, address=address, ref=ref)
        try:
            with suppress(ConnectionError, ssl.SSLEOFError):  # it may have answered and hung up
                line.send(_written(request, address))
            return _read(line, request.method)
        except (OSError, HTTPException, ValueError, TooLargeError) as error:
            return broken(error, address=address, ref=ref)
        finally:
            line.close()

    def _trust(self) -> ssl.SSLContext:
        """Give the context of the files as they are now.

        Without a lock, which a fork could copy while it is held: two threads that come first both
        read the files, and either context will do.
        """
        seen = tuple(_state(path) for path in self._files.values())
        held = self._trusted
        if held is None or held[0] != seen:
            held = self._trusted = (seen, trusting(**self._files))
        return held[1]


def _state(path: str) -> object:
    """Give what changes with the file at ``path``."""
    if not path:
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - 1 µs instead of 4, for each request
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _check(request: Request) -> None:
    names = [name.lower() for name in request.headers]
    if not _METHOD.fullmatch(request.method):
        raise ConfigError("this is no method of HTTP", hint="it is a word like GET, in capitals")
    for name, value in request.headers.items():
        if not _TOKEN.fullmatch(name):
            raise ConfigError("this is no name of a header", hint="use letters, digits and '-'")
        if name.lower() in _OURS or names.count(name.lower()) > 1:
            raise ConfigError(
                f"the header {name} is given twice, or is the transport's own",
                hint="leave it out",
            )
        if not _VALUE.fullmatch(_clear(value)):
            raise ConfigError(
                f"the header {name} holds a character that no header can carry",
                hint="a header is printable ASCII in one line; look for a line end in the secret",
            )


def _written(request: Request, address: Address) -> bytes:
    """Give the whole request as it goes to the socket."""
    size = len(_octets(request.body))
    needs_length = size or request.method in {"POST", "PUT", "PATCH"}
    head = (
        f"{request.method} {address.target} HTTP/1.1",
        f"Host: {address}",
        "Accept-Encoding: identity",
        "Connection: close",
        *([f"Content-Length: {size}"] if needs_length else []),
    )
    lines = (*head, *(f"{name}: {_clear(value)}" for name, value in request.headers.items()))
    return "\r\n".join((*lines, "", "")).encode("ascii") + _octets(request.body)


def _clear(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _octets(body: bytes | Secret) -> bytes:
    return body.reveal().encode() if isinstance(body, Secret) else body


def _read(line: Line, method: str) -> Reply:
    line.allow(_HEAD + _SLACK)
    with HTTPResponse(cast("socket.socket", line), method=method) as response:
        response.begin()
        if response.msg.defects:
            raise HTTPException
        if (response.length or 0) > _BODY:
            raise TooLargeError
        line.allow(2 * _BODY)
        body = response.read(_BODY + 1)
        if len(body) > _BODY:
            raise TooLargeError
        if response.length:  # http.client says nothing when a body ends before its length
            raise ConnectionError
        headers: dict[str, str] = {}
        for name, value in response.msg.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Reply(status=response.status, headers=headers, body=body)
