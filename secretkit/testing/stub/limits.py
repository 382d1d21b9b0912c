"""Rate limits of the stand-in: fixed windows of one minute on its clock, and the API's headers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from secretkit.testing.stub.refused import RefusedError

if TYPE_CHECKING:
    from secretkit.ports import Clock

__all__ = ["Meter", "RateLimits"]

_WINDOW: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What one organisation may use per minute. The defaults are out of a test's reach."""

    requests: int = 1_000_000
    input_tokens: int = 1_000_000_000
    output_tokens: int = 1_000_000_000


class Meter:
    """Counts what was used in the current minute. For one thread."""

    def __init__(self, limits: RateLimits, *, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._opened = clock.monotonic()
        self._used = {"requests": 0, "input-tokens": 0, "output-tokens": 0}

    def take(self, *, input_tokens: int, output_tokens: int) -> None:
        """Count one request.

        Raises:
            RefusedError: 429 with ``retry-after``, if it would go over a limit; nothing is counted.
        """
        self._turn()
        wanted = {"requests": 1, "input-tokens": input_tokens, "output-tokens": output_tokens}
        for name, limit in self._caps().items():
            if self._used[name] + wanted[name] > limit:
                refused = RefusedError(429, f"over the limit of {limit} {name} per minute")
                refused.headers["retry-after"] = str(max(1, math.ceil(self._left())))
                raise refused
        for name, amount in wanted.items():
            self._used[name] += amount

    def headers(self) -> dict[str, str]:
        """Give the ``anthropic-ratelimit-*`` headers, resets as RFC 3339 at one second."""
        self._turn()
        end = self._clock.now().astimezone(UTC) + timedelta(seconds=math.ceil(self._left()))
        reset = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        caps = self._caps()
        rows = {name: (limit, limit - self._used[name]) for name, limit in caps.items()}
        both = [rows["input-tokens"], rows["output-tokens"]]
        rows["tokens"] = (sum(limit for limit, _ in both), sum(left for _, left in both))
        headers = {}
        for name, (limit, remaining) in rows.items():
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
            headers[f"anthropic-ratelimit-{name}-reset"] = reset
        return headers

    def _caps(self) -> dict[str, int]:
        return {
            "requests": self._limits.requests,
            "input-tokens": self._limits.input_tokens,
            "output-tokens": self._limits.output_tokens,
        }

    def _left(self) -> float:
        return self._opened + _WINDOW - self._clock.monotonic()

    def _turn(self) -> None:
        if self._left() <= 0:
            self._opened = self._clock.monotonic()
            self._used = dict.fromkeys(self._used, 0)
