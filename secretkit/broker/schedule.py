"""Schedule: runs callbacks at moments of the monotonic clock, on one daemon thread.

Callbacks are held weakly, so a broker that nobody holds any more is collected and its thread ends.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from secretkit.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ports import Clock

__all__ = ["Schedule"]

_Timer = tuple[float, int, "weakref.WeakMethod[Callable[..., None]]", tuple[Any, ...]]
_IDLE: Final = 3600.0
_log = logging.getLogger(__name__)


class Schedule:
    """Timers on one thread, started with the first timer. Thread-safe.

    Callbacks must be quick: they start work elsewhere. One that raises is logged by class name.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._timers: list[_Timer] = []
        self._order = itertools.count()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def at(self, moment: float, callback: Callable[..., None], *args: object) -> None:
        """Run the bound method ``callback`` with ``args`` once ``moment`` has come.

        Raises:
            ProviderUnavailableError: if the system gives no thread for it.
        """
        timer = (moment, next(self._order), weakref.WeakMethod(callback), args)
        with self._lock:
            if self._closed:
                return
            heapq.heappush(self._timers, timer)
            if self._thread is None:
                self._thread = self._started()
            if self._timers[0] is timer:
                self._wake.set()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="secretkit-schedule", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # "can't start new thread": a container's limit on processes
            self._timers.clear()
            raise ProviderUnavailableError(
                "the system gives no more threads",
                hint="raise the limit on processes: ulimit -u, or the container's pids",
            ) from None
        return thread

    def close(self) -> None:
        """Drop all timers and let the thread end; it is not waited for."""
        with self._lock:
            self._closed = True
            self._timers.clear()
            self._wake.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                now = self._clock.monotonic()
                due = []
                while self._timers and self._timers[0][0] <= now:
                    due.append(heapq.heappop(self._timers))
                # A fresh event for each wait: a FakeClock sets it when the time has come.
                wake = self._wake = threading.Event()
                moment = self._timers[0][0] if self._timers else now + _IDLE
            for _, _, reference, args in due:
                callback = reference()
                if callback is not None:
                    _call(callback, args)
                del callback, args
            if not due:
                self._clock.wait_until(wake, moment)


def _call(callback: Callable[..., None], args: tuple[Any, ...]) -> None:
    try:
        callback(*args)
    except Exception as error:  # noqa: BLE001 - without this thread nothing is renewed or ended
        _log.error("a timer failed with %s", type(error).__name__)
