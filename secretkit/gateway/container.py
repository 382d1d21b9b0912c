"""Container: gives leased AWS credentials to any AWS SDK, as ECS and EKS give theirs.

An SDK finds it by ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` and sends what stands in the file that
``AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`` names as its Authorization header:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html

Loopback only. An answer comes from the broker's lease in memory: an SDK waits 1 to 2 seconds, and
asks again before every request once its credentials have less than 15 minutes left.
"""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from secretkit.core.credential import AwsCredentials
from secretkit.errors import SecretError, SecretkitError
from secretkit.gateway.head import read_head
from secretkit.providers.aws.document import write_container

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from secretkit.core.lease import Lease
    from secretkit.core.secret import Secret
    from secretkit.gateway.head import Head

__all__ = ["LOOPBACK", "ContainerServer"]

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_PATH: Final = "/credentials"
_HEAD: Final = 16 * 1024
_PATIENCE: Final = 5.0  # seconds for a request to arrive whole
_LINGER: Final = 2.0
_MOST: Final = 512  # connections at once; those over it are closed at once
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class ContainerServer:
    """Answers ``GET /credentials``. Runs in one asyncio loop; the lease is asked for in a thread.

    ``lease`` gives the current lease, ``token`` is what a client has to send, ``note`` hears of
    each failure of ``lease``. A request is refused, in this order, for its form (400, 413, 431),
    a Host that is not this server (421: another name that leads here), an Origin (403: a browser),
    and its token (401, the same for every reason).
    """

    def __init__(
        self,
        lease: Callable[[], Lease],
        *,
        token: Secret,
        note: Callable[[SecretkitError], None],
    ) -> None:
        self._lease = lease
        self._note = note
        # Digests are compared, so that neither length nor content of a guess takes other times.
        self._expected = sha256(token.reveal().encode()).digest()
        self._server: asyncio.Server | None = None
        self._hosts: frozenset[str] = frozenset()
        self._open = 0

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and give the URL for ``AWS_CONTAINER_CREDENTIALS_FULL_URI``.

        Raises:
            OSError: if the port is taken.
        """
        self._server = await asyncio.start_server(
            self._talk, host, port, limit=_HEAD, backlog=_MOST
        )
        place = self._server.sockets[0].getsockname()[1]
        names = {f"[{one}]" if ":" in one else one for one in LOOPBACK}
        self._hosts = frozenset(f"{name}:{place}" for name in names)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{place}{_PATH}"

    async def stop(self) -> None:
        """Stop listening; safe to repeat."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MOST:
                writer.write(await self._answer(reader))
                writer.write_eof()
                # Closed on unread bytes, TCP resets, and the client never sees why.
                await _within(_rest(reader), seconds=_LINGER)
        except (asyncio.CancelledError, OSError):
            # The server ends (asyncio writes a traceback for a handler that was cancelled), or the
            # client has gone (ENOTCONN is no ConnectionError), or it sends no end.
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            data = await _within(reader.readuntil(b"\r\n\r\n"), seconds=_PATIENCE)
        except TimeoutError:
            return _reply(408)
        except asyncio.IncompleteReadError:
            return _reply(400)
        except asyncio.LimitOverrunError:
            return _reply(431)
        head = read_head(data[:-4])
        status = head if isinstance(head, int) else self._refusal(head)
        return _reply(status) if status else await asyncio.to_thread(self._current)

    def _refusal(self, head: Head) -> int:
        """Give the status to refuse a request with, or 0."""
        headers = head.headers
        given = sha256(headers.get("authorization", "").encode()).digest()
        if headers.get("host", "").lower() not in self._hosts:
            return 421
        if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
            return 403
        if not compare_digest(given, self._expected):
            return 401
        if head.path != _PATH:
            return 404
        return 0 if head.method == "GET" else 405

    def _current(self) -> bytes:
        """Give the lease of now as an answer; blocking where the broker has to ask."""
        try:
            lease = self._lease()
            if not isinstance(lease.credential, AwsCredentials):
                raise SecretError("this credential is not of kind aws")
        except SecretkitError as error:
            self._note(error)
            return _reply(503)
        return _reply(200, write_container(lease.credential, ends_at=lease.expires_at))


async def _within(reading: Coroutine[object, object, bytes], *, seconds: float) -> bytes:
    async with asyncio.timeout(seconds):
        return await reading


async def _rest(reader: asyncio.StreamReader) -> bytes:
    while await reader.read(_HEAD):
        pass
    return b""


def _reply(status: int, body: bytes = b"") -> bytes:
    text = body or json.dumps({"code": status, "message": _REASONS[status]}).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(text)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + text
