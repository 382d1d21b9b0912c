"""Fetch: one call to a source, written down before anything is handed out."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.broker.state import DENIED, Held, defect
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
        self._ledger.count_call(state.source.ref, now=now, limit=policy.calls, per=policy.per)
        refused = self._ledger.refused(state.name, now=now)
        acquired = self._acquire(state, lambda mark: mark in refused or mark == flight.distrust)
        for secret in secrets_of(acquired.credential):
            self._watch(secret)
        fingerprint = self._ledger.fingerprint(acquired.credential.secret)
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
        if held and held.own and record.lease_id != held.lease.id:
            self._end(held)
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

    def _end(self, held: Held) -> None:
        try:
            self._ledger.end(held.lease.id, at=self._clock.now())
        except SecretkitError as error:  # it ends by itself at its stated end
            _warn("lease %s could not be marked as ended: %s", held.lease.id, error)

    def give_back(self, state: State, held: Held, *, within: timedelta = _REVOKE_WITHIN) -> None:
        """End a lease of ours: in its store, where that can take it back, and in the ledger."""
        if not held.own:
            return
        if held.handle is not None:
            try:
                state.source.revoke(held.handle, timeout=within)
            except Exception as error:  # noqa: BLE001 - third-party code; it ends by itself
                failure = type(error).__name__
                _warn("%s: its store did not take the lease back (%s)", state.name, failure)
        self._end(held)

    def revoked(self) -> frozenset[str]:
        """Give the ids of this process's leases that were revoked; none if the ledger is away."""
        try:
            return self._ledger.revoked(self._holder)
        except SecretkitError as error:
            _warn("revocations could not be read: %s", error)
            return frozenset()

    def after_fork(self) -> None:
        """Take another name in the child, and drop the parent's connections."""
        self._ledger.after_fork()
        self._holder = self._name_holder()


def _warn(message: str, *arguments: object) -> None:
    import logging  # noqa: PLC0415 - 4 ms of the 60 that a token may take, and seldom needed

    logging.getLogger(__name__).warning(message, *arguments)
