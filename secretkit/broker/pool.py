"""PoolSource: turns one reference, or a pool of them, into a credential."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from secretkit.core.credential import of_kind
from secretkit.errors import (
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    SecretkitError,
    SecretNotFoundError,
)
from secretkit.ports import Acquired, Fetched, Revocable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import Clock, Provider

__all__ = ["PoolSource"]


class PoolSource:
    """Gives the first secret of a pool that the service has not refused.

    Only a refusal by the service moves on to the next reference. A store that fails is reported: a
    pool does not hide that its first member cannot be read; only one that was refused before may
    be gone. When all are refused the first one is given, so that a service that refused wrongly
    does not lock its caller out.
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

    @property
    def ref(self) -> str:
        """The first reference."""
        return str(self._members[0][0])

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        """Fetch members in order until one is not refused; one deadline covers them all."""
        deadline = self._clock.monotonic() + timeout.total_seconds()
        first: Acquired | None = None
        for index, (ref, provider) in enumerate(self._members):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise ProviderTimeoutError(
                    f"no time was left to ask {ref}",
                    ref=str(ref),
                    hint="raise leases.fetch_timeout, or shorten the pool",
                )
            try:
                acquired = self._one(index, ref, provider, timeout=timedelta(seconds=left))
            except SecretNotFoundError:
                last = first is None and index == len(self._members) - 1
                if last or index not in self._dead:
                    raise
                continue  # refused before, and now deleted: what one does with a dead key
            if not refused(acquired.credential.secret):
                self._dead.discard(index)
                return acquired
            self._dead.add(index)
            first = first or acquired
        if first is None:
            raise ConfigError("a credential needs at least one reference as its source")
        return first

    def _one(
        self, index: int, ref: SecretRef, provider: Provider, *, timeout: timedelta
    ) -> Acquired:
        fetched = ask(provider, ref, timeout=timeout)
        try:
            credential = of_kind(self._kind, fetched.secret, expires_at=fetched.expires_at)
        except SecretkitError as error:
            raise type(error)(f"{ref}: {error}", hint=error.hint) from None
        return Acquired(
            credential=credential,
            ref=str(ref),
            version=fetched.version,
            handle=None if fetched.handle is None else f"{index}:{fetched.handle}",
        )

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Give back what a member's store leased."""
        index, _, inner = handle.partition(":")
        provider = self._members[int(index)][1]
        if isinstance(provider, Revocable):
            provider.revoke(inner, timeout=timeout)


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
    raise ProviderError(
        f"the provider {ref.provider!r} failed on {ref} with {failure}",
        ref=str(ref),
        hint="this is a defect of the provider; its message is withheld, it could hold the value",
    )
