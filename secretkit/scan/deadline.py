"""Deadline: ends work on one piece of data that takes too long, also inside :mod:`re`."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, NoReturn

from secretkit.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["DeadlineError", "deadline"]


class DeadlineError(ScanError):
    """The work took too long and was ended."""


@contextlib.contextmanager
def deadline(*, size: int) -> Iterator[None]:
    """Raise :class:`DeadlineError` in the block after 0.8 seconds, and 0.7 more a MiB of ``size``.

    They are seconds of processor time, so that a busy machine skips nothing.

    Uses SIGPROF, which :mod:`re` heeds within milliseconds; outside the main thread, where no
    signal arrives, there is no deadline. A timer that was running before runs on after.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seconds = 0.8 + 0.7 * size / (1 << 20)
    before = signal.signal(signal.SIGPROF, _end)
    theirs = signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        if theirs[0]:  # somebody's own alarm goes on, late by no more than a thousandth
            signal.setitimer(signal.ITIMER_PROF, max(theirs[0] - seconds + left, 0.001), theirs[1])


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise DeadlineError("took too long and was not scanned to its end")
