"""Fault: how the next answers differ from what they would be."""

from __future__ import annotations

import threading
from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from secretkit.errors import ConfigError
from secretkit.testing.aws.message import AwsRefusedError

__all__ = ["DROP", "Fault", "Faults"]

DROP: Final = "drop"
"""As a code: the connection is cut without an answer."""

_STATUS: Final = {
    "ThrottlingException": 400,
    "AccessDeniedException": 400,
    "InternalServiceError": 500,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, for requests that are signed rightly: a client's own mistake is never hidden.

    ``action`` is "sts:AssumeRole", "secretsmanager:*" or "*"; ``region`` empty for every one;
    ``times`` 0 for until :meth:`Faults.clear`. ``code`` is AWS's error code or :data:`DROP`;
    ``status`` is 0 for the code's own; ``retry_after`` is sent as it stands. ``hang`` is waited in
    real seconds before anything. ``answer`` changes an STS session's answer: "account", "role" and
    "session" of the ARN it tells, "expiration" its end as text.
    """

    action: str = "*"
    region: str = ""
    times: int = 1
    code: str = ""
    message: str = "injected by the test"
    status: int = 0
    retry_after: str = ""
    hang: timedelta = timedelta()
    answer: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a fault that changes nothing."""
        if not (self.code or self.hang or self.answer):
            raise ConfigError("this fault changes nothing", hint="give code, hang or answer")

    def fits(self, action: str, region: str) -> bool:
        """Say whether it is meant for this call."""
        start, _, rest = self.action.partition("*")
        meant = (
            action.startswith(start) and not rest if "*" in self.action else action == self.action
        )
        return meant and self.region in {"", region}

    def refused(self) -> AwsRefusedError:
        """Give the error this fault asks for."""
        error = AwsRefusedError(self.code, self.message, self.status or _STATUS.get(self.code, 400))
        if self.retry_after:
            error.headers["retry-after"] = self.retry_after
        return error


class Faults:
    """The faults to come, in order. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        """Queue faults behind those already there."""
        with self._lock:
            self._all.extend(faults)

    def clear(self) -> None:
        """Forget those that are left."""
        with self._lock:
            self._all.clear()

    def take(self, action: str, *, region: str) -> Fault | None:
        """Use up the first fault that fits this call."""
        with self._lock:
            for place, fault in enumerate(self._all):
                if fault.fits(action, region):
                    if fault.times == 1:
                        del self._all[place]
                    elif fault.times > 1:
                        self._all[place] = replace(fault, times=fault.times - 1)
                    return fault
        return None
