"""State: all that a broker remembers of one credential, and how an outcome changes it.

No threads and no calls here: facts in, new state out. The engine calls it under its lock.
"""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING, Final

from secretkit.broker.flight import Flight
from secretkit.core.freshness import backoff
from secretkit.core.record import record, replace
from secretkit.errors import (
    AccessDeniedError,
    GrantError,
    LeaseExpiredError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from secretkit.core.freshness import LeasePolicy, Window
    from secretkit.core.lease import Lease
    from secretkit.core.secret import Secret
    from secretkit.errors import SecretkitError
    from secretkit.ports import Clock, CredentialSource, Ledger, Rng

__all__ = [
    "DENIED",
    "BrokerContext",
    "Held",
    "State",
    "Status",
    "closed",
    "defect",
    "hanging",
    "lapsed",
    "overdue",
    "revoked",
]

DENIED: Final = (AccessDeniedError, SecretNotFoundError)
"""The store says no: what is held is dropped at once. Any other failure keeps it to its end."""


_REPAIR: Final = 15.0  # seconds between looks at a store whose secret the service refuses


@record(kw_only=True)
class BrokerContext:
    """What a broker may use of the world; wiring fills it, tests pass their own.

    ``holder`` names this process, and is asked again in a forked child. ``release`` is called when
    the broker is closed and has given everything back; ``watch`` is told each secret before it is
    handed out, so that logs can be kept free of it.
    """

    clock: Clock
    ledger: Ledger
    rng: Rng
    holder: Callable[[], str]
    release: Callable[[], None]
    watch: Callable[[Secret], None]


@record()
class Held:
    """A lease in hand. Replaced whole, never changed, so readers need no lock.

    ``suspect`` says that the service refused it lately and its source has nothing better. ``own``
    is False in a forked child for what the parent leased: the child may use it, not end it.
    """

    lease: Lease
    window: Window
    fingerprint: str
    stated_end: bool
    life: float
    suspect: bool = False
    handle: str | None = None
    own: bool = True


class State:
    """One credential: written under the engine's lock only.

    Before ``not_before`` nobody asks the source again after a failure; before ``force_after`` not
    even somebody whose secret was refused. ``follow`` waits for the flight under way, which may
    have asked before the secret was refused. ``revoked`` are ids that may not come back.
    """

    __slots__ = (
        "distrusted",
        "distrusted_at",
        "error",
        "failures",
        "flight",
        "follow",
        "force_after",
        "held",
        "hung",
        "name",
        "not_before",
        "policy",
        "revoked",
        "source",
        "told",
        "unchanged",
    )

    def __init__(self, *, name: str, source: CredentialSource, policy: LeasePolicy) -> None:
        self.name = name
        self.source = source
        self.policy = policy
        self.held: Held | None = None
        self.flight: Flight | None = None
        self.follow: Flight | None = None
        self.failures = self.unchanged = self.distrusted = self.hung = 0
        self.error: SecretkitError | None = None
        self.not_before = self.force_after = 0.0
        self.distrusted_at = -math.inf
        self.revoked: set[str] = set()
        self.told: int | None = None

    def join(self, distrust: str | None) -> Flight:
        """Give the flight under way, or the next one if this one may bring what was refused."""
        if self.flight is None:
            raise RuntimeError("there is no flight to join")
        if distrust is None or self.flight.distrust is not None:
            return self.flight
        if self.follow is None:
            self.follow = Flight(distrust=distrust)
        return self.follow

    def accept(self, held: Held, *, distrusted: bool, now: float, dice: float) -> float:
        """Take what a flight brought; give the moment to renew it.

        A service that refuses one secret after the other, and a store that gives the same token
        again, are both asked less and less often: neither may cost one call a request. While the
        store still has what the service refuses, it is asked every few seconds, because somebody is
        about to repair that.
        """
        previous, self.held = self.held, held
        self.flight, self.failures, self.error = None, 0, None
        self.not_before = self.force_after = 0.0
        same = previous is not None and previous.fingerprint == held.fingerprint
        renew_at = held.window.renew_at
        if distrusted:
            self._distrust(now, free=not (same or held.suspect), dice=dice)
        elif not same:
            self.distrusted = 0
        if self.distrusted and (same or held.suspect):
            renew_at = min(renew_at, now + _REPAIR)
        longer = previous is None or held.window.end > previous.window.end + 1.0
        if same and held.stated_end and not longer:
            self.unchanged += 1
            pause = backoff(self.unchanged, policy=self.policy, dice=dice)
            return now + max(pause, 0.1 * held.life)
        self.unchanged = 0
        return renew_at

    def _distrust(self, now: float, *, free: bool, dice: float) -> None:
        """Set the pause before the next forced call; the first new secret in a while is free."""
        if now - self.distrusted_at > 2 * self.policy.backoff_most.total_seconds():
            self.distrusted = 0
        self.distrusted_at = now
        self.distrusted += 1
        if not (free and self.distrusted == 1):
            pause = backoff(self.distrusted, policy=self.policy, dice=dice)
            self.force_after = now + (pause if free else min(pause, _REPAIR))

    def fail(self, error: SecretkitError, *, now: float, dice: float) -> Held | None:
        """Take a failure; give what must be dropped because of it, if anything.

        Unreachable is not denied: what is held is served to its end, unless the store it came from
        says no.
        """
        self.failures += 1
        asked = error.retry_after if isinstance(error, ProviderError | GrantError) else None
        self.not_before = self.force_after = now + backoff(
            self.failures, policy=self.policy, dice=dice, retry_after=asked
        )
        if asked is None and not isinstance(error, DENIED):
            # The store was away and may be back: a refused secret is worth the shortest pause.
            self.force_after = min(self.not_before, now + backoff(1, policy=self.policy, dice=dice))
        held, self.error = self.held, error.fresh()  # its traceback would keep frames alive
        if held is None:
            return None
        if isinstance(error, DENIED) and error.ref in {"", held.lease.ref}:
            self.held = None
            return held
        if now >= held.window.serve_until:
            self.error = lapsed(self.name, held, error)
        return None

    def inherit(self) -> None:
        """Keep, in a forked child, what the parent leased; the parent ends it."""
        self.flight = self.follow = None
        self.hung = 0
        if self.held is not None:
            self.held = replace(self.held, own=False)

    def check_pause(self, now: float) -> None:
        """Raise the last failure again while nobody may ask."""
        if self.error is not None and now < self.not_before:
            raise self.error.fresh()

    def show(self) -> Status:
        """Give what may be shown."""
        lease = self.held.lease if self.held else None
        return Status(
            name=self.name,
            ref=lease.ref if lease else self.source.ref,
            generation=lease.generation if lease else None,
            granted_at=lease.granted_at if lease else None,
            expires_at=lease.expires_at if lease else None,
            failures=self.failures,
            last_error=f"{type(self.error).__name__}: {self.error}" if self.error else "",
            hint=self.error.hint if self.error else "",
        )


@record(kw_only=True)
class Status:
    """What ``status`` shows of one credential: no value in it."""

    name: str
    ref: str
    generation: int | None
    granted_at: datetime | None
    expires_at: datetime | None
    failures: int
    last_error: str
    hint: str


def overdue(state: State) -> ProviderTimeoutError:
    """Give the error for a source that did not answer before its deadline."""
    seconds = state.policy.fetch_timeout.total_seconds()
    return ProviderTimeoutError(
        f"{state.source.ref} did not answer within {seconds:g} s",
        ref=state.source.ref,
        hint="see whether it answers: secretkit provider test",
    )


def defect(state: State, error: BaseException) -> ProviderError:
    """Give the error for an exception that nobody meant: its class name, never its text."""
    return ProviderError(
        f"fetching {state.name!r} failed with {type(error).__name__}",
        ref=state.source.ref,
        hint="this is a defect; its message is withheld, it could hold the value",
    )


def closed() -> LeaseExpiredError:
    """Give the error for a broker that was closed."""
    error = LeaseExpiredError("this broker is closed", hint="make a new one: Broker.from_config()")
    error.retryable = False
    return error


def lapsed(name: str, held: Held, error: SecretkitError) -> LeaseExpiredError:
    """Give the error for a lease that ended and could not be renewed because of ``error``."""
    end = held.lease.expires_at.astimezone(UTC)
    lapse = LeaseExpiredError(
        f"the lease on {name!r} ended at {end:%Y-%m-%dT%H:%M:%SZ} and renewing it failed: {error}",
        hint=error.hint,
        ended_at=end,
    )
    lapse.retryable = error.retryable
    return lapse


def revoked(state: State) -> LeaseExpiredError:
    """Give the error for a lease that was revoked while it was being renewed."""
    return LeaseExpiredError(
        f"the lease on {state.name!r} was revoked while it was renewed",
        hint="ask again for a new one; secretkit audit tail says who revoked it",
    )


def hanging(state: State) -> ProviderUnavailableError:
    """Give the error for a source that is not asked because earlier calls to it hang."""
    return ProviderUnavailableError(
        f"{state.source.ref} was not asked: {state.hung} earlier calls to it still hang",
        ref=state.source.ref,
        hint="see whether it answers: secretkit provider test",
    )
