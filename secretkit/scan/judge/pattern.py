"""Pattern: regular expressions that are compiled when they are first used.

There are fifty of them, 10 ms together, and a git hook that judges one finding needs a few.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

__all__ = ["pattern"]


class _Pattern:
    """Stands in for a compiled pattern; its methods become that one's own at the first use."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a pattern has
        method = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, method)
        return method


if TYPE_CHECKING:
    pattern = re.compile
else:
    pattern = _Pattern
    """Give what ``re.compile`` gives, later."""
