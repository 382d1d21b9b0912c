"""Sends one HTTP request over a connection of its own, within a total deadline, and reads replies.

::

    transport = HttpTransport(clock=clock)
    reply = transport.send(Request(method="GET", url=url), ref=ref, timeout=timeout)
    if reply.status != 200:
        raise failure(reply, ref=ref, now=clock.now(), what="STS")
    document = json_object(reply, ref=ref)

Standard library only, nothing from the environment: docs/decisions/0016 says why.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from secretkit.wire.address import Address, read_address
    from secretkit.wire.reply import failure, json_object, retry_after
    from secretkit.wire.transport import HttpTransport

__all__ = [
    "Address",
    "HttpTransport",
    "failure",
    "json_object",
    "read_address",
    "retry_after",
]

_HOME: Final = {
    "Address": "address",
    "HttpTransport": "transport",
    "failure": "reply",
    "json_object": "reply",
    "read_address": "address",
    "retry_after": "reply",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use: TLS and http.client are for those who send."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
