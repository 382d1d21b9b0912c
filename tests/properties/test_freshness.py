from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secretkit.core.freshness import LeasePolicy, Verdict, backoff, judge, window
from secretkit.errors import ConfigError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ORDER = list(Verdict)

lives = st.timedeltas(min_value=timedelta(days=-2), max_value=timedelta(days=400))
dice = st.floats(0, 1, exclude_max=True)
ticks = st.floats(0, 1e9)
durations = st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(days=2))
policies = st.builds(
    LeasePolicy,
    renew_at=st.floats(0.05, 0.95),
    jitter=st.floats(0, 1),
    backoff_first=durations,
    backoff_most=durations,
    retry_after_most=durations,
)


@given(lives, ticks, policies, dice)
def test_the_three_moments_of_a_lease_are_in_order(life, monotonic, policy, roll):
    lease = window(now=NOW, monotonic=monotonic, expires_at=NOW + life, policy=policy, dice=roll)
    assert monotonic <= lease.renew_at <= lease.serve_until <= lease.end
    assert lease.end <= monotonic + max(0.0, life.total_seconds())


@given(lives, policies, dice, st.floats(-1e6, 1e9))
def test_nothing_is_served_after_the_end(life, policy, roll, later):
    lease = window(now=NOW, monotonic=1e6, expires_at=NOW + life, policy=policy, dice=roll)
    at = 1e6 + later
    verdict = judge(lease, at)
    if at >= lease.end:
        assert verdict is Verdict.EXPIRED
    if at >= lease.serve_until:
        assert verdict in {Verdict.RENEW_FIRST, Verdict.EXPIRED}
    if verdict in {Verdict.SERVE, Verdict.SERVE_AND_RENEW}:
        assert at < lease.serve_until <= lease.end


@given(lives, policies, dice, st.lists(st.floats(-1e6, 1e8), min_size=2))
def test_verdicts_only_get_worse_as_time_passes(life, policy, roll, moments):
    lease = window(now=NOW, monotonic=0.0, expires_at=NOW + life, policy=policy, dice=roll)
    verdicts = [ORDER.index(judge(lease, at)) for at in sorted(moments)]
    assert verdicts == sorted(verdicts)


@given(
    st.integers(1, 10**9),
    policies,
    dice,
    st.none() | st.timedeltas(),
)
def test_a_wait_is_positive_bounded_and_heeds_the_source(failures, policy, roll, asked):
    wait = backoff(failures, policy=policy, dice=roll, retry_after=asked)
    plain = backoff(failures, policy=policy, dice=roll)
    most, cap = policy.backoff_most.total_seconds(), policy.retry_after_most.total_seconds()
    assert 0 < plain <= most
    if asked is None or asked <= timedelta():
        assert wait == plain
    else:
        assert wait >= min(asked.total_seconds(), cap)
        assert wait <= max(plain, cap)


@given(st.integers(1, 1000), policies, dice)
def test_one_more_failure_never_waits_less(failures, policy, roll):
    assert backoff(failures + 1, policy=policy, dice=roll) >= backoff(
        failures, policy=policy, dice=roll
    )


@given(
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=1)),
    st.floats(0, 1e7),
    policies,
    dice,
)
@example(timedelta(minutes=5), 0.0, LeasePolicy(renew_at=0.95, jitter=0.0), 0.0)
def test_every_lease_is_renewed_ahead_of_need(life, monotonic, policy, roll):
    lease = window(now=NOW, monotonic=monotonic, expires_at=NOW + life, policy=policy, dice=roll)
    ahead = lease.serve_until - lease.renew_at
    assert ahead >= 0.08 * life.total_seconds()  # a tenth of what is left beside the margin
    assert judge(lease, lease.renew_at) is Verdict.SERVE_AND_RENEW


@given(
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=1)),
    st.floats(0.05, 0.95),
    st.floats(0, 1),
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)),
    st.data(),
)
def test_a_policy_that_is_accepted_may_ask_as_often_as_it_renews(ttl, renew_at, jitter, per, data):
    settings = {"ttl": ttl, "renew_at": renew_at, "jitter": jitter, "per": per}
    free = LeasePolicy(**settings)
    lease = window(now=NOW, monotonic=0.0, expires_at=NOW + ttl, policy=free, dice=0.5)
    renewals = per.total_seconds() / lease.renew_at
    assert free.calls >= max(600, 9.99 * renewals)
    calls = data.draw(st.integers(1, free.calls))
    if calls >= renewals * 1.001 + 1:
        assert LeasePolicy(**settings, calls=calls).calls == calls
    elif calls < renewals * 0.999:
        with pytest.raises(ConfigError, match="renewals alone"):
            LeasePolicy(**settings, calls=calls)
