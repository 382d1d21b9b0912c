"""FakeClock: time that moves only when a test moves it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ports import Waitable

__all__ = ["FakeClock"]

_START: Final = datetime(2030, 1, 1, tzinfo=UTC)


class FakeClock:
    """A wall clock and a monotonic clock under a test's control. Thread-safe.

    ``advance`` moves both, as time does; ``jump_wall`` moves the wall clock alone, as an operator
    or NTP does. Threads in :meth:`wait` wake when their time has come on this clock::

        clock = FakeClock()
        clock.advance(timedelta(minutes=9))
    """

    def __init__(self, start: datetime = _START) -> None:
        self._lock = threading.Lock()
        self._wall = start
        self._ticks = 1_000.0
        self._waiters: list[tuple[float, Waitable]] = []
        self.monotonic: Callable[[], float] = self._monotonic

    def now(self) -> datetime:
        """Give the fake wall-clock time."""
        with self._lock:
            return self._wall

    def _monotonic(self) -> float:
        return self._ticks

    def advance(self, step: timedelta) -> None:
        """Let time pass, and wake the threads whose time has come."""
        if step < timedelta():
            raise ValueError("time does not go back; use jump_wall for a clock that is set back")
        with self._lock:
            self._wall += step
            self._ticks += step.total_seconds()
            due = [event for at, event in self._waiters if at <= self._ticks]
        for event in due:
            event.set()

    def jump_wall(self, step: timedelta) -> None:
        """Set the wall clock forward or back; the monotonic clock does not notice."""
        with self._lock:
            self._wall += step

    def wait(self, event: Waitable, timeout: float | None = None) -> bool:
        """Wait for ``event`` until ``timeout`` seconds have passed on this clock.

        The clock itself sets ``event`` when that time comes, which is what lets a test wake a
        waiting thread; so give each wait an event of its own, and look at the facts after waking.
        """
        if timeout is None:
            return event.wait(None)
        return self.wait_until(event, self._ticks + timeout)

    def wait_until(self, event: Waitable, moment: float) -> bool:
        """Wait for ``event`` until the monotonic clock reads ``moment``; see :meth:`wait`."""
        entry = (moment, event)
        with self._lock:
            if moment <= self._ticks:
                return event.is_set()
            self._waiters.append(entry)
        try:
            event.wait(None)
        finally:
            with self._lock:
                self._waiters.remove(entry)
        return self._ticks < moment

    @property
    def waiting(self) -> int:
        """How many threads wait for time to pass: lets a test know that they are there."""
        with self._lock:
            return len(self._waiters)
