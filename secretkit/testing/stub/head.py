"""One HTTP/1.1 request head, read strictly (RFC 9112): refused rather than guessed at.

The credential is wrapped and taken out of the headers here, so nothing behind this file can print
it by printing a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl

from secretkit.core.secret import Secret
from secretkit.testing.stub.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_HEAD", "Head", "Presented", "parse_head"]

MAX_HEAD: Final = 32 * 1024
MAX_FIELDS: Final = 100

_LINE: Final = re.compile(
    rb"([A-Za-z]{1,16}) (/[\x21-\x22\x24-\x7e]{0,4095}) HTTP/([0-9])\.([0-9])"
)
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e]*")
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_KEY: Final = re.compile(rb"[\x21-\x7e]+")
_QUERY: Final = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_CREDENTIALS: Final = (b"authorization", b"x-api-key")
# Where a second one would leave open which counts; a proxy and a server that choose differently
# are how requests are smuggled.
_ONCE: Final = frozenset(
    (
        *(name.decode() for name in _CREDENTIALS),
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "anthropic-version",
        "connection",
        "expect",
    )
)

Spelling = Literal["", "bearer", "x-api-key"]


@dataclass(frozen=True, slots=True)
class Presented:
    """The credential as the client presented it: which header, and what was wrong with it."""

    spelling: Spelling = ""
    secret: Secret | None = None
    problem: str = "no credential: send Authorization: Bearer or x-api-key"


@dataclass(frozen=True, slots=True)
class Head:
    """A well-formed request head without its credential's text."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    presented: Presented
    length: int
    close: bool

    @property
    def betas(self) -> frozenset[str]:
        """The names in the ``anthropic-beta`` header."""
        text = self.headers.get("anthropic-beta", "")
        return frozenset(part.strip() for part in text.split(",") if part.strip())


def parse_head(raw: bytes, *, hosts: frozenset[str]) -> Head:
    """Read a head that ends in an empty line.

    Raises:
        RefusedError: 400, 405, 411, 417, 421, 431 or 505. The connection cannot be kept after it.
    """
    first, *rest = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise RefusedError(400, "the request line is malformed")
    if line[3] + line[4] != b"11":
        raise RefusedError(505, "only HTTP/1.1 is spoken here")
    if len(rest) > MAX_FIELDS:
        raise RefusedError(431, f"more than {MAX_FIELDS} header fields")
    headers, presented = _fields(rest)
    _check_host(headers, hosts)
    path, _, query = line[2].decode().partition("?")
    method = line[1].decode()
    return Head(
        method=method,
        path=path,
        query=_query(query),
        headers=headers,
        presented=presented,
        length=_length(headers, method=method),
        close=_closes(headers),
    )


def _fields(lines: list[bytes]) -> tuple[dict[str, str], Presented]:
    headers: dict[str, str] = {}
    presented: list[Presented] = []
    seen: set[str] = set()
    for line in lines:
        name_bytes, colon, _ = line.partition(b":")
        if not colon or not _NAME.fullmatch(name_bytes):
            raise RefusedError(400, "a header line is malformed")
        name = name_bytes.decode().lower()
        if name in _ONCE and name in seen:
            raise RefusedError(400, f"the header {name} is there twice")
        seen.add(name)
        if not _VALUE.fullmatch(line, len(name_bytes) + 1):
            raise RefusedError(400, f"the value of the header {name} holds a forbidden byte")
        if name_bytes.lower() in _CREDENTIALS:
            presented.append(_present(line))
            continue
        value = line[len(name_bytes) + 1 :].strip(b" \t").decode()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if len(presented) > 1:
        raise RefusedError(400, "send one credential: Authorization or x-api-key, not both")
    return headers, presented[0] if presented else Presented()


def _present(line: bytes) -> Presented:
    """Take the credential out of its header line, exactly one space after the colon and scheme."""
    if line[:10].lower() == b"x-api-key:":
        spelling: Spelling = "x-api-key"
        start = 10 + line.startswith(b" ", 10)
    else:
        spelling = "bearer"
        start = 14 + line.startswith(b" ", 14)
        if not line.startswith(b"Bearer ", start):
            return Presented(spelling, None, "the authorization header is not a Bearer credential")
        start += 7
    if len(line) == start:
        return Presented(spelling, None, "the credential is empty")
    if not _KEY.fullmatch(line, start):
        return Presented(spelling, None, "there is white space in or around the credential")
    return Presented(spelling, Secret(line[start:].decode()), "")


def _check_host(headers: Mapping[str, str], hosts: frozenset[str]) -> None:
    host = headers.get("host")
    if host is None:
        raise RefusedError(400, "there is no Host header")
    if host not in hosts:
        raise RefusedError(421, "the Host header is not this server's own")


def _query(text: str) -> dict[str, str]:
    if not text:
        return {}
    if not _QUERY.fullmatch(text):
        raise RefusedError(400, "the query holds a broken escape")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise RefusedError(400, "the query is malformed") from None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise RefusedError(400, "a query parameter is there twice")
    return query


def _length(headers: Mapping[str, str], *, method: str) -> int:
    if "transfer-encoding" in headers:
        both = "content-length" in headers
        text = "content-length and transfer-encoding together" if both else "send a content-length"
        raise RefusedError(400 if both else 411, text)
    if "expect" in headers:
        raise RefusedError(417, "no expectation is met here")
    text = headers.get("content-length", "")
    if not text:
        if "content-length" in headers or method not in {"GET", "HEAD", "DELETE", "OPTIONS"}:
            raise RefusedError(411, "send a content-length")
        return 0
    if not _LENGTH.fullmatch(text):
        raise RefusedError(400, "the content-length is not a plain number")
    return int(text)


def _closes(headers: Mapping[str, str]) -> bool:
    wish = headers.get("connection", "keep-alive").lower()
    if wish not in {"keep-alive", "close"}:
        raise RefusedError(400, "connection is keep-alive or close")
    return wish == "close"
