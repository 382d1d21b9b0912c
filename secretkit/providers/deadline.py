"""Deadline: the end of one fetch, which all its steps share."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

from secretkit.errors import ProviderTimeoutError

if TYPE_CHECKING:
    from secretkit.core.ref import SecretRef
    from secretkit.ports import Clock

__all__ = ["Deadline"]


class Deadline:
    """A moment on a monotonic clock. Immutable, thread-safe."""

    __slots__ = ("_clock", "_end")

    def __init__(self, timeout: timedelta, *, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.monotonic() + timeout.total_seconds()

    @property
    def seconds(self) -> float:
        """The seconds left, never below zero."""
        return max(0.0, self._end - self._clock.monotonic())

    @property
    def left(self) -> timedelta:
        """The time left, never below zero."""
        return timedelta(seconds=self.seconds)

    def pause(self, step: timedelta) -> None:
        """Wait for ``step``, or for what is left."""
        self._clock.wait(Event(), min(step.total_seconds(), self.seconds))

    def check(self, ref: SecretRef) -> None:
        """Stop a fetch whose time is up.

        Raises:
            ProviderTimeoutError: if nothing is left.
        """
        if self.seconds <= 0:
            raise ProviderTimeoutError(
                f"{ref}: the time was up before the store was asked",
                ref=str(ref),
                hint="allow more time",
            )
