"""Upstream: the stand-in for a token endpoint. No network; it counts, takes its time, may fail."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import Final

LONG: Final = 3600.0


class UpstreamDownError(Exception):
    """The stand-in is down."""


class Upstream:
    """What every subject fetches from. Thread-safe.

    ``life`` is how long the next credential lives, in seconds. One of life 0 is what the herd
    benchmark calls expired: each peer's own window says that it must be renewed before it is used.
    """

    def __init__(self, *, life: float = LONG) -> None:
        self._lock = threading.Lock()
        self.life = life
        self.delay = 0.0
        self.down = False
        self.calls = 0

    def change(self, *, delay: float, down: bool) -> None:
        """From now on take ``delay`` seconds a call, give long lives or fail; count from zero."""
        self.life, self.delay, self.down, self.calls = LONG, delay, down, 0

    def fetch(self) -> float:
        """Give the end of a new credential, in seconds of the wall clock."""
        self._count()
        time.sleep(self.delay)
        return self._answer()

    async def fetch_async(self) -> float:
        """Give the same to a coroutine."""
        self._count()
        await asyncio.sleep(self.delay)
        return self._answer()

    def fetch_date(self) -> datetime:
        """Give the end as a date."""
        return datetime.fromtimestamp(self.fetch(), UTC)

    def _count(self) -> None:
        with self._lock:
            self.calls += 1

    def _answer(self) -> float:
        if self.down:
            raise UpstreamDownError("the stand-in is down")
        return time.time() + self.life
