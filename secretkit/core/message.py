"""Messages: one HTTP request and its reply, as values. Sending them is in the room ``wire``."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.core.secret import Secret

__all__ = ["Reply", "Request"]

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@record(kw_only=True, hidden=("headers", "body"))
class Request:
    """What to send. A header or a body that is secret is a Secret; neither is in the repr."""

    method: str
    url: str
    headers: Mapping[str, str | Secret] = _NONE
    body: bytes | Secret = b""


@record(kw_only=True, hidden=("headers", "body"))
class Reply:
    """What came back. Names of headers are in lower case; the body may hold a secret."""

    status: int
    headers: Mapping[str, str] = _NONE
    body: bytes = b""
