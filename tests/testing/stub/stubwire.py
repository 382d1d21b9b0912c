"""Raw requests for the stand-in's tests: bytes out, bytes in, nothing repaired on the way."""

from __future__ import annotations

import json
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

KEY = "sk-ant-api03-" + "k" * 93 + "AA"
BODY = {
    "model": "claude-opus-4-5",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "hi"}],
}


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool

    def error(self) -> dict[str, str]:
        whole = json.loads(self.body)
        assert whole.keys() == {"type", "error", "request_id"}
        assert whole["type"] == "error"
        assert whole["request_id"] == self.headers["request-id"]
        assert whole["error"].keys() == {"type", "message"}
        return whole["error"]


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def send(url: str, data: bytes) -> Got:
    """Send bytes on a fresh connection and read one answer."""
    with connect(url) as sock:
        sock.sendall(data)
        return read(sock)


def read(sock: socket.socket) -> Got:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        assert chunk, "the connection ended inside an answer's head"
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    length = int(headers["content-length"])
    while len(body) < length:
        chunk = sock.recv(65536)
        assert chunk, "the connection ended inside an answer's body"
        body += chunk
    closed = headers["connection"] == "close"
    if closed:
        assert sock.recv(1) == b""
    return Got(int(first.split(" ")[1]), headers, body, closed)


def request(
    url: str,
    *,
    line: bytes = b"POST /v1/messages HTTP/1.1",
    body: object = BODY,
    drop: tuple[str, ...] = (),
    extra: tuple[bytes, ...] = (),
    **fields: str,
) -> bytes:
    """Build a request that is right, but for what the arguments change."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "host": urlsplit(url).netloc,
        "authorization": f"Bearer {KEY}",
        "anthropic-version": "2026-10-21",
        "content-type": "application/json",
        "content-length": str(len(data)),
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{name}: {value}".encode() for name, value in headers.items() if name not in drop]
    return b"\r\n".join([line, *lines, *extra, b"", b""]) + data
