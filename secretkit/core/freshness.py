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
_LATEST: Final = 0.9  # of the time a lease is served: one call to the store fits behind it
_LEAST_CALLS: Final = 600
_CALLS_PER_RENEWAL: Final = 10  # other processes, refusals, restarts and failures call too
_LONGEST: Final = timedelta(days=30)  # far from where clocks, waits and the ledger overflow
_DURATIONS: Final = {
    "ttl": (timedelta(seconds=1), timedelta(days=1)),
    "fetch_timeout": (timedelta(microseconds=1), timedelta(minutes=10)),
    "backoff_first": (timedelta(microseconds=1), _LONGEST),
    "backoff_most": (timedelta(microseconds=1), _LONGEST),
    "retry_after_most": (timedelta(microseconds=1), _LONGEST),
    "refused_for": (timedelta(), _LONGEST),
    "per": (timedelta(microseconds=1), _LONGEST),
}
_SHARES: Final = {"renew_at": (0.05, 0.95), "jitter": (0, 1)}


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


class _Unstated(int):
    """A number of calls that nobody chose: a policy made of one that has it works it out again."""

    __slots__ = ()


@record(kw_only=True)
class LeasePolicy:
    """How long leases last and how hard sources are asked.

    ``renew_at`` is a share of the *granted* life, so it cannot exceed it. ``calls`` per ``per``
    bounds the calls to one source across restarts, so that a crash loop cannot burn a quota. Left
    out, ``calls`` is ten times what the renewals of one process need, and at least 600.
    """

    ttl: timedelta = timedelta(minutes=15)
    renew_at: float = 0.6
    jitter: float = 0.1
    fetch_timeout: timedelta = timedelta(seconds=10)
    backoff_first: timedelta = timedelta(seconds=1)
    backoff_most: timedelta = timedelta(minutes=1)
    retry_after_most: timedelta = timedelta(minutes=5)
    refused_for: timedelta = timedelta(minutes=10)
    calls: int = _Unstated(_LEAST_CALLS)
    per: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        """Refuse a policy that could not work.

        Raises:
            ConfigError: names the key; also for ``calls`` that the renewals alone would use up.
        """
        for name, (least, most) in _DURATIONS.items():
            _check_duration(name, getattr(self, name), least=least, most=most)
        for name, (low, high) in _SHARES.items():
            _check_share(name, getattr(self, name), low=low, high=high)
        interval = timedelta(seconds=_renewal(self, self.ttl.total_seconds()))
        needed = -(-self.per // interval)
        if isinstance(self.calls, _Unstated):
            calls = _Unstated(max(_LEAST_CALLS, _CALLS_PER_RENEWAL * needed))
            object.__setattr__(self, "calls", calls)
        else:
            _check_calls(self.calls, needed=needed, per=self.per)


def _check_calls(calls: object, *, needed: int, per: timedelta) -> None:
    if not isinstance(calls, int) or isinstance(calls, bool) or calls < 1:
        raise ConfigError(
            "a whole number of at least 1 was expected",
            key_path="leases.calls",
            hint=f"calls = {_LEAST_CALLS}",
        )
    if calls < needed:
        raise ConfigError(
            f"renewals alone need {needed} calls in {per}, and {calls} are allowed",
            key_path="leases.calls",
            hint=f"leave calls out, or allow at least {needed}; or make ttl longer",
        )


def _check_duration(name: str, value: object, *, least: timedelta, most: timedelta) -> None:
    if not isinstance(value, timedelta):
        raise ConfigError(
            f"a timedelta was expected, not {type(value).__name__}",
            key_path=f"leases.{name}",
            hint=f"{name}=timedelta(seconds=…)",
        )
    if not least <= value <= most:
        tiny = timedelta() < least < timedelta(seconds=1)
        start = "longer than 0 s" if tiny else f"at least {_plain(least)}"
        raise ConfigError(
            f"this must be {start}, and at most {_plain(most)}", key_path=f"leases.{name}"
        )


def _check_share(name: str, value: object, *, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} is a share between {low} and {high}", key_path=f"leases.{name}")


def _plain(length: timedelta) -> str:
    if length.days:
        return f"{length.days} d"
    minutes, seconds = divmod(length.seconds, 60)
    return f"{minutes} min" if minutes else f"{seconds} s"


def window(
    *, now: datetime, monotonic: float, expires_at: datetime, policy: LeasePolicy, dice: float
) -> Window:
    """Place a lease granted now on the monotonic clock.

    ``dice`` in [0, 1) spreads renewals of many processes over ``policy.jitter`` of the life. The
    margin before the end is a tenth of the life, 30 s at the most: time for a request already
    built to arrive. Renewal begins when nine tenths of the time before the margin are over, at the
    latest, so that it is always ahead of need.
    """
    life = max(0.0, (expires_at - now).total_seconds())
    return Window(
        renew_at=monotonic + _renewal(policy, life, dice=dice),
        serve_until=monotonic + _usable(life),
        end=monotonic + life,
    )


def _usable(life: float) -> float:
    return life - min(_MAX_MARGIN.total_seconds(), life * _MARGIN_SHARE)


def _renewal(policy: LeasePolicy, life: float, *, dice: float = 0.5) -> float:
    """Give the seconds from a grant to its renewal; without ``dice``, on average."""
    renew = life * policy.renew_at * (1 - policy.jitter * dice)
    return min(renew, _usable(life) * _LATEST)


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
