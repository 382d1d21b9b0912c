"""Workers: daemon threads for calls to sources, so that a hung source holds nobody's exit.

Not ``concurrent.futures``: its threads are joined at interpreter exit, and a store that never
answers would keep the process alive for ever. A thread cannot be cancelled, so a call that outlives
its deadline is written off (``abandon``) and another thread takes its place. Whoever submits bounds
how many of one source may hang: the engine allows two.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from secretkit.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Workers"]

_AT_ONCE: Final = 64  # so many sources would have to hang at once to hold up another one


class Workers:
    """Runs jobs on at most ``at_once`` threads, which end when idle. Thread-safe."""

    def __init__(self, *, at_once: int = _AT_ONCE) -> None:
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._running: set[Callable[[], None]] = set()
        self._threads = 0
        self._at_once = at_once

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` as soon as a thread is free.

        Raises:
            ProviderUnavailableError: if the system gives no thread; then the job is forgotten.
        """
        with self._lock:
            self._jobs.append(job)
            try:
                self._grow()
            except RuntimeError:  # "can't start new thread": a container's limit on processes
                if self._threads == 0:  # else one of those running takes it
                    self._jobs.remove(job)
                    raise ProviderUnavailableError(
                        "the system gives no more threads",
                        hint="raise the limit on processes: ulimit -u, or the container's pids",
                    ) from None

    def _grow(self) -> None:
        if self._threads < self._at_once:
            threading.Thread(target=self._run, name="secretkit-fetch", daemon=True).start()
            self._threads += 1  # after the start, which may fail; the thread waits for the lock

    def abandon(self, job: Callable[[], None]) -> bool:
        """Write ``job`` off: forget it if it has not started, else stop counting its thread.

        Says whether it was running, and so hangs.
        """
        with self._lock:
            if job not in self._running:
                if job in self._jobs:
                    self._jobs.remove(job)
                return False
            self._running.discard(job)
            self._threads -= 1
            if self._jobs:
                try:
                    self._grow()
                except RuntimeError:
                    _log("the system gives no thread in place of one that hangs")
            return True

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._threads -= 1
                    return
                job = self._jobs.popleft()
                self._running.add(job)
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - a job of ours; the thread must go on
                _log("a job failed with %s", type(error).__name__)
            with self._lock:
                if job not in self._running:
                    return  # written off meanwhile: its place is taken
                self._running.discard(job)


def _log(message: str, *arguments: object) -> None:
    import logging  # noqa: PLC0415 - 3 ms of the 60 that a token may take, and seldom needed

    logging.getLogger(__name__).error(message, *arguments)
