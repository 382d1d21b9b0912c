"""Once: one lease without a broker, for a command that ends at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from secretkit.broker.fetch import Fetching
from secretkit.broker.flight import Flight
from secretkit.broker.state import BrokerContext, State, defect, overdue
from secretkit.broker.worker import Workers
from secretkit.core.record import replace
from secretkit.errors import SecretkitError

if TYPE_CHECKING:
    from secretkit.core.lease import Lease

__all__ = ["lease_once"]

# A wait on a lock ends early only if the signal meets the waiting thread itself. Met by another
# one, say while that starts a program, Ctrl-C would be seen at the end of the wait.
_SLICE: Final = 0.1


def lease_once(state: State, context: BrokerContext) -> Lease:
    """Give one lease on ``state``; counted and written down like any other.

    Raises like ``Broker.lease``, also when the provider hangs: its thread is left behind.
    """
    clock = context.clock
    timeout = state.policy.fetch_timeout.total_seconds()
    flight = Flight()
    flight.deadline = clock.monotonic() + timeout
    # No redactor here: its rules cost 7 ms, and a command that prints the value logs nothing.
    fetching = Fetching(replace(context, watch=lambda _: None))

    def fetch() -> None:
        try:
            flight.land(lease=fetching.fetch(state, flight).lease)
        except SecretkitError as error:
            flight.land(error=error)
        except BaseException as error:  # noqa: BLE001 - whatever happens, the waiter must wake
            flight.land(error=defect(state, error))

    Workers().submit(fetch)
    landed = threading.Event()
    flight.when_landed(landed.set)
    while not clock.wait(landed, min(_SLICE, timeout)):
        if clock.monotonic() >= flight.deadline:
            flight.land(error=overdue(state))
    return flight.outcome()
