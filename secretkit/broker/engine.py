"""Engine: answers, under a short lock, who is served from memory and who waits for what."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from secretkit.broker import fork
from secretkit.broker.flight import Flight
from secretkit.broker.memory import Memory
from secretkit.broker.refresher import Refresher
from secretkit.broker.state import closed
from secretkit.core.freshness import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.broker.state import BrokerContext, Held, State, Status
    from secretkit.core.freshness import LeasePolicy
    from secretkit.core.lease import Lease
    from secretkit.ports import Change, CredentialSource

__all__ = ["Engine"]


class Engine:
    """One broker's decisions. Thread-safe, many-loop-safe, fork-safe."""

    def __init__(
        self,
        sources: Mapping[str, CredentialSource],
        *,
        context: BrokerContext,
        policies: Mapping[str, LeasePolicy],
    ) -> None:
        self.clock = context.clock
        self._memory = Memory(sources, policies=policies)
        self._refresher = Refresher(self._memory, context)
        self.fresh = self._memory.fresh
        fork.guard(self)

    def attend(self, name: str) -> Lease | Flight:
        """Give a lease that may be served now, or the flight to wait for."""
        state = self._memory.state(name)
        with self._memory.lock:
            if self._memory.closed:
                raise closed()
            now = self.clock.monotonic()
            held = self._usable(state, now)
            if held is not None:
                if judge(held.window, now) is Verdict.SERVE_AND_RENEW:
                    self._refresher.renew(state, now=now)
                return held.lease
            if state.flight is not None:
                return state.flight
            state.check_pause(now)
            return self._refresher.launch(state, Flight(), now=now)

    def force(self, name: str, *, seen: int | None) -> Lease | Flight:
        """Give a lease newer than ``seen``, or the flight that may bring one.

        Also gives the current lease when the source lately had nothing newer, so that a dead key
        costs one call to the source and not one a request.
        """
        state = self._memory.state(name)
        with self._memory.lock:
            if self._memory.closed:
                raise closed()
            now = self.clock.monotonic()
            held = self._usable(state, now)
            if held and seen is not None and held.lease.generation != seen:
                return held.lease
            # Only what was refused is distrusted: a late 401 says nothing about a newer secret.
            refused = state.held is not None and seen == state.held.lease.generation
            distrust = state.held.fingerprint if state.held and refused else None
            if state.flight is not None:
                return state.join(distrust)
            if now < state.force_after:
                if held:
                    return held.lease
                state.check_pause(now)
            return self._refresher.launch(state, Flight(distrust=distrust), now=now)

    def _usable(self, state: State, now: float) -> Held | None:
        """Give what is held if it may be served by both clocks; the wall clock for stated ends."""
        held = state.held
        if held is None or now >= held.window.serve_until:
            return None
        if held.stated_end and held.lease.expires_at <= self.clock.now():
            return None
        return held

    def peek(self, name: str) -> Lease | None:
        """Give the lease that may be served now, if any; starts nothing."""
        state = self._memory.state(name)
        with self._memory.lock:
            held = self._usable(state, self.clock.monotonic())
            return held.lease if held else None

    def names(self) -> tuple[str, ...]:
        """Give the names of all credentials."""
        return tuple(self._memory.states)

    def subscribe(self, name: str, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have ``callback`` called after each new generation; gives the function that stops it."""
        if not callable(callback):
            raise TypeError("on_change takes a function")
        return self._refresher.notices.subscribe(self._memory.state(name).name, callback)

    def status(self) -> list[Status]:
        """Give what may be shown of each credential."""
        with self._memory.lock:
            return [state.show() for state in self._memory.states.values()]

    def shut(self) -> list[tuple[State, Held]]:
        """Serve nothing any more; give what is to be given back with :meth:`give_back`."""
        return self._refresher.stop()

    def give_back(self, state: State, held: Held) -> None:
        """End a lease of ours, in its store and in the ledger."""
        self._refresher.fetching.give_back(state, held)

    def before_fork(self) -> None:
        """Hold the lock over the fork, so that the child finds whole state."""
        self._memory.lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._memory.lock.release()

    def after_fork_in_child(self) -> None:
        """Take a new lock, drop flights and threads, keep what may still be served."""
        self._memory.lock = threading.Lock()
        self._refresher.after_fork()
