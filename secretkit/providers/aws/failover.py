"""Failover: one store that answers in several regions.

The first region is asked; the next only where the one before cannot answer anybody: it is not
reached, does not answer in its share of the time, throttles, or fails with a 5xx. What a region
refuses or does not have is final. A replica that refuses or lacks the secret (it is not replicated
there, its key is another one) says nothing about the secret itself: then the first region's failure
is the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.message import Reply
from secretkit.errors import ProviderError
from secretkit.providers.aws.reason import Refusal, explained, refusal_of, relabelled
from secretkit.providers.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from secretkit.core.credential import AwsCredentials
    from secretkit.core.ref import SecretRef
    from secretkit.ports import Clock
    from secretkit.providers.aws.origin import Kept
    from secretkit.providers.aws.reason import Meanings
    from secretkit.providers.aws.service import Service

__all__ = ["Regions"]

_OK: Final = 200


class Regions:
    """The regions of one store, the first one first. Thread-safe; keeps no secret of the store.

    Each question is signed by the credentials of that moment, so one object works for ever. If AWS
    says that they are over, others are taken once.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        credentials: Kept,
        what: str,
        understand: Callable[[Refusal], tuple[Refusal, Meanings]],
        clock: Clock,
    ) -> None:
        self.services = tuple(services)
        self._credentials = credentials
        self._what = what
        self._understand = understand
        self._clock = clock

    def ask(
        self,
        target: str,
        body: Callable[[str], bytes],
        *,
        ref: SecretRef,
        timeout: timedelta,
    ) -> Reply:
        """Give the first region's answer; ``body`` makes the document for a region.

        Raises:
            SecretNotFoundError: if the first region that answers does not have it.
            AccessDeniedError: if it refuses, or the credentials' source does.
            ProviderError: if no region can answer: the first one's reason.
        """
        deadline = Deadline(timeout, clock=self._clock)
        first: ProviderError | None = None
        left = len(self.services)
        for service in self.services:
            share = Deadline(deadline.left / left, clock=self._clock)
            left -= 1
            found = self._one(service, target, body(service.region), str(ref), share)
            if isinstance(found, Reply):
                return found
            error, is_failing = found
            if first is None and not is_failing:
                raise error
            first = first or error
        raise first or ProviderError(f"{ref}: no region is left to ask", ref=str(ref))

    def _one(
        self, service: Service, target: str, body: bytes, ref: str, deadline: Deadline
    ) -> Reply | tuple[ProviderError, bool]:
        """Give the answer, or the error and whether the region is at fault for it."""

        def send() -> Reply | ProviderError:
            held = self._held(ref, deadline)
            try:
                reply = service.call(target, body, credentials=held, ref=ref, timeout=deadline.left)
            except ProviderError as error:
                return error
            self._credentials.heard(held, self._refusal(reply))
            return reply

        found = send()
        if isinstance(found, Reply) and self._refusal(found).is_stale:
            found = send()
        if isinstance(found, ProviderError):
            return found, True
        if found.status == _OK:
            return found
        refusal, meanings = self._understand(self._refusal(found))
        what = f"{self._what} in {service.region}"
        now = self._clock.now()
        error = explained(refusal, ref=ref, what=what, now=now, meanings=meanings)
        return error, refusal.is_failing

    def _refusal(self, reply: Reply) -> Refusal:
        if reply.status == _OK:
            return Refusal(code="", status=_OK)
        return refusal_of(reply, now=self._clock.now())

    def _held(self, ref: str, deadline: Deadline) -> AwsCredentials:
        """Give what to sign with; that there is nothing is no region's fault."""
        try:
            return self._credentials.credentials(timeout=deadline.left)
        except ProviderError as error:
            raise relabelled(error, ref=ref) from None
