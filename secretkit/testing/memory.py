"""MemoryProvider: a store in memory that a test scripts.

::

    provider = MemoryProvider(clock=FakeClock())
    provider.set("claude", "a-value")
    provider.script.append(throttled(timedelta(seconds=5)))

Each fetch takes the first behaviour off ``script``; when there is none left it follows
``otherwise``, and without that it answers as a store should.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretNotFoundError,
)
from secretkit.ports import Fetched, StoredVersion
from secretkit.providers.contents import field_of, no_field
from secretkit.providers.options import Options
from secretkit.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from secretkit.core.ref import SecretRef
    from secretkit.ports import Clock, ProviderContext

    Behaviour = Callable[["MemoryProvider", SecretRef, timedelta], Fetched | None]

__all__ = [
    "MemoryProvider",
    "denied",
    "foreign",
    "garbage",
    "hang",
    "not_found",
    "same",
    "slow",
    "throttled",
    "unavailable",
]


@dataclass(slots=True)
class _Entry:
    versions: dict[str, Secret] = field(default_factory=dict)
    current: int = 0
    created_at: datetime | None = None


class MemoryProvider:
    """A Provider that is Writable, Listable, Versioned and Revocable, all in memory. Thread-safe.

    ``fetches`` counts the calls; ``revoked`` lists the handles taken back. With ``expires_after``
    each answer states an end and carries a handle, as a leasing store does.
    """

    def __init__(
        self, *, clock: Clock | None = None, expires_after: timedelta | None = None
    ) -> None:
        self.clock: Clock = FakeClock() if clock is None else clock
        self.expires_after = expires_after
        self.fetches = 0
        self.script: deque[Behaviour] = deque()
        self.otherwise: Behaviour | None = None
        self.revoked: list[str] = []
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._hanging = 0

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build an empty store on the context's clock; it takes no options.

        Raises:
            ConfigError: if an option is given.
        """
        Options(options, type_name="memory", known=())
        return cls(clock=context.clock)

    def set(self, name: str, value: str) -> StoredVersion:
        """Store ``value`` as the new current version of ``name``.

        Raises:
            SecretError: if it cannot be a secret.
        """
        return self._store(name, Secret(value), expected=None)

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Follow the script, then answer; raises what a test asked for."""
        with self._lock:
            self.fetches += 1
            behaviour = self.script.popleft() if self.script else self.otherwise
        scripted = None if behaviour is None else behaviour(self, ref, timeout)
        return self.answer(ref) if scripted is None else scripted

    def answer(self, ref: SecretRef) -> Fetched:
        """Give what is stored, past the script and the counter.

        Raises:
            SecretNotFoundError: if there is no such name, version or field.
        """
        with self._lock:
            entry = self._entries.get(ref.path)
            version = ref.version or (str(entry.current) if entry else "")
            secret = entry.versions.get(version) if entry else None
        if secret is None:
            raise _missing(ref)
        lasts = self.expires_after
        return Fetched(
            secret=field_of(secret, ref=ref),
            version=version,
            expires_at=None if lasts is None else self.clock.now() + lasts,
            handle=None if lasts is None else f"{ref.path}/{self.fetches}",
        )

    def version(self, ref: SecretRef, *, timeout: timedelta) -> str:  # noqa: ARG002 - the port's
        """Give the current version's number; not counted, not scripted."""
        return self.answer(ref).version or ""

    def write(
        self, ref: SecretRef, secret: Secret, *, expected_version: str | None = None
    ) -> StoredVersion:
        """Store a new version; see :meth:`secretkit.ports.Writable.write`."""
        no_field(ref)
        return self._store(ref.path, secret, expected=expected_version)

    def delete(self, ref: SecretRef) -> None:
        """Forget the name and all its versions.

        Raises:
            SecretNotFoundError: if there is none.
        """
        with self._lock:
            gone = self._entries.pop(ref.path, None)
        if gone is None:
            raise _missing(ref)

    def names(self) -> Sequence[StoredVersion]:
        """Give the current version of every name, sorted."""
        with self._lock:
            return [_stored(name, entry) for name, entry in sorted(self._entries.items())]

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Note that the lease was taken back; safe to repeat."""
        del timeout
        with self._lock:
            if handle not in self.revoked:
                self.revoked.append(handle)

    def release(self) -> None:
        """Let every fetch that hangs go on, now and later."""
        self._released.set()

    @property
    def hanging(self) -> int:
        """How many fetches hang now: lets a test know that they are there."""
        return self._hanging

    def wait_released(self) -> None:
        """Block until :meth:`release`, whatever the deadline: what a broken SDK does."""
        with self._lock:
            self._hanging += 1
        try:
            self._released.wait()
        finally:
            with self._lock:
                self._hanging -= 1

    def store_again(self, name: str) -> None:
        """Add a version with the value of the current one, as a rotation without effect does."""
        entry = self._entries[name]
        self._store(name, entry.versions[str(entry.current)], expected=None)

    def _store(self, name: str, secret: Secret, *, expected: str | None) -> StoredVersion:
        with self._lock:
            entry = self._entries.get(name, _Entry())
            if expected not in (None, str(entry.current)):
                raise ProviderError(
                    f"{name} is at version {entry.current}, not at the expected one",
                    ref=name,
                    hint="fetch it again, and decide again",
                )
            entry.current += 1
            entry.versions[str(entry.current)] = secret
            entry.created_at = self.clock.now()
            self._entries[name] = entry
            return _stored(name, entry)


def slow(duration: timedelta) -> Behaviour:
    """Take ``duration`` on the clock, or until the timeout: then ProviderTimeoutError."""

    def behave(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        span = min(duration, timeout)
        provider.clock.wait(threading.Event(), span.total_seconds())
        if timeout < duration:
            raise ProviderTimeoutError(
                f"{ref}: no answer within {timeout}", ref=str(ref), hint="allow more time"
            )

    return behave


def hang() -> Behaviour:
    """Do not answer until ``release()``, past every deadline."""

    def behave(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        del ref, timeout
        provider.wait_released()

    return behave


def denied() -> Behaviour:
    """Refuse with AccessDeniedError."""
    return _failing(AccessDeniedError, "the store refuses")


def not_found() -> Behaviour:
    """Say that there is no such secret."""
    return _failing(SecretNotFoundError, "there is no such secret")


def unavailable() -> Behaviour:
    """Say that the store could not be asked."""
    return _failing(ProviderUnavailableError, "the store does not answer")


def throttled(retry_after: timedelta | None = None) -> Behaviour:
    """Refuse for now; ``retry_after`` is passed on as it is, also when it is absurd."""
    return _failing(ProviderError, "the store is busy", retry_after=retry_after)


def garbage() -> Behaviour:
    """Answer with control characters instead of the value."""

    def behave(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> Fetched:
        del provider, ref, timeout
        return Fetched(secret=Secret("\x1b[2J\x07\r\nX-Injected: 1"), version="\x00garbage")

    return behave


def foreign() -> Behaviour:
    """Raise an error that is not ours and has the secret in its message, as SDKs do."""

    def behave(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        del timeout
        raise RuntimeError("request failed: Bearer " + provider.answer(ref).secret.reveal())

    return behave


def same() -> Behaviour:
    """Answer with a new version that has the old value."""

    def behave(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        del timeout
        provider.answer(ref)
        provider.store_again(ref.path)

    return behave


def _failing(
    kind: type[ProviderError], reason: str, *, retry_after: timedelta | None = None
) -> Behaviour:
    def behave(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        del provider, timeout
        raise kind(
            f"{ref}: {reason}",
            ref=str(ref),
            hint="a test asked for this failure",
            retry_after=retry_after,
        )

    return behave


def _missing(ref: SecretRef) -> SecretNotFoundError:
    text, hint = f"{ref}: there is no such secret", "store it first: provider.set(...)"
    return SecretNotFoundError(text, ref=str(ref), hint=hint)


def _stored(name: str, entry: _Entry) -> StoredVersion:
    return StoredVersion(name=name, version=str(entry.current), created_at=entry.created_at)
