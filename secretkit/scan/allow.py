"""Allow: the comment that accepts a finding on its own line, with a reason."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["allowed"]

# The marks that start a comment, in the languages people keep configuration and code in.
_ALLOW: Final = re.compile(
    rb"(?:#|//|/\*|\*|--|;|<!--|%|\{#|\(\*|\bREM)[ \t]*secretkit: allow[ \t]+[^\s\W]"
)
_FURTHEST: Final = 1 << 12


def allowed(data: bytes, at: int, *, end: int | None = None) -> bool:
    """Say whether a line around ``at`` holds the comment ``secretkit: allow REASON``.

    The line where a secret ends, if ``end`` is given, counts as well as the one where it starts.
    A line is read at most 4 KiB either way.
    """
    return _on_line(data, at) or (end is not None and _on_line(data, max(at, end - 1)))


def _on_line(data: bytes, at: int) -> bool:
    start = data.rfind(b"\n", max(0, at - _FURTHEST), at) + 1 or max(0, at - _FURTHEST)
    stop = data.find(b"\n", at, at + _FURTHEST)
    return _ALLOW.search(data, start, stop if stop >= 0 else at + _FURTHEST) is not None
