"""Script: what the next answers are to be instead of a success."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, TypedDict

from secretkit.errors import ConfigError
from secretkit.testing.stub.refused import RefusedError

__all__ = ["SCRIPTABLE", "Script", "Step", "StepOptions"]

SCRIPTABLE: Final = (
    *("/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/oauth/token"),
    *("/v1/organizations/federation_issuers", "/v1/organizations/federation_rules"),
    "/v1/organizations/service_accounts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How the next ``times`` answers on ``path`` differ from a success.

    A step never hides a mistake of the client: it is used up only by a request that would have
    succeeded. ``retry_after`` as text is sent as it stands, to try odd ones. ``cut_after`` closes
    the connection after that many events (of a JSON answer: after half of it; 0: before it).
    ``error_after`` puts an error event there, and waits for a streamed request. ``pace`` is a pause
    before every event.
    """

    status: int = 200
    times: int = 1
    path: str = "/v1/messages"
    retry_after: timedelta | int | str | None = None
    delay: timedelta = timedelta()
    pace: timedelta = timedelta()
    cut_after: int | None = None
    error_after: int | None = None
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse a step that could not be played."""
        problems = (
            (self.path not in SCRIPTABLE, f"path is one of {', '.join(SCRIPTABLE)}"),
            (self.times < 1, "times is 1 or more"),
            (not 200 <= self.status <= 599, "status is between 200 and 599"),  # noqa: PLR2004 - HTTP
            (min(self.delay, self.pace) < timedelta(), "delay and pace are not negative"),
            ((self.cut_after or 0) < 0 or (self.error_after or 0) < 0, "events count from 0"),
            (
                self.error_after is not None and (self.is_error or self.cut_after is not None),
                "error_after needs a stream that starts well and is not cut",
            ),
        )
        wrong = next((text for found, text in problems if found), "")
        if wrong:
            raise ConfigError("this step cannot be played", hint=wrong)

    @property
    def is_error(self) -> bool:
        """Whether the answer is another status than 200."""
        return self.status != 200  # noqa: PLR2004 - HTTP

    def refusal(self) -> RefusedError:
        """Give the error answer this step asks for."""
        refused = RefusedError(self.status, "scripted by the test")
        refused.headers.update(self.headers)
        wait = self.retry_after
        if wait is not None:
            text = str(int(wait.total_seconds())) if isinstance(wait, timedelta) else str(wait)
            refused.headers["retry-after"] = text
        return refused


class StepOptions(TypedDict, total=False):
    """The fields of a :class:`Step` as keyword arguments."""

    status: int
    times: int
    path: str
    retry_after: timedelta | int | str | None
    delay: timedelta
    pace: timedelta
    cut_after: int | None
    error_after: int | None
    error: str
    headers: Mapping[str, str]
    body: bytes | None


class Script:
    """The queue of steps. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: deque[Step] = deque()

    def add(self, *steps: Step) -> None:
        """Queue steps behind those already there."""
        with self._lock:
            self._steps.extend(steps)

    def clear(self) -> None:
        """Forget the steps that were not played."""
        with self._lock:
            self._steps.clear()

    def __len__(self) -> int:
        """How many answers are still to be bent."""
        with self._lock:
            return sum(step.times for step in self._steps)

    def take(self, path: str, *, is_stream: bool) -> Step | None:
        """Use up the first step that fits a request, or give None."""
        with self._lock:
            for index, step in enumerate(self._steps):
                if step.path != path or (step.error_after is not None and not is_stream):
                    continue
                if step.times > 1:
                    self._steps[index] = replace(step, times=step.times - 1)
                else:
                    del self._steps[index]
                return step
        return None
