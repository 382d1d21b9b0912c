"""Allow: the comment that accepts a finding on its own line, with a reason."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["allowed"]

_ALLOW: Final = re.compile(rb"secretkit: allow[ \t]+\S")
_FURTHEST: Final = 1 << 12


def allowed(data: bytes, at: int) -> bool:
    """Say whether the line around ``at`` holds ``secretkit: allow REASON``.

    A line is read at most 4 KiB either way.
    """
    start = data.rfind(b"\n", max(0, at - _FURTHEST), at) + 1 or max(0, at - _FURTHEST)
    end = data.find(b"\n", at, at + _FURTHEST)
    return _ALLOW.search(data, start, end if end >= 0 else at + _FURTHEST) is not None
