"""SystemClock: the one place where the machine's clocks are read."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ports import Waitable

__all__ = ["SystemClock"]

# CLOCK_BOOTTIME goes on while the machine is suspended; CLOCK_MONOTONIC does not on Linux, so a
# lease would look younger after a night's sleep. macOS has no BOOTTIME, and its CLOCK_MONOTONIC
# does count.
_BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """The machine's wall clock and its suspend-aware monotonic clock. Stateless, thread-safe."""

    __slots__ = ("monotonic",)

    monotonic: Callable[[], float]

    def __init__(self) -> None:
        # partial of a C function: 60 ns a call here, where a Python method would cost 100.
        self.monotonic = (
            time.monotonic if _BOOTTIME is None else partial(time.clock_gettime, _BOOTTIME)
        )

    def now(self) -> datetime:
        """Give the wall-clock time in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock that everyone else takes

    def wait(self, event: Waitable, timeout: float | None = None) -> bool:
        """Wait for ``event`` at most ``timeout`` seconds (not counting suspension)."""
        return event.wait(timeout)

    def wait_until(self, event: Waitable, moment: float) -> bool:
        """Wait for ``event`` until ``monotonic`` reads ``moment``."""
        return event.wait(max(0.0, moment - self.monotonic()))
