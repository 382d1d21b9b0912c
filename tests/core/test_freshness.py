from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from secretkit.core.freshness import LeasePolicy, Verdict, Window, backoff, judge, window
from secretkit.core.record import replace
from secretkit.errors import ConfigError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
POLICY = LeasePolicy()


def granted(life: timedelta, *, dice: float = 0.0, policy: LeasePolicy = POLICY) -> Window:
    return window(now=NOW, monotonic=1000.0, expires_at=NOW + life, policy=policy, dice=dice)


def test_a_quarter_of_an_hour_renews_at_nine_minutes_and_keeps_thirty_seconds():
    assert granted(timedelta(minutes=15)) == Window(renew_at=1540, serve_until=1870, end=1900)


def test_the_margin_of_a_short_lease_is_a_tenth_of_its_life():
    assert granted(timedelta(seconds=100)) == Window(renew_at=1060, serve_until=1090, end=1100)


def test_the_dice_brings_the_renewal_forward_by_the_jitter_at_the_most():
    most = granted(timedelta(seconds=100), dice=0.999999)
    assert most.renew_at == pytest.approx(1054, abs=0.01)
    assert most[1:] == granted(timedelta(seconds=100))[1:]


def test_a_late_renewal_still_begins_ahead_of_need():
    late = granted(timedelta(seconds=100), policy=LeasePolicy(renew_at=0.95))
    assert late == Window(renew_at=1081, serve_until=1090, end=1100)
    assert judge(late, 1081) is Verdict.SERVE_AND_RENEW


@pytest.mark.parametrize("life", [timedelta(), timedelta(seconds=-1), timedelta(days=-400)])
def test_a_lease_that_is_over_when_it_is_granted_is_never_served(life):
    over = granted(life)
    assert over == Window(1000, 1000, 1000)
    assert judge(over, 1000.0) is Verdict.EXPIRED


@pytest.mark.parametrize(
    ("monotonic", "verdict"),
    [
        (0.0, Verdict.SERVE),
        (1539.999, Verdict.SERVE),
        (1540.0, Verdict.SERVE_AND_RENEW),
        (1869.999, Verdict.SERVE_AND_RENEW),
        (1870.0, Verdict.RENEW_FIRST),
        (1899.999, Verdict.RENEW_FIRST),
        (1900.0, Verdict.EXPIRED),
        (1e12, Verdict.EXPIRED),
    ],
)
def test_the_verdict_changes_exactly_at_the_three_moments(monotonic, verdict):
    assert judge(granted(timedelta(minutes=15)), monotonic) is verdict


def test_the_wait_doubles_from_one_second_to_a_minute():
    longest = [backoff(n, policy=POLICY, dice=1.0) for n in range(1, 9)]
    assert longest == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [backoff(n, policy=POLICY, dice=0.0) for n in range(1, 9)] == [w / 2 for w in longest]


def test_a_million_failures_wait_no_longer_than_the_most():
    assert backoff(1_000_000, policy=POLICY, dice=1.0) == 60


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (timedelta(seconds=5), 5.0),
        (timedelta(minutes=4), 240.0),
        (timedelta(seconds=1_000_000_000), 300.0),
        (timedelta.max, 300.0),
        (timedelta(), 1.0),
        (timedelta(seconds=-5), 1.0),
        (timedelta.min, 1.0),
        (timedelta(milliseconds=1), 1.0),
        (None, 1.0),
    ],
)
def test_retry_after_is_honoured_capped_and_ignored_when_it_is_not_positive(asked, wait):
    assert backoff(1, policy=POLICY, dice=1.0, retry_after=asked) == wait


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ttl", timedelta(milliseconds=999)),
        ("ttl", timedelta(days=1, seconds=1)),
        ("ttl", timedelta(seconds=-1)),
        ("renew_at", 0.0),
        ("renew_at", 0.049),
        ("renew_at", 1.0),
        ("renew_at", float("nan")),
        ("jitter", -0.1),
        ("jitter", 1.1),
        ("jitter", float("nan")),
        ("calls", 0),
        ("calls", -1),
        ("per", timedelta()),
        ("fetch_timeout", timedelta()),
        ("backoff_first", timedelta()),
        ("backoff_most", timedelta(seconds=-1)),
        ("retry_after_most", timedelta()),
        ("refused_for", timedelta(seconds=-1)),
        ("fetch_timeout", timedelta(minutes=10, microseconds=1)),
        ("fetch_timeout", timedelta.max),
        ("per", timedelta(days=30, microseconds=1)),
        ("per", timedelta.max),
        ("backoff_first", timedelta.max),
        ("backoff_most", timedelta.max),
        ("retry_after_most", timedelta.max),
        ("refused_for", timedelta.max),
        ("calls", 6.5),
        ("calls", "600"),
        ("calls", True),
        ("calls", None),
        ("renew_at", "0.6"),
        ("renew_at", None),
        ("jitter", True),
    ],
)
def test_a_policy_that_could_not_work_is_refused_and_names_its_key(setting, value):
    with pytest.raises(ConfigError) as caught:
        LeasePolicy(**{setting: value})
    assert caught.value.key_path == f"leases.{setting}"


@pytest.mark.parametrize(
    "policy",
    [
        {"ttl": timedelta(seconds=1)},
        {"ttl": timedelta(days=1)},
        {"renew_at": 0.05},
        {"renew_at": 0.95},
        {"jitter": 0.0},
        {"jitter": 1.0},
        {"calls": 1, "per": timedelta(minutes=8)},
        {"fetch_timeout": timedelta(minutes=10)},
        {"per": timedelta(days=30)},
        {"refused_for": timedelta()},
    ],
)
def test_the_limits_of_a_policy_are_themselves_allowed(policy):
    LeasePolicy(**policy)


@pytest.mark.parametrize(
    "setting",
    [
        *("ttl", "fetch_timeout", "backoff_first", "backoff_most"),
        *("retry_after_most", "refused_for", "per"),
    ],
)
@pytest.mark.parametrize("value", [900, 1.5, "15m", None])
def test_a_duration_that_is_no_timedelta_is_refused_and_says_so(setting, value):
    with pytest.raises(ConfigError, match="a timedelta was expected") as caught:
        LeasePolicy(**{setting: value})
    assert caught.value.key_path == f"leases.{setting}"
    assert "timedelta(" in caught.value.hint


def test_calls_that_the_renewals_alone_would_use_up_are_refused_with_the_number_needed():
    settings = {"ttl": timedelta(seconds=6), "renew_at": 0.2, "jitter": 0.0}
    with pytest.raises(ConfigError, match="3000") as caught:
        LeasePolicy(**settings, calls=2999)
    assert caught.value.key_path == "leases.calls"
    assert "3000" in caught.value.hint
    assert LeasePolicy(**settings, calls=3000).calls == 3000


def test_calls_left_out_are_ten_times_what_renewals_need_and_at_least_600():
    assert LeasePolicy().calls == 600
    quick = LeasePolicy(ttl=timedelta(seconds=6), renew_at=0.2, jitter=0.0)
    assert quick.calls == 30_000


def test_calls_left_out_are_worked_out_again_for_another_life():
    made = replace(LeasePolicy(jitter=0.0), ttl=timedelta(seconds=1))
    assert made.calls == 60_000
    assert replace(made, ttl=timedelta(minutes=15)) == LeasePolicy(jitter=0.0)
    assert dataclasses.replace(LeasePolicy(jitter=0.0), ttl=timedelta(seconds=1)) == made
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own bytes


def test_stated_calls_stay_as_they_were_stated():
    with pytest.raises(ConfigError, match="renewals alone"):
        replace(LeasePolicy(calls=600), ttl=timedelta(seconds=1))
