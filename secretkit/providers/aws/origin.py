"""Origin: where the first AWS credentials come from, before any role is assumed."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from secretkit.core.credential import AwsCredentials
from secretkit.errors import ProviderError, ProviderTimeoutError, SecretError
from secretkit.providers.aws.document import read_credentials
from secretkit.providers.aws.reason import relabelled

if TYPE_CHECKING:
    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import Clock, CredentialSource, ProviderContext
    from secretkit.providers.aws.reason import Refusal

__all__ = ["Anew", "Kept", "Leased", "Origin", "Stored", "check_life"]

_PART: Final = 0.6  # of their life, as leases.renew_at


class Origin(Protocol):
    """Gives credentials, asking anew at each call. Thread-safe."""

    @property
    def method(self) -> str:
        """How, for a person: ``iam-role``, ``profile dev``, ``process aws-sso-helper``."""
        ...

    def credentials(self, *, timeout: timedelta) -> AwsCredentials:
        """Ask once; raises like :meth:`secretkit.ports.CredentialSource.acquire`."""
        ...

    def refuse(self, credentials: AwsCredentials) -> None:
        """Do not give these again, where there is a choice: AWS does not take them."""
        ...


class Anew:
    """An origin without a memory: nothing is to be refused."""

    def refuse(self, credentials: AwsCredentials) -> None:
        """Do nothing: the next call asks anew."""


class Stored(Anew):
    """A JSON document in a store: a long-term key pair, or what a machine was given."""

    def __init__(self, at: SecretRef, *, ref: str, context: ProviderContext) -> None:
        self._at = at
        self._ref = ref
        self._context = context
        self._provider = context.resolve(at.provider)
        self.method = f"source {at}"

    def credentials(self, *, timeout: timedelta) -> AwsCredentials:
        """Read it, each time."""
        try:
            fetched = self._provider.fetch(self._at, timeout=timeout)
        except ProviderError as error:
            raise relabelled(error, ref=self._ref) from None
        found = read_credentials(fetched.secret, ref=f"{self._ref}: {self._at}")
        if isinstance(found, SecretError):
            raise found
        return check_life(found, ref=self._ref, clock=self._context.clock)


class Leased:
    """Another credential of the configuration, whose kind is ``aws`` too."""

    def __init__(self, source: CredentialSource, *, name: str, ref: str) -> None:
        self._source = source
        self._ref = ref
        self._refused: AwsCredentials | None = None
        self.method = f"credential {name}"

    def refuse(self, credentials: AwsCredentials) -> None:
        """Have the next answer be others, or that there are none; a new pair may work later."""
        self._refused = credentials

    def credentials(self, *, timeout: timedelta) -> AwsCredentials:
        """Acquire it anew."""
        over, self._refused = self._refused, None

        def refused(secret: Secret) -> bool:
            return over is not None and secret == over.secret

        try:
            acquired = self._source.acquire(timeout=timeout, refused=refused)
        except ProviderError as error:
            raise relabelled(error, ref=self._ref) from None
        if not isinstance(acquired.credential, AwsCredentials):
            raise SecretError(
                f"{self._ref}: base is of kind {acquired.credential.kind!r}",
                hint='name a credential of kind "aws" as base',
            )
        return acquired.credential


class Kept:
    """Keeps credentials that have an end for 0.6 of their life; others are asked for each time.

    Who waits while another thread asks, waits no longer than its own timeout. A forked child asks
    for itself. What AWS calls expired is never given again, whoever still has it.
    """

    def __init__(self, origin: Origin, *, ref: str, clock: Clock) -> None:
        self._origin = origin
        self._ref = ref
        self._clock = clock
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._held: AwsCredentials | None = None
        self._expired: AwsCredentials | None = None
        self._until = 0.0

    @property
    def method(self) -> str:
        """The origin's."""
        return self._origin.method

    def credentials(self, *, timeout: timedelta) -> AwsCredentials:
        """Give what is kept, or ask."""
        end = self._clock.monotonic() + timeout.total_seconds()
        held = self._fresh()
        if held is not None:
            return held
        if not self._own_lock().acquire(timeout=max(0.0, timeout.total_seconds())):
            raise ProviderTimeoutError(
                f"{self._ref}: the credentials to start from did not come in time",
                ref=self._ref,
                hint="look whether where they come from hangs",
            )
        try:
            held = self._fresh()
            if held is None:
                left = timedelta(seconds=max(0.0, end - self._clock.monotonic()))
                held = self._keep(self._origin.credentials(timeout=left))
            return held
        finally:
            self._lock.release()

    def refuse(self, credentials: AwsCredentials) -> None:
        """Keep these no longer, and have the origin not give them again."""
        if self._held is credentials:
            self._held = None
        self._origin.refuse(credentials)

    def heard(self, credentials: AwsCredentials, refusal: Refusal) -> None:
        """Refuse these if that is what AWS does: for good where their session is over."""
        if refusal.is_expired:
            self._expired = credentials
        if refusal.is_stale:
            self.refuse(credentials)

    def _fresh(self) -> AwsCredentials | None:
        held = self._held
        if held is None or held.expires_at is None or self._clock.monotonic() >= self._until:
            return None
        return held if self._clock.now() < held.expires_at else None

    def _keep(self, found: AwsCredentials) -> AwsCredentials:
        if self._expired is not None and found.secret == self._expired.secret:
            raise ProviderError(
                f"{self._ref}: {self.method} still gives credentials that AWS calls expired",
                ref=self._ref,
                hint="renew them where they come from, for example: aws sso login",
            )
        if found.expires_at is not None:
            life = (found.expires_at - self._clock.now()).total_seconds()
            self._until = self._clock.monotonic() + life * _PART
            self._held = found
        return found

    def _own_lock(self) -> threading.Lock:
        """Give the lock; one that was held while the process forked is never let go."""
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.Lock()
        return self._lock


def check_life(found: AwsCredentials, *, ref: str, clock: Clock) -> AwsCredentials:
    """Give credentials that have not ended.

    Raises:
        ProviderError: if they have.
    """
    if found.expires_at is not None and found.expires_at <= clock.now():
        raise ProviderError(
            f"{ref}: the credentials to start from ended at {found.expires_at:%Y-%m-%d %H:%M} UTC",
            ref=ref,
            hint="renew them where they come from, or set this machine's clock",
        )
    return found
