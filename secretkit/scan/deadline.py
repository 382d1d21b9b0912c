"""Deadline: ends work on one piece of data that takes too long, also inside :mod:`re`."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from secretkit.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["DeadlineError", "deadline", "deadlines"]

_TIMER: Final = signal.ITIMER_PROF
_ready: list[bool] = []  # an entry while :func:`deadlines` runs in the main thread


class DeadlineError(ScanError):
    """The work took too long and was ended."""


@contextlib.contextmanager
def deadline(*, size: int) -> Iterator[None]:
    """Raise :class:`DeadlineError` in the block after 0.8 seconds, and 0.7 more a MiB of ``size``.

    They are seconds of processor time, so that a busy machine skips nothing.

    Uses SIGPROF, which :mod:`re` heeds within milliseconds; outside the main thread, where no
    signal arrives, there is no deadline. A timer of others stands still, and runs on after.
    """
    if not _in_main_thread():
        yield
        return
    with contextlib.nullcontext() if _ready else deadlines():
        signal.setitimer(_TIMER, 0.8 + 0.7 * size / (1 << 20))
        try:
            yield
        finally:
            signal.setitimer(_TIMER, 0)


@contextlib.contextmanager
def deadlines() -> Iterator[None]:
    """Make each :func:`deadline` in the block cost 2 µs instead of 10, in the main thread.

    Somebody's own timer stands still in the block.
    """
    if not _in_main_thread() or _ready:
        yield
        return
    theirs = signal.setitimer(_TIMER, 0)
    before = signal.signal(signal.SIGPROF, _end)
    _ready.append(True)
    try:
        yield
    finally:
        signal.setitimer(_TIMER, 0)
        _ready.clear()
        signal.signal(signal.SIGPROF, before)
        signal.setitimer(_TIMER, *theirs)


def _in_main_thread() -> bool:
    """Say whether this is the main thread. Without threading, 1 ms to load, it is."""
    threading = sys.modules.get("threading")
    return threading is None or threading.current_thread() is threading.main_thread()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise DeadlineError("took too long and was not scanned to its end")
