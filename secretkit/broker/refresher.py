"""Refresher: starts calls to sources, takes what they bring, renews ahead and ends what hangs.

What a call brings is decided in ``state``; what it does to the world is done in ``fetch``. Here
is the order in which both happen: decide under the lock, wake those who wait, and only then tell
others or give anything back, because that runs code that is not ours and may take as long as it
likes.
"""

from __future__ import annotations

import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from secretkit.broker.fetch import Fetching
from secretkit.broker.flight import Flight
from secretkit.broker.notice import Notices
from secretkit.broker.revocation import RevocationWatch
from secretkit.broker.schedule import Schedule
from secretkit.broker.state import closed, defect, hanging, overdue, revoked
from secretkit.broker.worker import Workers
from secretkit.errors import SecretkitError
from secretkit.ports import Change

if TYPE_CHECKING:
    from secretkit.broker.memory import Memory
    from secretkit.broker.state import BrokerContext, Held, State
    from secretkit.core.lease import Lease

__all__ = ["Refresher"]

_log = logging.getLogger(__name__)
_MOST_HUNG: Final = 2  # calls to one source that were written off and have not come back
_GRACE: Final = 60.0  # seconds that requests under way may still use what was replaced


class Refresher:
    """Runs the flights of one memory. ``launch`` and ``renew`` are called with its lock held."""

    def __init__(self, memory: Memory, context: BrokerContext) -> None:
        self._memory = memory
        self._clock = context.clock
        self._rng = context.rng
        self.fetching = Fetching(context)
        self.notices = Notices()
        self._replaced: list[tuple[State, Held]] = []
        self._start()

    def _start(self) -> None:
        self._workers = Workers()
        self._schedule = Schedule(self._clock)
        self.watch = RevocationWatch(
            schedule=self._schedule,
            workers=self._workers,
            clock=self._clock,
            look=self.fetching.revoked,
            act=weakref.WeakMethod(self._looked),
        )
        weakref.finalize(self, self._schedule.close)

    # -- with the lock held -----------------------------------------------------------------------

    def launch(self, state: State, flight: Flight, *, now: float) -> Flight:
        """Start ``flight``; raises ProviderUnavailableError where no call can be made."""
        if state.hung >= _MOST_HUNG:
            raise hanging(state)
        flight.deadline = now + state.policy.fetch_timeout.total_seconds()
        flight.job = job = partial(self._fly, state, flight)
        self._schedule.at(flight.deadline, self._overdue, state, flight)
        self._workers.submit(job)
        state.flight = flight
        self._memory.publish(state, until=flight.deadline)
        return flight

    def renew(self, state: State, *, now: float) -> None:
        """Start a renewal if none is under way and the last failure is long enough ago."""
        if state.flight is not None or (state.failures and now < state.not_before):
            return
        try:
            self.launch(state, Flight(), now=now)
        except SecretkitError as error:
            self._fail(state, error, now=now)

    def _fail(self, state: State, error: SecretkitError, *, now: float) -> Held | None:
        dropped = state.fail(error, now=now, dice=self._rng())
        self._memory.publish(state, until=state.not_before)
        if state.held is not None:
            self._schedule.at(state.not_before, self._due, state, state.held)
        return dropped

    def _accept(self, state: State, flight: Flight, held: Held) -> Held | None:
        now, previous = self._clock.monotonic(), state.held
        distrusted = flight.distrust is not None
        renew_at = state.accept(held, distrusted=distrusted, now=now, dice=self._rng())
        self._memory.publish(state, until=renew_at)
        self._schedule.at(renew_at, self._due, state, held)
        self.watch.start()
        replaced = previous is not None and previous.lease.id != held.lease.id
        if previous is None or not replaced:
            return None
        if previous.handle not in {None, held.handle} and previous.own:
            self._replaced.append((state, previous))
            self._schedule.at(now + _GRACE, self._give_back_replaced, state, previous)
        return previous

    # -- one flight, on a worker thread -----------------------------------------------------------

    def _fly(self, state: State, flight: Flight) -> None:
        try:
            try:
                held = self.fetching.fetch(state, flight)
            except SecretkitError as error:
                self._failed(state, flight, error)
            else:
                self._landed(state, flight, held)
        except BaseException as error:  # noqa: BLE001 - whatever happens, waiters must wake
            self._failed(state, flight, defect(state, error))
        finally:
            flight.land(error=overdue(state))  # only if nothing else landed it
            flight.job = None  # the timer for its deadline still holds the flight
            with self._memory.lock:
                state.hung -= flight.written_off
                stranded = state.follow if state.flight is None else None
                if stranded is not None:
                    state.follow = None
            if stranded is not None:  # only after a defect: each other way lands or launches it
                stranded.land(error=overdue(state))

    def _landed(self, state: State, flight: Flight, held: Held) -> None:
        with self._memory.lock:
            late = state.flight is not flight or self._memory.closed
            void = held.lease.id in state.revoked
            replaced = None if late or void else self._accept(state, flight, held)
            current = state.held
            if void and not late:
                state.flight = None
            follow = None if late else self._follow(state, held)
        outcome: dict[str, Any] = {"error": revoked(state)} if void else {"lease": held.lease}
        if not late:
            flight.land(**outcome)
            if follow is not None:
                follow.land(**outcome)
        if late or void:
            self.fetching.give_back_late(state, held, current)
            return
        if replaced is not None and replaced.own:
            self.fetching.end(replaced)
        self._tell(state, held.lease)

    def _follow(self, state: State, held: Held | None) -> Flight | None:
        """Start what waited for the end of this flight; give it back if it need not fly."""
        follow, state.follow = state.follow, None
        if follow is None or held is None or held.fingerprint != follow.distrust:
            return follow
        try:
            self.launch(state, follow, now=self._clock.monotonic())
        except SecretkitError:
            return follow
        return None

    def _failed(self, state: State, flight: Flight, error: SecretkitError) -> None:
        with self._memory.lock:
            if state.flight is not flight:
                return
            state.flight = None
            dropped = self._fail(state, error, now=self._clock.monotonic())
            shared = state.error or error
            follow, state.follow = state.follow, None
        flight.land(error=shared)
        if follow is not None:
            follow.land(error=shared)
        _log.warning("%s: %s: %s", state.name, type(error).__name__, error)
        if dropped is not None:
            self.fetching.give_back(state, dropped)

    def _tell(self, state: State, lease: Lease) -> None:
        with self._memory.lock:
            before, state.told = state.told, lease.generation
        if before != lease.generation:
            self.notices.tell(Change(name=state.name, previous=before, generation=lease.generation))

    # -- timers -----------------------------------------------------------------------------------

    def _due(self, state: State, held: Held) -> None:
        with self._memory.lock:
            if state.held is held and not self._memory.closed:
                self.renew(state, now=self._clock.monotonic())

    def _overdue(self, state: State, flight: Flight) -> None:
        with self._memory.lock:
            if state.flight is not flight:
                return
            if flight.job is not None and self._workers.abandon(flight.job):
                flight.written_off = 1
                state.hung += 1
        self._failed(state, flight, overdue(state))

    def _give_back_replaced(self, state: State, held: Held) -> None:
        if (state, held) in self._replaced:
            self._replaced.remove((state, held))
            self._workers.submit(partial(self.fetching.return_handle, state, held.handle))

    def _looked(self, ids: frozenset[str]) -> None:
        """Drop what was revoked, and what a corrected wall clock shows to have ended."""
        with self._memory.lock:
            now = self._clock.now()
            dropped = []
            for state in self._memory.states.values():
                held = state.held
                if held is None:
                    continue
                if held.lease.id in ids:
                    state.revoked.add(held.lease.id)
                    dropped.append((state, held))
                    state.held = None
                if held.stated_end and held.lease.expires_at <= now:
                    state.held = None
                if state.held is None:
                    self._memory.publish(state, until=0.0)
        for state, held in dropped:
            _log.warning("%s: the lease %s was revoked", state.name, held.lease.id)
            self._workers.submit(partial(self.fetching.give_back, state, held))

    # -- the end, and forks -----------------------------------------------------------------------

    def stop(self) -> list[tuple[State, Held]]:
        """Land every flight, start nothing any more, give what is to be given back."""
        with self._memory.lock:
            self._memory.closed = True
            self._memory.fresh.clear()
            states = list(self._memory.states.values())
            held = [(state, state.held) for state in states if state.held] + self._replaced
            flights = [f for state in states for f in (state.flight, state.follow) if f]
            self._replaced = []
            for state in states:
                state.held = state.flight = state.follow = None
        self._schedule.close()
        for flight in flights:
            flight.land(error=closed())
        return held

    def after_fork(self) -> None:
        """Take new threads and a new name in a forked child; what is held is the parent's."""
        states = self._memory.states.values()
        self.fetching.after_fork(frozenset(s.held.lease.id for s in states if s.held))
        self.notices.after_fork()
        self._replaced = []
        self._start()
        for state in states:
            state.inherit()
            if state.held is not None:
                early = state.held.life * state.policy.jitter * self._rng()
                self._memory.publish(state, until=state.held.window.renew_at - early)
        if self._memory.fresh and not self._memory.closed:
            self.watch.start()
