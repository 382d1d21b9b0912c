"""Answers of a fault server: each a way in which a store, or what stands before it, misbehaves."""

from __future__ import annotations

import socket
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from secretkit.core.message import Reply

__all__ = [
    "CLOSE_EARLY",
    "CLOSE_MID_BODY",
    "DEAF",
    "DRIP_BODY",
    "DRIP_HEAD",
    "DUPLICATE_KEYS",
    "ENDLESS_BODY",
    "FAULTS",
    "GARBAGE",
    "HANG",
    "HTML",
    "HUGE_BODY",
    "HUGE_HEAD",
    "NOT_JSON",
    "Fault",
    "Peer",
    "answer",
    "ok",
    "redirect",
    "status",
]

_PACE: Final = 1.0  # seconds between two bytes of a drip
_HUGE: Final = 10 * 1024 * 1024
_HTML: Final = b"<!doctype html><title>Sign in</title><p>The proxy wants to know you.</p>\n"


class Peer:
    """The client of one connection, for a fault to treat badly. Used by one thread."""

    def __init__(self, sock: socket.socket, *, closing: threading.Event) -> None:
        self._socket = sock
        self._closing = closing

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send a byte a second, until the server is closed or the client has gone."""
        for at in range(len(data)):
            self._socket.sendall(data[at : at + 1])
            if self._closing.wait(_PACE):
                return

    def hang(self) -> None:
        """Do nothing until the server is closed."""
        self._closing.wait()

    def cut(self) -> None:
        """End the connection, also for a client in the middle of a TLS record."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


@record(kw_only=True)
class Fault:
    """One way to answer. ``name`` suits a test's id; a ``deaf`` one comes before TLS and HTTP."""

    name: str
    answer: Callable[[Peer], None]
    deaf: bool = False


def ok(*, json: bytes = b'{"ok":true}') -> Fault:
    """Answer 200 with this JSON: not a fault at all."""
    return _whole("ok", 200, json, MappingProxyType({"content-type": "application/json"}))


def answer(reply: Reply) -> Fault:
    """Answer with exactly this status, these headers and this body."""
    return _whole("answer", reply.status, reply.body, reply.headers)


def status(code: int, *, headers: Mapping[str, str] = MappingProxyType({})) -> Fault:
    """Answer with this status, these headers, and an empty JSON object."""
    return _whole(f"status-{code}", code, b"{}", {"content-type": "application/json", **headers})


def redirect(to: str) -> Fault:
    """Answer 307 to another place: a client that follows takes its credential there."""
    return _whole("redirect", 307, b"", {"location": to})


def _whole(name: str, code: int, body: bytes, headers: Mapping[str, str]) -> Fault:
    data = _head(code, {"content-length": str(len(body)), **headers}) + body
    return Fault(name=name, answer=lambda peer: peer.send(data))


def _head(code: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {code} -", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join((*lines, "connection: close", "", "")).encode("ascii")


_JSON: Final = MappingProxyType({"content-type": "application/json"})
_JSON_100: Final = _head(200, {**_JSON, "content-length": "100"})


def _drip_body(peer: Peer) -> None:
    peer.send(_JSON_100)
    peer.drip(b'{"a":"' + b"x" * 92 + b'"}')


def _huge_head(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n")
    line = b"x: " + b"y" * 1019 + b"\r\n"
    for _ in range(_HUGE // len(line)):
        peer.send(line)
    peer.send(b"content-length: 2\r\n\r\n{}")


def _huge_body(peer: Peer) -> None:
    peer.send(_head(200, {**_JSON, "content-length": str(_HUGE)}) + b'{"a":"')
    for _ in range(_HUGE // 1024):
        peer.send(b"x" * 1024)


def _endless_body(peer: Peer) -> None:
    peer.send(_head(200, {**_JSON, "transfer-encoding": "chunked"}))
    while True:  # ends when the client goes, which is an OSError here
        peer.send(b"400\r\n" + b" " * 1024 + b"\r\n")


def _close_mid_body(peer: Peer) -> None:
    peer.send(_JSON_100 + b'{"a":')
    peer.cut()


DEAF: Final = Fault(name="deaf", answer=Peer.hang, deaf=True)
"""Takes the connection and says nothing, not even a TLS handshake."""
HANG: Final = Fault(name="hang", answer=Peer.hang)
"""Reads the request and never answers."""
DRIP_HEAD: Final = Fault(
    name="drip-head", answer=lambda peer: peer.drip(_head(200, {"x": "y" * 100}))
)
"""Answers a byte a second, so that no single read ever times out."""
DRIP_BODY: Final = Fault(name="drip-body", answer=_drip_body)
"""Answers its headers at once and its body a byte a second."""
HUGE_HEAD: Final = Fault(name="huge-head", answer=_huge_head)
"""Answers 10 MiB of headers."""
HUGE_BODY: Final = Fault(name="huge-body", answer=_huge_body)
"""Answers 10 MiB of JSON, and says so before."""
ENDLESS_BODY: Final = Fault(name="endless-body", answer=_endless_body)
"""Answers chunk after chunk, and does not stop."""
HTML: Final = _whole("html", 200, _HTML, {"content-type": "text/html; charset=utf-8"})
"""Answers 200 with a page, as a proxy with a login does."""
NOT_JSON: Final = _whole("not-json", 200, b'{"a":', _JSON)
"""Answers 200 with what stops in the middle of JSON, its length being right."""
DUPLICATE_KEYS: Final = _whole("duplicate-keys", 200, b'{"a":{"b":1,"b":2}}', _JSON)
"""Answers JSON that two readers understand differently."""
CLOSE_EARLY: Final = Fault(name="close-early", answer=Peer.cut)
"""Reads the request and hangs up."""
CLOSE_MID_BODY: Final = Fault(name="close-mid-body", answer=_close_mid_body)
"""Hangs up in the middle of its answer."""
GARBAGE: Final = Fault(
    name="garbage", answer=lambda peer: peer.send(b"\x16\x03\x01\x00\xff\r\n" * 50)
)
"""Answers something that is no HTTP."""

FAULTS: Final = (
    DEAF,
    HANG,
    DRIP_HEAD,
    DRIP_BODY,
    HUGE_HEAD,
    HUGE_BODY,
    ENDLESS_BODY,
    HTML,
    NOT_JSON,
    DUPLICATE_KEYS,
    CLOSE_EARLY,
    CLOSE_MID_BODY,
    GARBAGE,
    redirect("https://elsewhere.invalid/"),
    status(429, headers={"retry-after": "1e9"}),
    status(503, headers={"retry-after": "7"}),
)
"""All of them, for a test that plays each."""
