"""RevocationWatch: looks, every two seconds, whether a lease in our hands was revoked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from secretkit.errors import SecretkitError

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

    from secretkit.broker.schedule import Schedule
    from secretkit.broker.worker import Workers
    from secretkit.ports import Clock

__all__ = ["RevocationWatch"]

_EVERY: Final = 2.0  # seconds; a revocation is to be seen within 5


class RevocationWatch:
    """Reads the ledger once in a while, on a worker thread. Starts with the first lease."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        workers: Workers,
        clock: Clock,
        look: Callable[[], frozenset[str]],
        act: weakref.WeakMethod[Callable[[frozenset[str]], None]],
    ) -> None:
        self._schedule = schedule
        self._workers = workers
        self._clock = clock
        self._look = look
        self._act = act
        self._lock = threading.Lock()
        self._started = False

    def start(self) -> None:
        """Begin to look; safe to repeat."""
        with self._lock:
            if self._started:
                return
            self._started = True
        self._again()

    def _again(self) -> None:
        self._schedule.at(self._clock.monotonic() + _EVERY, self._submit)

    def _submit(self) -> None:
        try:
            self._workers.submit(self._once)
        except SecretkitError:  # too many calls hang; the next look may find a thread
            self._again()

    def _once(self) -> None:
        try:
            ids = self._look()
            act = self._act()
            if act is not None:
                act(ids)
        finally:
            if self._act() is not None:
                self._again()
