"""AsyncBroker: the asyncio face of the engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from secretkit.broker.blocking import Broker
from secretkit.core.lease import Lease
from secretkit.errors import AccessDeniedError, SecretkitError, SecretNotFoundError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from datetime import timedelta
    from os import PathLike
    from types import TracebackType

    from secretkit.broker.flight import Flight
    from secretkit.broker.state import Status
    from secretkit.core.secret import Secret
    from secretkit.ports import Change

__all__ = ["AsyncBroker"]


class AsyncBroker:
    """The same broker for coroutines: same names, same leases, same one call to a source.

    A lease in hand is answered from memory without a suspension. Otherwise all coroutines of a
    loop wait on one future; cancelling one of them cancels nothing. May be used from several
    loops.
    """

    __slots__ = ("__weakref__", "_broker", "_engine", "_fresh", "_futures", "_monotonic")

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._engine = broker.engine
        self._fresh = self._engine.fresh
        self._monotonic = self._engine.clock.monotonic
        self._futures: WeakKeyDictionary[AbstractEventLoop, dict[Flight, Future[None]]] = (
            WeakKeyDictionary()
        )

    @classmethod
    def from_config(cls, file: str | PathLike[str] | None = None) -> Self:
        """Give a broker for what the configuration describes; see :meth:`Broker.from_config`."""
        return cls(Broker.from_config(file))

    @property
    def blocking(self) -> Broker:
        """The blocking face over the same leases."""
        return self._broker

    async def lease(self, name: str) -> Lease:
        """Give a lease on ``name``; raises like :meth:`Broker.lease`."""
        try:
            attend_at, lease = self._fresh[name]
            if self._monotonic() < attend_at:
                return lease
        except KeyError:
            pass
        return await self._land(self._engine.attend(name))

    def peek(self, name: str) -> Lease | None:
        """Give the lease in hand if it may be served now, else None; never waits, never asks."""
        return self._broker.peek(name)

    async def get(self, name: str) -> Secret:
        """Give the current secret of ``name``; raises like :meth:`Broker.lease`."""
        return (await self.lease(name)).credential.secret

    async def refresh(self, name: str, *, seen: int | None = None) -> Lease:
        """Give a lease newer than generation ``seen``; see :meth:`Broker.refresh`."""
        try:
            return await self._land(self._engine.force(name, seen=seen))
        except (AccessDeniedError, SecretNotFoundError):
            raise
        except SecretkitError:
            lease = self._engine.peek(name)
            if lease is None:
                raise
            return lease

    async def _land(self, answer: Lease | Flight) -> Lease:
        if isinstance(answer, Lease):
            return answer
        # Shielded: a future awaited directly would be cancelled with the first coroutine to give
        # up.
        await asyncio.shield(self._future(answer))
        return answer.outcome()

    def _future(self, flight: Flight) -> Future[None]:
        loop = asyncio.get_running_loop()
        waiting = self._futures.setdefault(loop, {})
        future = waiting.get(flight)
        if future is None:
            future = waiting[flight] = loop.create_future()

            def resolve() -> None:
                waiting.pop(flight, None)
                if not future.done():
                    future.set_result(None)

            def landed() -> None:
                try:
                    loop.call_soon_threadsafe(resolve)
                except RuntimeError:  # the loop is closed, so nobody waits there
                    waiting.pop(flight, None)

            flight.when_landed(landed)
        return future

    def on_change(self, name: str, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have ``callback`` called in this loop after each new generation.

        Gives the function that stops it. Call it from a coroutine of the loop that is to run it.
        """
        loop = asyncio.get_running_loop()

        def relay(change: Change) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(callback, change)

        return self._broker.on_change(name, relay)

    def names(self) -> tuple[str, ...]:
        """Give the names of all credentials."""
        return self._broker.names()

    def status(self) -> list[Status]:
        """Give generation, end, failures and last error of each credential; no values."""
        return self._broker.status()

    # ASYNC109: the name and meaning are those of Broker.close.
    async def close(self, *, timeout: timedelta | None = None) -> None:  # noqa: ASYNC109
        """Stop serving and give back what was leased; see :meth:`Broker.close`."""
        if timeout is None:
            await asyncio.to_thread(self._broker.close)
        else:
            await asyncio.to_thread(self._broker.close, timeout=timeout)

    async def __aenter__(self) -> Self:
        """Give the broker itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()
