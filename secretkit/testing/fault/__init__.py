"""FaultServer: an HTTP server that answers in all the ways a store must not.

::

    with FaultServer() as server:
        server.play(DRIP_BODY)                                 # every request from now on
        server.play(ok(json=b'{"ok":true}'), path="/v1/login")   # but what starts with this
        transport.send(Request(method="GET", url=server.url + "/v1/x"), ...)
        assert server.requests[0].method == "GET"

For HTTPS give it an ``ssl.SSLContext``, for example one of trustme; for a certificate that nobody
trusts, one whose authority the client does not have.
"""

from __future__ import annotations

from secretkit.testing.fault.answer import (
    CLOSE_EARLY,
    CLOSE_MID_BODY,
    DEAF,
    DRIP_BODY,
    DRIP_HEAD,
    DUPLICATE_KEYS,
    ENDLESS_BODY,
    FAULTS,
    GARBAGE,
    HANG,
    HTML,
    HUGE_BODY,
    HUGE_HEAD,
    NOT_JSON,
    Fault,
    Peer,
    answer,
    ok,
    redirect,
    status,
)
from secretkit.testing.fault.server import FaultServer, Seen

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
    "FaultServer",
    "Peer",
    "Seen",
    "answer",
    "ok",
    "redirect",
    "status",
]
