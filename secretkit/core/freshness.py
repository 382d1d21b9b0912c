"""Freshness: what to do with a lease at a given moment. Facts in, verdict out."""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.core.record import record
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["LeasePolicy", "Verdict", "Window", "backoff", "judge", "window"]

_MAX_MARGIN: Final = timedelta(seconds=30)
_MARGIN_SHARE: Final = 0.1


class Verdict(enum.Enum):
    """What a caller gets."""

    SERVE = "serve"
    SERVE_AND_RENEW = "serve and renew"
    RENEW_FIRST = "renew first"
    EXPIRED = "expired"


class Window(NamedTuple):
    """Three moments of one lease on the monotonic clock, in seconds."""

    renew_at: float
    serve_until: float
    end: float


@record(kw_only=True)
class LeasePolicy:
    """How long leases last and how hard sources are asked.

    ``renew_at`` is a share of the *granted* life, so it cannot exceed it. ``calls`` per ``per``
    bounds the calls to one source across restarts, so that a crash loop cannot burn a quota.
    """

    ttl: timedelta = timedelta(minutes=15)
    renew_at: float = 0.6
    jitter: float = 0.1
    fetch_timeout: timedelta = timedelta(seconds=10)
    backoff_first: timedelta = timedelta(seconds=1)
    backoff_most: timedelta = timedelta(minutes=1)
    retry_after_most: timedelta = timedelta(minutes=5)
    refused_for: timedelta = timedelta(minutes=10)
    calls: int = 600
    per: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        """Refuse a policy that could never serve."""
        if not timedelta(seconds=1) <= self.ttl <= timedelta(days=1):
            raise ConfigError("a lease lasts between 1 s and 1 day", key_path="leases.ttl")
        if not 0.05 <= self.renew_at <= 0.95:  # noqa: PLR2004 - a share of a life
            raise ConfigError(
                "renew_at is a share between 0.05 and 0.95", key_path="leases.renew_at"
            )
        if not 0 <= self.jitter <= 1:
            raise ConfigError("jitter is a share between 0 and 1", key_path="leases.jitter")
        if self.calls < 1:
            raise ConfigError("at least 1 call must be allowed", key_path="leases.calls")
        for name in ("fetch_timeout", "backoff_first", "backoff_most", "retry_after_most", "per"):
            if getattr(self, name) <= timedelta():
                raise ConfigError("this must be longer than 0 s", key_path=f"leases.{name}")
        if self.refused_for < timedelta():
            raise ConfigError("this cannot be less than 0 s", key_path="leases.refused_for")


def window(
    *, now: datetime, monotonic: float, expires_at: datetime, policy: LeasePolicy, dice: float
) -> Window:
    """Place a lease granted now on the monotonic clock.

    ``dice`` in [0, 1) spreads renewals of many processes over ``policy.jitter`` of the life. The
    margin before the end is a tenth of the life, 30 s at the most: time for a request already
    built to arrive.
    """
    life = max(0.0, (expires_at - now).total_seconds())
    margin = min(_MAX_MARGIN.total_seconds(), life * _MARGIN_SHARE)
    usable = life - margin
    renew = life * policy.renew_at * (1 - policy.jitter * dice)
    return Window(
        renew_at=monotonic + min(renew, usable),
        serve_until=monotonic + usable,
        end=monotonic + life,
    )


def judge(lease: Window, monotonic: float) -> Verdict:
    """Say what to do with a lease at ``monotonic``.

    ``RENEW_FIRST`` still has margin left for a request under way; ``EXPIRED`` has none.
    """
    if monotonic < lease.renew_at:
        return Verdict.SERVE
    if monotonic < lease.serve_until:
        return Verdict.SERVE_AND_RENEW
    return Verdict.RENEW_FIRST if monotonic < lease.end else Verdict.EXPIRED


def backoff(
    failures: int, *, policy: LeasePolicy, dice: float, retry_after: timedelta | None = None
) -> float:
    """Give the seconds to wait before the next call after ``failures`` in a row (1 or more).

    Doubles from ``backoff_first`` to ``backoff_most``, spread over its upper half. A positive
    ``retry_after`` from the source is honoured up to ``retry_after_most``; zero or less is ignored.
    """
    most = policy.backoff_most.total_seconds()
    step = min(most, policy.backoff_first.total_seconds() * 2.0 ** min(failures - 1, 30))
    wait = step * (0.5 + 0.5 * dice)
    asked = retry_after.total_seconds() if retry_after is not None else 0.0
    if asked > 0:
        wait = max(wait, min(asked, policy.retry_after_most.total_seconds()))
    return wait
