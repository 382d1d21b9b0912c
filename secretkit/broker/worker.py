"""Workers: daemon threads for calls to sources, so that a hung source holds nobody's exit.

Not ``concurrent.futures``: its threads are joined at interpreter exit, and a store that never
answers would keep the process alive for ever. A thread cannot be cancelled, so a call that
outlives its deadline is written off (``abandon``), another thread takes its place, and the number
written off is bounded.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from secretkit.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Workers"]

_AT_ONCE: Final = 16
_WRITTEN_OFF: Final = 64


class Workers:
    """Runs jobs on at most ``at_once`` threads, which end when idle. Thread-safe."""

    def __init__(self, *, at_once: int = _AT_ONCE, written_off: int = _WRITTEN_OFF) -> None:
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._running: set[Callable[[], None]] = set()
        self._threads = 0
        self._hung = 0
        self._at_once = at_once
        self._written_off = written_off

    @property
    def hung(self) -> int:
        """How many calls were written off and have still not come back."""
        return self._hung

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job``, which must not raise, as soon as a thread is free.

        Raises:
            ProviderUnavailableError: if too many earlier calls hang.
        """
        with self._lock:
            if self._hung >= self._written_off:
                raise ProviderUnavailableError(
                    f"{self._hung} calls to secret stores hang, so no more are made",
                    hint="see whether the store answers (secretkit provider test), then restart",
                )
            self._jobs.append(job)
            if self._threads - self._hung < self._at_once:
                self._threads += 1
                threading.Thread(target=self._run, name="secretkit-fetch", daemon=True).start()

    def abandon(self, job: Callable[[], None]) -> None:
        """Write ``job`` off: forget it if it has not started, else stop counting its thread."""
        with self._lock:
            if job in self._running:
                self._running.discard(job)
                self._hung += 1
                if self._jobs:
                    self._threads += 1
                    threading.Thread(target=self._run, name="secretkit-fetch", daemon=True).start()
            elif job in self._jobs:
                self._jobs.remove(job)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._threads -= 1
                    return
                job = self._jobs.popleft()
                self._running.add(job)
            job()
            with self._lock:
                if job in self._running:
                    self._running.discard(job)
                else:  # it came back after all
                    self._hung -= 1
                    self._threads -= 1
                    return
