"""A broker over one provider of a test's own, without a configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretkit.broker.blocking import Broker
from secretkit.broker.pool import PoolSource
from secretkit.broker.state import BrokerContext
from secretkit.core.ref import SecretRef
from secretkit.ledger import open as open_ledger
from secretkit.redact import default
from secretkit.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.core.freshness import LeasePolicy
    from secretkit.ports import Clock, Provider

__all__ = ["broker_over"]


def broker_over(
    provider: Provider,
    *,
    clock: Clock | None = None,
    policy: LeasePolicy | None = None,
    kind: str = "anthropic-api-key",
    names: Sequence[str] = ("claude",),
) -> Broker:
    """Give a broker whose credentials are in ``provider``, each at the path of its name.

    The ledger is in memory, the clock a ``FakeClock`` unless one is given, and the dice always fall
    in the middle, so that each run is the same. Closing the broker leaves the provider open.

    Raises:
        RefError: for a name that cannot be a path.
    """
    clock = FakeClock() if clock is None else clock
    ledger = open_ledger("sqlite://")
    context = BrokerContext(
        clock=clock,
        ledger=ledger,
        rng=lambda: 0.5,
        holder=lambda: f"test:{os.getpid()}",
        release=ledger.close,
        watch=default().watch,
    )
    sources = {
        name: PoolSource([(SecretRef("test", name), provider)], kind=kind, clock=clock)
        for name in names
    }
    return Broker(sources, context=context, policy=policy)
