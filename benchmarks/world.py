"""World: a secretkit broker over the stand-in upstream, and the floor it is measured against."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measure import Subject
from benchmarks.upstream import UpstreamDownError
from secretkit.broker.aio import AsyncBroker
from secretkit.broker.clock import SystemClock
from secretkit.config.schema import Config, CredentialConfig
from secretkit.core.credential import ApiKey
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError
from secretkit.ports import Fetched
from secretkit.wiring import Toolkit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from benchmarks.upstream import Upstream
    from secretkit.broker.blocking import Broker
    from secretkit.ports import Clock, Provider, Waitable

NAME: Final = "claude"
_REST: Final = 0.1  # seconds


def fake_key() -> Secret:
    """Make a key of the usual length, at run time: it opens nothing."""
    return Secret("sk-ant-api03-" + secrets.token_urlsafe(71)[:95])


class UpstreamProvider:
    """A provider over the stand-in upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:  # noqa: ARG002 - the port's
        try:
            self._upstream.fetch()
        except UpstreamDownError:
            raise ProviderError("the stand-in is down", ref=str(ref), hint="wait") from None
        return Fetched(secret=fake_key())


class SleptClock(SystemClock):
    """The machine's clock, which can have slept: both clocks jump, as after a suspended night.

    Timers do not fire on it: callers are to find the expired lease before a renewal does.
    """

    def __init__(self) -> None:
        super().__init__()
        self._real = self.monotonic
        self._slept = timedelta()
        self.monotonic = lambda: self._real() + self._slept.total_seconds()

    def now(self) -> datetime:
        return super().now() + self._slept

    def wait_until(self, event: Waitable, moment: float) -> bool:
        del moment
        return event.wait()

    def sleep(self, night: timedelta) -> None:
        """Let both clocks jump, once the broker's threads have gone to rest."""
        time.sleep(_REST)
        self._slept += night


def broker_of(
    names: Iterable[str],
    provider: Provider,
    *,
    clock: Clock | None = None,
    ledger_url: str = "sqlite://",
) -> Broker:
    """Give a broker as wiring makes it: the machine's clock, a ledger in memory, one provider."""
    credentials = {
        name: CredentialConfig(name=name, kind=ApiKey.kind, sources=(SecretRef("memory", name),))
        for name in names
    }
    config = Config(credentials=MappingProxyType(credentials), ledger_url=ledger_url)
    return Toolkit(config, environ={}, clock=clock, providers={"memory": provider}).broker()


def _held(upstream: Upstream) -> Broker:
    """Give a broker that holds a lease, which has ended if the upstream's life is 0."""
    ended = upstream.life == 0
    clock = SleptClock() if ended else None
    broker = broker_of([NAME], UpstreamProvider(upstream), clock=clock)
    broker.lease(NAME)
    if clock is not None:
        clock.sleep(timedelta(days=1))
    return broker


def ours(upstream: Upstream) -> Subject:
    """Give ``Broker.lease``."""
    broker = _held(upstream)
    return Subject(
        "secretkit Broker.lease", f"broker.lease({NAME!r})", {"broker": broker}, close=broker.close
    )


def ours_async(upstream: Upstream) -> Subject:
    """Give ``AsyncBroker.lease``."""
    broker = _held(upstream)
    names = {"broker": AsyncBroker(broker)}
    return Subject(
        "secretkit AsyncBroker.lease",
        f"broker.lease({NAME!r})",
        names,
        coroutine=True,
        close=broker.close,
    )


@dataclass(slots=True)
class _Floor:
    """The least that a cache with an end can do: no lock, no name, no renewal."""

    snapshot: tuple[float, object]
    monotonic: Callable[[], float]

    def get(self) -> object:
        snapshot = self.snapshot
        if self.monotonic() < snapshot[0]:
            return snapshot[1]
        raise LookupError

    async def get_async(self) -> object:
        snapshot = self.snapshot
        if self.monotonic() < snapshot[0]:
            return snapshot[1]
        raise LookupError


@dataclass(slots=True)
class _LockedDict:
    """What one writes first: a dict, a lock, an end."""

    entries: dict[str, tuple[float, object]]
    lock: Any

    def get(self, name: str) -> object:
        with self.lock:
            ends, value = self.entries[name]
            if time.monotonic() < ends:
                return value
        raise LookupError


def _floor(monotonic: Callable[[], float]) -> _Floor:
    return _Floor((monotonic() + 3600, fake_key()), monotonic)


def floor() -> Subject:
    """Give the floor: one attribute, ``time.monotonic``, one compare, a return."""
    return Subject("floor", "floor.get()", {"floor": _floor(time.monotonic)})


def floor_async() -> Subject:
    """Give the floor as a coroutine that never suspends."""
    names = {"floor": _floor(time.monotonic)}
    return Subject("floor", "floor.get_async()", names, coroutine=True)


def floor_boottime() -> Subject:
    """Give the floor over the clock that the broker uses, which counts a suspended machine."""
    monotonic = SystemClock().monotonic
    return Subject("floor, clock that counts suspend", "f.get()", {"f": _floor(monotonic)})


def locked_dict() -> Subject:
    """Give a dict under a lock."""
    cache = _LockedDict({NAME: (time.monotonic() + 3600, fake_key())}, threading.Lock())
    return Subject("dict + lock", f"cache.get({NAME!r})", {"cache": cache})
