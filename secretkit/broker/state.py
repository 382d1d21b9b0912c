"""State: all that a broker remembers of one credential, and how an outcome changes it.

No threads and no calls here: facts in, new state out. The engine calls it under its lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.freshness import backoff
from secretkit.core.record import record
from secretkit.errors import (
    AccessDeniedError,
    GrantError,
    LeaseExpiredError,
    ProviderError,
    ProviderTimeoutError,
    SecretNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from secretkit.broker.flight import Flight
    from secretkit.core.freshness import LeasePolicy, Window
    from secretkit.core.lease import Lease
    from secretkit.core.secret import Secret
    from secretkit.errors import SecretkitError
    from secretkit.ports import Clock, CredentialSource, Ledger, Rng

__all__ = ["DENIED", "BrokerContext", "Held", "State", "Status", "closed", "defect", "overdue"]

DENIED: Final = (AccessDeniedError, SecretNotFoundError)
"""The store says no: what is held is dropped at once. Any other failure keeps it to its end."""


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


@record(frozen=False)
class State:
    """One credential: written under the engine's lock only.

    Before ``not_before`` nobody asks the source again after a failure; before ``force_after`` not
    even somebody whose secret was refused.
    """

    name: str
    source: CredentialSource
    policy: LeasePolicy
    held: Held | None = None
    flight: Flight | None = None
    failures: int = 0
    error: SecretkitError | None = None
    not_before: float = 0.0
    force_after: float = 0.0
    unchanged: int = 0
    distrusted: int = 0

    def accept(self, held: Held, *, distrusted: bool, now: float, dice: float) -> float:
        """Take what a flight brought; give the moment to renew it.

        A service that refuses what the store still has, and a store that gives the same token
        again, are both asked less and less often: neither may cost one call a request.
        """
        previous, self.held = self.held, held
        self.flight, self.failures, self.error = None, 0, None
        self.not_before = self.force_after = 0.0
        same = previous is not None and previous.fingerprint == held.fingerprint
        if distrusted and (same or held.suspect):
            self.distrusted += 1
            self.force_after = now + backoff(self.distrusted, policy=self.policy, dice=dice)
        elif not same:
            self.distrusted = 0
        longer = previous is None or held.window.end > previous.window.end + 1.0
        if same and held.stated_end and not longer:
            self.unchanged += 1
            pause = backoff(self.unchanged, policy=self.policy, dice=dice)
            return now + max(pause, 0.1 * held.life)
        self.unchanged = 0
        return held.window.renew_at

    def fail(self, error: SecretkitError, *, now: float, dice: float) -> Held | None:
        """Take a flight's failure; give what must be dropped because of it, if anything.

        Unreachable is not denied: what is held is served to its end, unless the store says no.
        """
        self.flight = None
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
        if isinstance(error, DENIED):
            self.held = None
            return held
        if now >= held.window.serve_until:
            end = held.lease.expires_at
            self.error = LeaseExpiredError(
                f"the lease on {self.name!r} ended at {end:%Y-%m-%dT%H:%M:%SZ} "
                f"and renewing it failed: {error}",
                hint=error.hint,
                ended_at=end,
            )
        return None

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
    return LeaseExpiredError("this broker is closed", hint="make a new one: Broker.from_config()")
