"""Engine: decides, under a short lock, who is served, who waits and what is fetched.

The lock is never held over a call to a source, a ledger or a callback. What a source or the
ledger does happens in ``fetch``, on a worker thread; what is decided about it happens here.
"""

from __future__ import annotations

import difflib
import logging
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING

from secretkit.broker import fork
from secretkit.broker.fetch import Fetching
from secretkit.broker.flight import Flight
from secretkit.broker.notice import Notices
from secretkit.broker.revocation import RevocationWatch
from secretkit.broker.schedule import Schedule
from secretkit.broker.state import State, closed, defect, overdue
from secretkit.broker.worker import Workers
from secretkit.core.freshness import Verdict, judge
from secretkit.core.record import replace
from secretkit.errors import (
    ConfigError,
    SecretkitError,
)
from secretkit.ports import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.broker.state import BrokerContext, Held, Status
    from secretkit.core.freshness import LeasePolicy
    from secretkit.core.lease import Lease
    from secretkit.ports import CredentialSource

__all__ = ["Engine"]

_log = logging.getLogger(__name__)


class Engine:
    """One broker's decisions and memory. Thread-safe, many-loop-safe, fork-safe.

    ``fresh`` maps a name to ``(attend_at, lease)``: until that moment the lease may be served
    without asking anybody. Faces read it without a lock; only the engine writes it.
    """

    def __init__(
        self,
        sources: Mapping[str, CredentialSource],
        *,
        context: BrokerContext,
        policies: Mapping[str, LeasePolicy],
    ) -> None:
        self.clock = context.clock
        self.fresh: dict[str, tuple[float, Lease]] = {}
        self.fetching = Fetching(context)
        self._notices = Notices()
        self._rng = context.rng
        self._states = {
            name: State(name=name, source=source, policy=policies[name])
            for name, source in sources.items()
        }
        self._lock = threading.Lock()
        self._closed = False
        self._start_threads()
        fork.guard(self)

    def _start_threads(self) -> None:
        self._workers = Workers()
        self._schedule = Schedule(self.clock)
        self._watch = RevocationWatch(
            schedule=self._schedule,
            workers=self._workers,
            clock=self.clock,
            look=self.fetching.revoked,
            act=weakref.WeakMethod(self._revoked),
        )
        weakref.finalize(self, self._schedule.close)

    # -- what faces ask ---------------------------------------------------------------------------

    def attend(self, name: str) -> Lease | Flight:
        """Give a lease that may be served now, or the flight to wait for."""
        state = self._state(name)
        with self._lock:
            if self._closed:
                raise closed()
            now = self.clock.monotonic()
            held = state.held
            verdict = judge(held.window, now) if held else Verdict.EXPIRED
            if held and verdict in {Verdict.SERVE, Verdict.SERVE_AND_RENEW}:
                if verdict is Verdict.SERVE_AND_RENEW and state.flight is None:
                    self._renew_now(state, now)
                return held.lease
            if state.flight is not None:
                return state.flight
            state.check_pause(now)
            return self._take_off(state, now)

    def force(self, name: str, *, seen: int | None) -> Lease | Flight:
        """Give a lease newer than ``seen``, or the flight that may bring one.

        Also gives the current lease when the source lately had nothing newer, so that a dead key
        costs one call to the source and not one a request.
        """
        state = self._state(name)
        with self._lock:
            if self._closed:
                raise closed()
            now = self.clock.monotonic()
            held = state.held
            usable = held is not None and now < held.window.serve_until
            if held and usable and seen is not None and held.lease.generation != seen:
                return held.lease
            if state.flight is not None:
                if held and seen is not None:
                    state.flight.distrust = held.fingerprint
                return state.flight
            if now < state.force_after:
                if held and usable:
                    return held.lease
                state.check_pause(now)
            distrust = held.fingerprint if held and seen is not None else None
            return self._take_off(state, now, distrust=distrust)

    def peek(self, name: str) -> Lease | None:
        """Give the lease that may be served now, if any; starts nothing."""
        with self._lock:
            held = self._state(name).held
            if held and self.clock.monotonic() < held.window.serve_until:
                return held.lease
            return None

    def names(self) -> tuple[str, ...]:
        """Give the names of all credentials."""
        return tuple(self._states)

    def subscribe(self, name: str, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have ``callback`` called after each new generation; gives the function that stops it."""
        return self._notices.subscribe(self._state(name).name, callback)

    def status(self) -> list[Status]:
        """Give what may be shown of each credential."""
        with self._lock:
            return [state.show() for state in self._states.values()]

    # -- flights ----------------------------------------------------------------------------------

    def _take_off(self, state: State, now: float, *, distrust: str | None = None) -> Flight:
        timeout = state.policy.fetch_timeout.total_seconds()
        flight = Flight(deadline=now + timeout, distrust=distrust)
        flight.job = partial(self._fly, state, flight)
        self._workers.submit(flight.job)
        state.flight = flight
        self._schedule.at(flight.deadline, self._overdue, state, flight)
        self._publish(state, until=flight.deadline)
        return flight

    def _fly(self, state: State, flight: Flight) -> None:
        try:
            held = self.fetching.fetch(state, flight)
        except SecretkitError as error:
            self._failed(state, flight, error)
        except BaseException as error:  # noqa: BLE001 - whatever happens, waiters must wake
            self._failed(state, flight, defect(state, error))
        else:
            self._landed(state, flight, held)
        flight.job = None  # the timer for its deadline still holds the flight: free the engine

    def _landed(self, state: State, flight: Flight, held: Held) -> None:
        with self._lock:
            late = state.flight is not flight or self._closed
            previous = state.held
            if not late:
                now = self.clock.monotonic()
                distrusted = flight.distrust is not None
                renew_at = state.accept(held, distrusted=distrusted, now=now, dice=self._rng())
                self._publish(state, until=renew_at)
                self._schedule.at(renew_at, self._due, state, held)
                self._watch.start()
        if late:
            self.fetching.give_back(state, held)
            return
        before = previous.lease.generation if previous else None
        if before != held.lease.generation:
            self._notices.tell(
                Change(name=state.name, previous=before, generation=held.lease.generation)
            )
        flight.land(lease=held.lease)

    def _failed(self, state: State, flight: Flight, error: SecretkitError) -> None:
        with self._lock:
            if state.flight is not flight:
                return
            dropped = state.fail(error, now=self.clock.monotonic(), dice=self._rng())
            self._publish(state, until=state.not_before)
            if state.held is not None:
                self._schedule.at(state.not_before, self._due, state, state.held)
            shared = state.error or error
        _log.warning("%s: %s: %s", state.name, type(error).__name__, error)
        if dropped is not None:
            self.fetching.give_back(state, dropped)
        flight.land(error=shared)

    def _publish(self, state: State, *, until: float) -> None:
        """Let faces serve what is held without asking, until the next thing is to be done."""
        held = state.held
        if held is None:
            self.fresh.pop(state.name, None)
        else:
            self.fresh[state.name] = (min(until, held.window.serve_until), held.lease)

    # -- timers -----------------------------------------------------------------------------------

    def _due(self, state: State, held: Held) -> None:
        with self._lock:
            if state.held is held and state.flight is None and not self._closed:
                self._renew_now(state, self.clock.monotonic())

    def _renew_now(self, state: State, now: float) -> None:
        if now < state.not_before and state.failures:
            return
        try:
            self._take_off(state, now)
        except SecretkitError as error:  # too many calls hang; what is held is still served
            state.error = error

    def _overdue(self, state: State, flight: Flight) -> None:
        if state.flight is not flight:
            return
        if flight.job is not None:
            self._workers.abandon(flight.job)
        error = overdue(state)
        # Not on the schedule's thread: the ledger may have to be written.
        threading.Thread(target=self._failed, args=(state, flight, error), daemon=True).start()

    def _revoked(self, ids: frozenset[str]) -> None:
        with self._lock:
            dropped = [
                (state, state.held)
                for state in self._states.values()
                if state.held and state.held.lease.id in ids
            ]
            for state, _ in dropped:
                state.held = None
                self._publish(state, until=0.0)
        for state, held in dropped:
            _log.warning("%s: the lease %s was revoked", state.name, held.lease.id)
            self.fetching.give_back(state, held)

    # -- the end, and forks -----------------------------------------------------------------------

    def shut(self) -> list[tuple[State, Held]]:
        """Serve nothing any more; give what is to be given back."""
        with self._lock:
            self._closed = True
            self.fresh.clear()
            held = [(state, state.held) for state in self._states.values() if state.held]
            flights = [state.flight for state in self._states.values() if state.flight]
            for state in self._states.values():
                state.held = state.flight = None
        self._schedule.close()
        for flight in flights:
            flight.land(error=closed())
        return held

    def before_fork(self) -> None:
        """Hold the lock over the fork, so that the child finds whole state."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Drop flights and threads, keep what may still be served, and spread the renewals."""
        self._lock = threading.Lock()
        self.fetching.after_fork()
        self._notices.after_fork()
        self._start_threads()
        for state in self._states.values():
            state.flight = None
            held = state.held
            if held is not None:
                state.held = replace(held, own=False)
                early = held.life * state.policy.jitter * self._rng()
                self._publish(state, until=held.window.renew_at - early)

    def _state(self, name: str) -> State:
        try:
            return self._states[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._states, n=1)
            known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._states)}"
            raise ConfigError(f"there is no credential {name!r}", hint=known) from None
