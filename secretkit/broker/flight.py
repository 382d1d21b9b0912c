"""Flight: one call to a source, whose outcome every waiting thread and loop shares."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.core.lease import Lease
    from secretkit.errors import SecretkitError

__all__ = ["Flight"]


class Flight:
    """The promise of a lease. It lands exactly once, with a lease or with an error.

    ``distrust`` is the fingerprint that a caller saw refused, if that is why the flight started.
    ``written_off`` is 1 once its call outlived the deadline. Both are written under the engine's
    lock.
    """

    __slots__ = (
        "_callbacks",
        "_error",
        "_landed",
        "_lease",
        "_lock",
        "deadline",
        "distrust",
        "job",
        "written_off",
    )

    def __init__(self, *, distrust: str | None = None) -> None:
        self._lock = threading.Lock()
        self._landed = threading.Event()
        self._callbacks: list[Callable[[], Any]] = []
        self._lease: Lease | None = None
        self._error: SecretkitError | None = None
        self.deadline = math.inf
        self.distrust = distrust
        self.job: Callable[[], None] | None = None
        self.written_off = 0

    @property
    def landed(self) -> bool:
        """Whether the outcome is fixed."""
        return self._landed.is_set()

    def land(self, *, lease: Lease | None = None, error: SecretkitError | None = None) -> None:
        """Fix the outcome and wake everybody; only the first call counts."""
        with self._lock:
            if self._landed.is_set():
                return
            self._lease, self._error = lease, error
            self._landed.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def when_landed(self, callback: Callable[[], Any]) -> None:
        """Call ``callback`` once landed, in the landing thread; at once if it has landed."""
        with self._lock:
            if not self._landed.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def wait(self) -> Lease:
        """Wait for the outcome; the engine lands every flight by its deadline.

        In slices of a fifth of a second: a signal that another thread was given does not interrupt
        the main thread's wait, and Ctrl-C must work.
        """
        while not self._landed.wait(0.2):
            pass
        return self.outcome()

    def outcome(self) -> Lease:
        """Give the lease, or raise this waiter's own copy of the error."""
        if self._lease is not None:
            return self._lease
        if self._error is None:
            raise RuntimeError("a flight was asked for its outcome before it landed")
        raise self._error.fresh()
