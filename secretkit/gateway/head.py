"""Reads the head of one HTTP request, and refuses what two readers could read in two ways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Head", "read_head"]

_LINES: Final = 64
_START: Final = re.compile(r"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_BAD, _TOO_LARGE, _TOO_MANY = 400, 413, 431


@record(kw_only=True, hidden=("headers",))
class Head:
    """A request without a body. Names of headers are in lower case, each is there once."""

    method: str
    path: str
    headers: Mapping[str, str]


def read_head(data: bytes) -> Head | int:
    """Read what came before the empty line; or give the status to refuse it with.

    Refused are (RFC 9112 §2.2, §5, §6): a line end that is not CR LF, white space before a colon, a
    folded line, a header twice, any Transfer-Encoding, a body, more than 64 headers.
    """
    try:
        start, *lines = data.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        return _BAD
    match = _START.fullmatch(start)
    if len(lines) > _LINES:
        return _TOO_MANY
    headers = _headers(lines)
    length = "" if headers is None else headers.get("content-length", "0")
    if match is None or headers is None or "transfer-encoding" in headers or _is_no_number(length):
        return _BAD
    if length.strip("0"):
        return _TOO_LARGE
    return Head(method=match[1], path=match[2], headers=headers)


def _headers(lines: list[str]) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or key in headers:
            return None
        headers[key] = value.strip(" \t")
    return headers


def _is_no_number(text: str) -> bool:
    return not (text.isascii() and text.isdecimal())
