"""Progress: a bar on stderr for what takes long, on a terminal only."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretkit.cli.session import Session

__all__ = ["progress"]


@contextlib.contextmanager
def progress(session: Session, *, title: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with how much is done, of how much in all.

    Nothing is shown where nobody looks: with ``--quiet``, or when stderr is not a terminal.
    """
    if session.quiet or not sys.stderr.isatty():
        yield lambda _done, _whole: None
        return
    from rich.console import Console  # noqa: PLC0415 - 85 ms, and only a person needs it
    from rich.progress import Progress  # noqa: PLC0415 - see above

    console = Console(stderr=True, no_color=True if session.color == "never" else None)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
