"""PoolSource: turns one reference, or a pool of them, into a credential.

What a store leased to us is renewed, where the store can, as long as it grants at least half of the
first life: less means that the lease's last day is near, and a new one is fetched ahead of it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.credential import of_kind
from secretkit.core.record import record, replace
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    SecretkitError,
    SecretNotFoundError,
)
from secretkit.ports import Acquired, Fetched, Renewable, Revocable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import Clock, Provider

__all__ = ["PoolSource"]

_WORTH: Final = 0.5  # of the first life: a renewal that grants less is not taken


@record(kw_only=True)
class _Leased:
    """What a member's store leased to this process: only who leased it may renew it."""

    acquired: Acquired
    handle: str
    life: timedelta
    pid: int


class PoolSource:
    """Gives the first secret of a pool that the service has not refused.

    Only a refusal by the service moves on to the next reference. A store that fails is reported: a
    pool does not hide that its first member cannot be read; only one that was refused before may
    be gone. When all are refused the first one is given, so that a service that refused wrongly
    does not lock its caller out.

    A lease that a member's store can renew is renewed instead of fetched anew, while its secret is
    not refused. Thread-safe.
    """

    def __init__(
        self, members: Sequence[tuple[SecretRef, Provider]], *, kind: str, clock: Clock
    ) -> None:
        if not members:
            raise ConfigError("a credential needs at least one reference as its source")
        self._members = tuple(members)
        self._kind = kind
        self._clock = clock
        self._dead: set[int] = set()
        self._leased: dict[int, _Leased] = {}

    @property
    def ref(self) -> str:
        """The first reference."""
        return str(self._members[0][0])

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        """Fetch members in order until one is not refused; one deadline covers them all.

        What a store leased for a member that is passed over is given back at once.
        """
        deadline = self._clock.monotonic() + timeout.total_seconds()
        passed: list[Acquired] = []
        given: Acquired | None = None
        try:
            given = self._first_taken(deadline, refused, passed)
        finally:
            for one in passed:
                if one is not given:
                    self._pass_over(one, deadline)
        return given

    def _first_taken(
        self, deadline: float, refused: Callable[[Secret], bool], passed: list[Acquired]
    ) -> Acquired:
        """Give the first that is not refused, or else the first; the refused join ``passed``."""
        for index, (ref, provider) in enumerate(self._members):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise ProviderTimeoutError(
                    f"no time was left to ask {ref}",
                    ref=str(ref),
                    hint="raise leases.fetch_timeout, or shorten the pool",
                )
            try:
                acquired = self._renewed(index, timedelta(seconds=left), refused) or self._one(
                    index,
                    ref,
                    provider,
                    timeout=self._left(deadline),
                )
            except SecretNotFoundError:
                last = not passed and index == len(self._members) - 1
                if last or index not in self._dead:
                    raise
                continue  # refused before, and now deleted: what one does with a dead key
            if not refused(acquired.credential.secret):
                self._dead.discard(index)
                return acquired
            self._dead.add(index)
            passed.append(acquired)
        if not passed:
            raise ConfigError("a credential needs at least one reference as its source")
        return passed[0]

    def _left(self, deadline: float) -> timedelta:
        return timedelta(seconds=max(0.0, deadline - self._clock.monotonic()))

    def _pass_over(self, one: Acquired, deadline: float) -> None:
        """Give back what was leased and is not used."""
        number, _, inner = (one.handle or "").partition(":")
        if inner:
            self._leased.pop(int(number), None)
            _return(self._members[int(number)][1], inner, timeout=self._left(deadline))

    def _one(
        self, index: int, ref: SecretRef, provider: Provider, *, timeout: timedelta
    ) -> Acquired:
        asked_at = self._clock.now()
        end = self._clock.monotonic() + timeout.total_seconds()
        fetched = ask(provider, ref, timeout=timeout)
        try:
            credential = of_kind(self._kind, fetched.secret, expires_at=fetched.expires_at)
        except SecretkitError as error:
            left = timedelta(seconds=max(0.0, end - self._clock.monotonic()))
            _return(provider, fetched.handle, timeout=left)
            raise type(error)(f"{ref}: {error}", hint=error.hint) from None
        acquired = Acquired(
            credential=credential,
            ref=str(ref),
            version=fetched.version,
            handle=None if fetched.handle is None else f"{index}:{fetched.handle}",
        )
        if fetched.handle is not None and fetched.expires_at is not None:
            self._leased[index] = _Leased(
                acquired=acquired,
                handle=fetched.handle,
                life=fetched.expires_at - asked_at,
                pid=os.getpid(),
            )
        return acquired

    def _renewed(
        self, index: int, timeout: timedelta, refused: Callable[[Secret], bool]
    ) -> Acquired | None:
        """Give the lease in hand with a later end; None where a new one has to be fetched."""
        ref, provider = self._members[index]
        leased = self._leased.get(index)
        if leased is None or not isinstance(provider, Renewable) or leased.pid != os.getpid():
            return None
        now = self._clock.now()
        held = leased.acquired.credential
        if refused(held.secret) or held.expires_at is None or held.expires_at <= now:
            self._leased.pop(index, None)
            return None
        try:
            end = _longer(provider, leased.handle, ref, timeout=timeout)
        except (AccessDeniedError, SecretNotFoundError):
            end = now  # it is gone, or may not be renewed: whether a new one may be had is asked
        if end - now < leased.life * _WORTH:
            self._leased.pop(index, None)
            return None
        acquired = replace(
            leased.acquired, credential=of_kind(self._kind, held.secret, expires_at=end)
        )
        self._leased[index] = replace(leased, acquired=acquired)
        return acquired

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Give back what a member's store leased; it is not renewed any more."""
        number, _, inner = handle.partition(":")
        index = int(number)
        provider = self._members[index][1]
        leased = self._leased.get(index)
        if leased is not None and leased.handle == inner:
            self._leased.pop(index, None)
        if isinstance(provider, Revocable):
            provider.revoke(inner, timeout=timeout)


def _return(provider: Provider, handle: str | None, *, timeout: timedelta) -> None:
    """Give back what cannot be used; where that fails it ends by itself."""
    if handle is not None and isinstance(provider, Revocable):
        with suppress(Exception):  # third-party code; what was wrong before is what is told
            provider.revoke(handle, timeout=timeout)


def _longer(provider: Renewable, handle: str, ref: SecretRef, *, timeout: timedelta) -> datetime:
    """Renew, letting nothing out but our own errors, each with this reference."""
    try:
        end: object = provider.renew(handle, timeout=timeout)
    except ProviderError as error:
        error.ref = str(ref)
        raise
    except SecretkitError:
        raise
    except Exception as error:  # noqa: BLE001 - a provider is third-party code
        failure = type(error).__name__
    else:
        if isinstance(end, datetime) and end.tzinfo is not None:
            return end
        failure = "an answer that is no moment with a time zone"
    raise _defect(ref, f"renewing {ref}", failure)


def ask(provider: Provider, ref: SecretRef, *, timeout: timedelta) -> Fetched:
    """Fetch from a provider, letting nothing out but our own errors.

    A third party's exception may hold the value in its text or its objects, so only its class
    name is kept.
    """
    try:
        fetched: object = provider.fetch(ref, timeout=timeout)
    except SecretkitError:
        raise
    except Exception as error:  # noqa: BLE001 - a provider is third-party code
        failure = type(error).__name__
    else:
        if isinstance(fetched, Fetched):
            return fetched
        failure = f"an answer of type {type(fetched).__name__}"
        del fetched
    raise _defect(ref, str(ref), failure)


def _defect(ref: SecretRef, what: str, failure: str) -> ProviderError:
    return ProviderError(
        f"the provider {ref.provider!r} failed on {what} with {failure}",
        ref=str(ref),
        hint="this is a defect of the provider; its message is withheld, it could hold the value",
    )
