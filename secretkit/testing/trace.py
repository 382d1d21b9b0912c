"""Looking for a value in an error and in everything that hangs from it."""

# ruff: noqa: S101 - a test calls it

from __future__ import annotations

import pickle
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["assert_no_trace"]


def assert_no_trace(error: BaseException, canary: str) -> None:
    """Fail if ``canary`` can be found in an error: its text, its chain, its frames, its pickle.

    Frames of test files and of the contract are passed over: a test knows its canary.
    """
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        queue += [one.__cause__, one.__context__]
        told = (str(one), repr(one), repr(one.args), repr(vars(one)))
        assert not any(canary in text for text in told), f"{type(one).__name__} tells the value"
        for frame, line in traceback.walk_tb(one.__traceback__):
            shown = [] if _is_test(frame) else [k for k, v in _locals(frame) if canary in v]
            where = f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
            assert not shown, f"the value is in {shown} at {where}"
    with suppress(TypeError, AttributeError, pickle.PicklingError):
        assert canary.encode() not in pickle.dumps(error)


def _locals(frame: FrameType) -> list[tuple[str, str]]:
    return [(name, repr(value)) for name, value in frame.f_locals.items()]


def _is_test(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return name.rpartition("/")[2].startswith(("test_", "contract"))
