"""Hands out leases: one refresh engine in threads, with a blocking and an asyncio face.

The way of a lease: a face answers from memory; where it cannot, ``engine`` decides under a short
lock whether to serve, to join the flight under way or to start one; ``flight`` is one call to a
source, shared by every thread and loop that waits; ``worker`` runs it, ``schedule`` renews ahead
and ends what hangs; ``pool`` turns references into the credential; ``fork`` keeps a forked child
sane.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.broker.clock import SystemClock
    from secretkit.broker.pool import PoolSource
    from secretkit.broker.state import BrokerContext, Status

__all__ = ["AsyncBroker", "Broker", "BrokerContext", "PoolSource", "Status", "SystemClock"]

_HOME: Final = {
    "AsyncBroker": "aio",
    "Broker": "blocking",
    "BrokerContext": "state",
    "PoolSource": "pool",
    "Status": "state",
    "SystemClock": "clock",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use: the asyncio face costs 40 ms that scripts need not pay."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
