"""Match: says whether a rule matches where it was nominated, as :mod:`secretkit.scan.confirm` does.

That one loads re and typing, 10 ms, for one place in 5,000 clean lines. The part of re that
compiles a pattern takes 1 ms; what it leaves out is enum, for the names of flags.
"""

# No pathlib on the way of the git hook.
# ruff: noqa: PTH120
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator
    from typing import Protocol

    class Rules(Protocol):
        """Rules by their index."""

        def __getitem__(self, index: int, /) -> Rule:
            """Give a rule."""
            ...

    class Rule(Protocol):
        """What confirming a match takes of a rule."""

        pattern: str
        reach: int


__all__ = ["compiler", "matches"]

_CORE = 4096  # secretkit.scan.confirm.CORE


def matches(data: bytes, *, nominated: list[tuple[int, int]], rules: Rules) -> bool:
    """Say whether any (rule, end) that was nominated is a match.

    The answer is that of :class:`secretkit.scan.confirm.Confirmer`, part by part.
    """
    compiled = compiler()
    patterns: dict[int, re.Pattern[bytes]] = {}
    for rule, start, stop in sorted(
        {(rule, *core) for rule, end in nominated for core in _cores(data, max(end - 1, 0))}
    ):
        if rule not in patterns:
            patterns[rule] = compiled(rules[rule].pattern.encode("ascii"))
        newline = data.find(b"\n", stop, stop + _CORE)
        limit = rules[rule].reach + (newline if newline >= 0 else stop + _CORE)
        found = patterns[rule].search(data, start, limit)
        if found and found.start() < stop:
            return True
    return False


def _cores(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Give the core that holds ``at``, and the one before it in the same line, if there is one."""
    low = at - at % _CORE
    start = data.rfind(b"\n", low, at) + 1 or low
    stop = data.find(b"\n", at, low + _CORE)
    yield start, stop if stop >= 0 else min(low + _CORE, len(data))
    if start == low and low and data[low - 1 : low] != b"\n":
        earlier = low - _CORE
        yield data.rfind(b"\n", earlier, low) + 1 or earlier, low


def compiler() -> Callable[[bytes], re.Pattern[bytes]]:
    """Give what compiles a pattern: a part of re, or all of it if that is loaded or must be.

    A later ``import re`` is whole, and shares what was loaded.
    """
    found: Callable[[bytes], re.Pattern[bytes]]
    if "re" not in sys.modules:
        bare = sys.modules["re"] = type(sys)("re")
        try:
            bare.__path__ = [f"{os.path.dirname(os.__file__)}/re"]
            from re import _compiler  # type: ignore[attr-defined]  # noqa: PLC0415 - see above

            found = _compiler.compile
        except (ImportError, AttributeError):
            pass  # a Python whose re is made of other parts, or lies in an archive
        else:
            return found
        finally:
            del sys.modules["re"]
    import re  # noqa: PLC0415 - see above

    found = re.compile
    return found
