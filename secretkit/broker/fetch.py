"""Fetch: one call to a source, written down before anything is handed out."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.broker.state import DENIED, Held, defect, overdue
from secretkit.core.credential import secrets_of
from secretkit.core.freshness import window
from secretkit.core.lease import Lease
from secretkit.core.record import replace
from secretkit.errors import (
    GrantError,
    ProviderError,
    SecretkitError,
)
from secretkit.ports import AuditEvent, Event, Issuance

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from secretkit.broker.flight import Flight
    from secretkit.broker.state import BrokerContext, State
    from secretkit.core.secret import Secret
    from secretkit.ports import Acquired

__all__ = ["Fetching"]

_REVOKE_WITHIN: Final = timedelta(seconds=5)


class Fetching:
    """The part of a broker that calls sources and the ledger. Runs on worker threads."""

    def __init__(self, context: BrokerContext) -> None:
        self._clock = context.clock
        self._ledger = context.ledger
        self._rng = context.rng
        self._watch = context.watch
        self._name_holder = context.holder
        self._holder = context.holder()
        self._inherited: frozenset[str] = frozenset()

    @property
    def holder(self) -> str:
        """Who leases: names this process."""
        return self._holder

    def fetch(self, state: State, flight: Flight) -> Held:
        """Count the call, make it, write the lease down, and only then give it.

        Both clocks are read before the call, so that a slow source's end is never overrated.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        policy = state.policy
        self._ledger.count_call(state.source.ref, now=now, limit=int(policy.calls), per=policy.per)
        refused = self._ledger.refused(state.name, now=now)
        acquired = self._acquire(state, lambda mark: mark in refused or mark == flight.distrust)
        try:
            return self._written_down(state, flight, acquired, refused, (now, monotonic))
        except BaseException:
            served = state.held
            if served is None or served.handle != acquired.handle:  # not one that was renewed
                self.return_handle(state, acquired.handle)
            raise

    def _written_down(
        self,
        state: State,
        flight: Flight,
        acquired: Acquired,
        refused: frozenset[str],
        asked: tuple[datetime, float],
    ) -> Held:
        now, monotonic = asked
        policy = state.policy
        for secret in secrets_of(acquired.credential):
            self._watch(secret)
        fingerprint = self._ledger.fingerprint(acquired.credential.secret)
        if flight.landed:  # it was written off: nobody waits for this any more
            raise overdue(state)
        if flight.distrust is not None and fingerprint != flight.distrust:
            self._note_refusal(state, flight.distrust)
        stated = acquired.credential.expires_at
        end = now + policy.ttl if stated is None else min(now + policy.ttl, stated)
        if end <= self._clock.now():
            raise ProviderError(
                f"{acquired.ref} gave a credential that has already ended",
                ref=acquired.ref,
                hint="compare this machine's clock with the store's; then ask again",
            )
        return Held(
            lease=self._issue(state, acquired, fingerprint, granted_at=now, expires_at=end),
            window=window(
                now=now, monotonic=monotonic, expires_at=end, policy=policy, dice=self._rng()
            ),
            fingerprint=fingerprint,
            stated_end=end == stated,
            life=(end - now).total_seconds(),
            suspect=fingerprint in refused or fingerprint == flight.distrust,
            handle=acquired.handle,
        )

    def _acquire(self, state: State, is_refused: Callable[[str], bool]) -> Acquired:
        def refused(secret: Secret) -> bool:
            return is_refused(self._ledger.fingerprint(secret))

        try:
            return state.source.acquire(timeout=state.policy.fetch_timeout, refused=refused)
        except SecretkitError as error:
            failure: SecretkitError = error
        except BaseException as error:  # noqa: BLE001 - third-party code; waiters must wake
            failure = defect(state, error)
        event = Event.FETCH_DENIED if isinstance(failure, DENIED) else Event.FETCH_FAILED
        with suppress(SecretkitError):  # the failure itself is what the caller must see
            self._ledger.record(self._event(state, event, outcome=type(failure).__name__))
        raise failure

    def _issue(
        self,
        state: State,
        acquired: Acquired,
        fingerprint: str,
        *,
        granted_at: datetime,
        expires_at: datetime,
    ) -> Lease:
        held = state.held
        renews = held is not None and held.own and held.fingerprint == fingerprint
        record = Issuance(
            lease_id=held.lease.id if held and renews else os.urandom(8).hex(),
            name=state.name,
            holder=self._holder,
            ref=acquired.ref,
            fingerprint=fingerprint,
            granted_at=granted_at,
            expires_at=expires_at,
            renews=renews,
        )
        try:
            generation = self._ledger.issue(record)
        except GrantError:  # revoked since; what comes now is a lease of its own
            if not renews:
                raise
            record = replace(record, lease_id=os.urandom(8).hex(), renews=False)
            generation = self._ledger.issue(record)
        return Lease(
            id=record.lease_id,
            name=state.name,
            credential=acquired.credential,
            generation=generation,
            holder=self._holder,
            ref=acquired.ref,
            granted_at=granted_at,
            expires_at=expires_at,
        )

    def _note_refusal(self, state: State, fingerprint: str) -> None:
        until = self._clock.now() + state.policy.refused_for
        event = self._event(state, Event.GENERATION_REFUSED)
        self._ledger.refuse(state.name, fingerprint, until=until, event=event)
        _warn("%s: the service refused a secret; another one takes its place", state.name)

    def _event(self, state: State, event: Event, *, outcome: str = "") -> AuditEvent:
        held = state.held
        return AuditEvent(
            event=event,
            at=self._clock.now(),
            holder=self._holder,
            name=state.name,
            ref=state.source.ref,
            generation=held.lease.generation if held else 0,
            lease_id=held.lease.id if held else "",
            outcome=outcome,
        )

    def end(self, held: Held) -> None:
        """Mark a lease as ended in the ledger."""
        try:
            self._ledger.end(held.lease.id, at=self._clock.now())
        except SecretkitError as error:  # it ends by itself at its stated end
            _warn("lease %s could not be marked as ended: %s", held.lease.id, error)

    def return_handle(self, state: State, handle: str | None) -> None:
        """Give back what a store leased to us, where it can take it back."""
        if handle is None:
            return
        try:
            state.source.revoke(handle, timeout=_REVOKE_WITHIN)
        except Exception as error:  # noqa: BLE001 - third-party code; it ends by itself
            failure = type(error).__name__
            _warn("%s: its store did not take the lease back (%s)", state.name, failure)

    def give_back(self, state: State, held: Held) -> None:
        """End a lease of ours: in its store, where that can take it back, and in the ledger."""
        if held.own:
            self.return_handle(state, held.handle)
            self.end(held)

    def give_back_late(self, state: State, held: Held, current: Held | None) -> None:
        """Undo what a call brought that nobody waits for, and leave what is served alone."""
        if current is None:
            self.give_back(state, held)
        elif held.lease.id != current.lease.id:
            if held.handle == current.handle and held.own:  # renewed, so it is what is served
                self.end(held)
            else:
                self.give_back(state, held)
        elif held.handle != current.handle:
            self.return_handle(state, held.handle)

    def revoked(self) -> frozenset[str]:
        """Give the ids of leases in our hands that were revoked; none if the ledger is away.

        In a forked child also those of the parent's leases that ended: the parent ends them.
        """
        try:
            gone = {lease_id for lease_id in self._inherited if self._ended(lease_id)}
            return self._ledger.revoked(self._holder) | gone
        except Exception as error:  # noqa: BLE001 - the watch must go on
            _warn("revocations could not be read: %s", type(error).__name__)
            return frozenset()

    def _ended(self, lease_id: str) -> bool:
        record = self._ledger.lease(lease_id)
        return record.revoked or record.ended_at is not None

    def after_fork(self, inherited: frozenset[str]) -> None:
        """Take another name in the child, and drop the parent's connections."""
        self._ledger.after_fork()
        self._holder = self._name_holder()
        self._inherited = inherited


def _warn(message: str, *arguments: object) -> None:
    import logging  # noqa: PLC0415 - 4 ms of the 60 that a token may take, and seldom needed

    logging.getLogger(__name__).warning(message, *arguments)
