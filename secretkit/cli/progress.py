"""Progress: a bar on stderr for what takes long, on a terminal only."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    from secretkit.cli.session import Session

__all__ = ["progress"]

_SOON: Final = 1.0  # seconds: what is done sooner needs no bar


@contextlib.contextmanager
def progress(session: Session, *, title: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with how much is done, of how much in all.

    Nothing is shown where nobody looks: with ``--quiet``, or when stderr is not a terminal.
    """
    if session.quiet or not sys.stderr.isatty():
        yield lambda _done, _whole: None
        return
    shown: list[Progress] = []
    begun: list[float] = []

    def step(done: int, whole: int) -> None:
        now = time.monotonic()
        if not begun:
            begun.append(now)
        if not shown and now - begun[0] >= _SOON:
            shown.append(_bar(title, color=session.color))
        for bar in shown:
            bar.update(bar.task_ids[0], completed=done, total=whole)

    try:
        yield step
    finally:
        for bar in shown:
            bar.stop()


def _bar(title: str, *, color: str) -> Progress:
    from rich.console import Console  # noqa: PLC0415 - 85 ms, and only a person needs it
    from rich.progress import Progress  # noqa: PLC0415 - see above

    console = Console(stderr=True, no_color=True if color == "never" else None)
    bar = Progress(console=console, transient=True)
    bar.add_task(title, total=None)
    bar.start()
    return bar
