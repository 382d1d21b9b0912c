"""Beneath: opens what lies below one directory, and nothing else: no link is ever followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Beneath", "open_file"]

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NONE: Final = "/"  # no name
_DEEPEST: Final = 256  # open directories at a time; what lies deeper is an OSError


class Beneath:
    """Keeps the directories open that lead to the last one asked for. One thread at a time.

    Names in sorted order cost one ``openat`` a file and one a directory. A directory that is
    swapped for a link while it is scanned is not followed either: each is opened in its parent.
    """

    def __init__(self, root: Path) -> None:
        self._last = ""
        self._opened = [("", os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))]

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every directory."""
        self._keep(0)

    def folder(self, name: str) -> int:
        """Give a descriptor of the directory ``name``, valid until the next call.

        Raises:
            OSError: if it is not there, is no directory, or a link leads to it.
        """
        if name == self._last:
            return self._opened[-1][1]
        self._last = _NONE
        parts = ["", *name.split("/")] if name else [""]
        if len(parts) > _DEEPEST:
            raise OSError(f"more than {_DEEPEST} directories deep")
        same = 0
        for part, (opened, _) in zip(parts, self._opened, strict=False):
            if part != opened:
                break
            same += 1
        self._keep(same)
        for part in parts[same:]:
            inner = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=self._opened[-1][1])
            self._opened.append((part, inner))
        self._last = name
        return self._opened[-1][1]

    def _keep(self, count: int) -> None:
        while len(self._opened) > count:
            os.close(self._opened.pop()[1])


def open_file(folder: int, leaf: str) -> int:
    """Open ``leaf`` in a directory to read; neither a link nor a FIFO makes it wait or wander.

    Raises:
        OSError: as :func:`os.open` does.
    """
    return os.open(leaf, _FLAGS | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
