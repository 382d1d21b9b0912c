"""Result: what the scan of one thing gave, and which part of a file that thing is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.core.record import record

if TYPE_CHECKING:
    from secretkit.scan.finding import Finding, Skipped

__all__ = ["WHOLE", "Result", "Window"]


@record(kw_only=True)
class Result:
    """What one scan of one thing gave. ``accepted`` are left out of ``findings``."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    accepted: tuple[Finding, ...] = ()


class Window(NamedTuple):
    """Which part of a file some bytes are. Only what starts in ``[start, stop)`` is reported.

    ``line`` is the number of the first line of the bytes; ``before`` how many bytes of that line
    stand before them, so that columns are right, in bytes, in a line longer than a window.
    """

    start: int = 0
    stop: int = sys.maxsize
    line: int = 1
    before: int = 0


WHOLE: Final = Window()
