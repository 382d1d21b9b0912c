"""A world for broker tests: a fake clock, a real ledger in memory, and a source under control."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from secretkit.broker.blocking import Broker
from secretkit.broker.state import BrokerContext
from secretkit.core.credential import ApiKey
from secretkit.core.freshness import LeasePolicy
from secretkit.core.secret import Secret
from secretkit.ledger import open as open_ledger
from secretkit.ports import Acquired, Clock, Ledger
from secretkit.testing.clock import FakeClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
POLICY = LeasePolicy(ttl=10 * MINUTE, renew_at=0.6, jitter=0.0)


class Source:
    """A CredentialSource whose value, end and failures a test sets.

    ``gate`` holds calls until it is set; ``fail`` is raised instead of answering.
    """

    ref = "memory:claude"

    def __init__(self, value: str = "key-1") -> None:
        self.value = value
        self.others: list[str] = []
        self.expires_at: datetime | None = None
        self.handle: str | None = None
        self.fail: Exception | None = None
        self.calls = 0
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.revoked: list[str] = []
        self._lock = threading.Lock()

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        with self._lock:
            self.calls += 1
        self.entered.release()
        self.gate.wait()
        if self.fail is not None:
            raise self.fail
        pool = [self.value, *self.others]
        chosen = next((text for text in pool if not refused(Secret(text))), pool[0])
        return Acquired(
            credential=ApiKey(Secret(chosen), self.expires_at), ref=self.ref, handle=self.handle
        )

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        self.revoked.append(handle)


@dataclass
class World:
    """Everything a test may touch, and the broker made of it."""

    source: Source = field(default_factory=Source)
    clock: FakeClock = field(default_factory=FakeClock)
    ledger: Ledger = field(default_factory=lambda: open_ledger("sqlite://"))
    policy: LeasePolicy = POLICY
    system_clock: Clock | None = None

    def __post_init__(self) -> None:
        self.watched: list[Secret] = []
        self.context = BrokerContext(
            clock=self.system_clock or self.clock,
            ledger=self.ledger,
            rng=lambda: 0.5,
            holder=lambda: f"host:{threading.get_ident()}",
            release=self.ledger.close,
            watch=self.watched.append,
        )
        self.broker = Broker({"claude": self.source}, context=self.context, policy=self.policy)

    def value(self) -> str:
        """The value that the broker serves now."""
        return self.broker.get("claude").reveal()


def until(happened: Callable[[], object], *, what: str, seconds: float = 10.0) -> None:
    """Wait for another thread's work to show, or fail saying what was waited for."""
    waiting = threading.Event()
    for _ in range(int(seconds / 0.002)):
        if happened():
            return
        waiting.wait(0.002)
    raise AssertionError(f"this did not happen within {seconds} s: {what}")


def pass_time_until(clock: FakeClock, happened: Callable[[], object], *, what: str) -> None:
    """Let looks at the ledger come due, one after the other, until one of them has an effect.

    One step is not enough: a look that is under way when time passes is due again only later.
    """
    for _ in range(20):
        clock.advance(3 * SECOND)
        waiting = threading.Event()
        for _ in range(100):
            if happened():
                return
            waiting.wait(0.002)
    raise AssertionError(f"this did not happen in 20 looks: {what}")
