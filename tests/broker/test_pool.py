"""References to a credential: order, refusals, deadlines, and what third parties may get wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from broker.world import until
from secretkit.broker.pool import PoolSource, ask
from secretkit.core.credential import ApiKey
from secretkit.core.freshness import LeasePolicy
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.ports import Fetched
from secretkit.testing.brokers import broker_over
from secretkit.testing.clock import FakeClock

TEN = timedelta(seconds=10)


class Shelf:
    """A provider over a dict; ``slow`` passes time on the clock."""

    def __init__(self, clock: FakeClock, values: dict[str, object]) -> None:
        self.clock, self.values = clock, values
        self.asked: list[tuple[str, timedelta]] = []
        self.slow = timedelta()
        self.revoked: list[str] = []

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        self.asked.append((ref.path, timeout))
        self.clock.advance(self.slow)
        value = self.values[ref.path]
        if isinstance(value, Exception):
            raise value
        if isinstance(value, str):
            return Fetched(secret=Secret(value), version="7", handle=f"lease-{ref.path}")
        return value

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        self.revoked.append(handle)


@pytest.fixture
def clock():
    return FakeClock()


def pool(clock, shelf, *names):
    members = [(SecretRef("shelf", name), shelf) for name in names]
    return PoolSource(members, kind="anthropic-api-key", clock=clock)


def test_the_first_that_is_not_refused_is_given_in_its_kind(clock):
    shelf = Shelf(clock, {"a": "key-a", "b": "key-b"})
    acquired = pool(clock, shelf, "a", "b").acquire(timeout=TEN, refused=lambda _: False)
    assert acquired.credential == ApiKey(Secret("key-a"))
    assert (acquired.ref, acquired.version) == ("shelf:a", "7")
    assert [path for path, _ in shelf.asked] == ["a"]


def test_a_refused_one_is_passed_over(clock):
    shelf = Shelf(clock, {"a": "key-a", "b": "key-b"})
    acquired = pool(clock, shelf, "a", "b").acquire(
        timeout=TEN, refused=lambda secret: secret == Secret("key-a")
    )
    assert acquired.ref == "shelf:b"


def test_when_all_are_refused_the_first_is_given(clock):
    shelf = Shelf(clock, {"a": "key-a", "b": "key-b"})
    assert (
        pool(clock, shelf, "a", "b").acquire(timeout=TEN, refused=lambda _: True).ref == "shelf:a"
    )


def test_a_store_that_fails_is_reported_and_not_passed_over(clock):
    shelf = Shelf(clock, {"a": ProviderUnavailableError("down"), "b": "key-b"})
    with pytest.raises(ProviderUnavailableError, match="down"):
        pool(clock, shelf, "a", "b").acquire(timeout=TEN, refused=lambda _: False)


def test_one_deadline_covers_the_whole_pool(clock):
    shelf = Shelf(clock, {"a": "key-a", "b": "key-b", "c": "key-c"})
    shelf.slow = timedelta(seconds=6)
    with pytest.raises(ProviderTimeoutError, match="shelf:c"):
        pool(clock, shelf, "a", "b", "c").acquire(timeout=TEN, refused=lambda _: True)
    assert [round(timeout.total_seconds()) for _, timeout in shelf.asked] == [10, 4]


@pytest.mark.parametrize(
    "value", ["zqx\n", '"zqx"', " zqx", "z\u200bqx", "z\uff45x", "z qx", "z\x7f"]
)
def test_a_malformed_value_names_its_reference_and_not_itself(clock, value):
    with pytest.raises(SecretError) as caught:
        pool(clock, Shelf(clock, {"a": value}), "a").acquire(timeout=TEN, refused=lambda _: False)
    assert "shelf:a" in str(caught.value)
    assert caught.value.hint
    assert "zqx" not in str(caught.value)
    assert value not in str(caught.value)


def test_a_lease_on_what_cannot_be_used_goes_back_at_once(clock):
    shelf = Shelf(clock, {"a": "not a key"})
    with pytest.raises(SecretError):
        pool(clock, shelf, "a").acquire(timeout=TEN, refused=lambda _: False)
    assert shelf.revoked == ["lease-a"]


def test_what_was_leased_for_a_member_that_is_passed_over_goes_back_at_once(clock):
    shelf = Shelf(clock, {"a": "value-a", "b": "value-b", "c": "value-c"})
    source = pool(clock, shelf, "a", "b", "c")
    taken = source.acquire(timeout=TEN, refused=lambda one: one.reveal() != "value-c")
    assert (taken.ref, shelf.revoked) == ("shelf:c", ["lease-a", "lease-b"])
    shelf.revoked.clear()
    source.acquire(timeout=TEN, refused=lambda _: True)
    assert shelf.revoked == ["lease-b", "lease-c"]
    shelf.revoked.clear()
    shelf.values["b"] = ProviderUnavailableError("away", ref="shelf:b")
    with pytest.raises(ProviderUnavailableError):
        source.acquire(timeout=TEN, refused=lambda _: True)
    assert shelf.revoked == ["lease-a"]


def test_a_lease_goes_back_to_the_store_that_gave_it(clock):
    first, second = Shelf(clock, {"a": "key-a"}), Shelf(clock, {"b": "key-b"})
    members = [(SecretRef("one", "a"), first), (SecretRef("two", "b"), second)]
    source = PoolSource(members, kind="anthropic-api-key", clock=clock)
    acquired = source.acquire(timeout=TEN, refused=lambda secret: secret == Secret("key-a"))
    assert acquired.handle is not None
    source.revoke(acquired.handle, timeout=TEN)
    assert (first.revoked, second.revoked) == (["lease-a"], ["lease-b"])


@pytest.mark.parametrize("answer", [ValueError("it is key-a"), 42, None, "fetched"])
def test_a_provider_with_a_bug_gives_a_clear_error_without_its_text(clock, answer):
    shelf = Shelf(clock, {"a": answer})
    if answer == "fetched":
        shelf.fetch = lambda ref, timeout: Secret("key-a")  # not a Fetched
    with pytest.raises(ProviderError) as caught:
        ask(shelf, SecretRef("shelf", "a"), timeout=TEN)
    assert "key-a" not in str(caught.value)
    assert "shelf:a" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_empty_pool_and_an_unknown_kind_are_refused(clock):
    with pytest.raises(ConfigError):
        PoolSource([], kind="opaque", clock=clock)
    shelf = Shelf(clock, {"a": "key-a"})
    source = PoolSource([(SecretRef("shelf", "a"), shelf)], kind="no-such", clock=clock)
    with pytest.raises(ConfigError, match="no such kind"):
        source.acquire(timeout=TEN, refused=lambda _: False)


# -- leases that are renewed ---------------------------------------------------------------------

HOUR = timedelta(hours=1)
LAST = timedelta(hours=6)  # max_ttl


class Lessor:
    """Leases a new key for an hour at each fetch, and renews it up to six hours from then."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.fetched = 0
        self.renewed: list[str] = []
        self.revoked: list[str] = []
        self.made: dict[str, datetime] = {}
        self.fail: Exception | None = None
        self.answer: object = None

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        self.fetched += 1
        handle = f"lease/{self.fetched}"
        self.made[handle] = self.clock.now()
        return Fetched(
            secret=Secret(f"key-{self.fetched}"),
            expires_at=self.clock.now() + HOUR,
            handle=handle,
        )

    def renew(self, handle: str, *, timeout: timedelta) -> datetime:
        self.renewed.append(handle)
        if self.fail is not None:
            raise self.fail
        if self.answer is not None:
            return self.answer
        return min(self.clock.now() + HOUR, self.made[handle] + LAST)

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        self.revoked.append(handle)


@pytest.fixture
def lessor(clock):
    return Lessor(clock)


def acquire(source, *, refused=()):
    return source.acquire(timeout=TEN, refused=lambda secret: secret in map(Secret, refused))


@pytest.fixture
def leased(clock, lessor):
    """A pool over the lessor that holds its first lease, 36 minutes old."""
    source = PoolSource([(SecretRef("shelf", "a"), lessor)], kind="opaque", clock=clock)
    acquire(source)
    clock.advance(HOUR * 0.6)
    return source


def test_a_lease_is_renewed_and_keeps_its_secret_and_its_handle(clock, lessor, leased):
    again = acquire(leased)
    assert (again.credential.secret, again.handle) == (Secret("key-1"), "0:lease/1")
    assert again.credential.expires_at == clock.now() + HOUR
    assert (lessor.fetched, lessor.renewed) == (1, ["lease/1"])


def test_near_its_last_day_a_lease_is_replaced_and_not_renewed_for_less_and_less(
    clock, lessor, leased
):
    for _ in range(8):
        acquire(leased)
        clock.advance(HOUR * 0.6)
    acquire(leased)
    clock.advance(HOUR * 0.36)
    assert acquire(leased).credential.secret == Secret("key-2")
    assert lessor.made["lease/2"] < lessor.made["lease/1"] + LAST
    assert lessor.fetched == 2


@pytest.mark.parametrize("error", [SecretNotFoundError("gone"), AccessDeniedError("no policy")])
def test_a_lease_that_is_gone_or_may_not_be_renewed_is_fetched_anew(lessor, leased, error):
    lessor.fail = error
    assert acquire(leased).credential.secret == Secret("key-2")
    assert lessor.revoked == []  # the broker gives it back, after a grace


def test_a_store_that_is_away_makes_the_renewal_fail_and_nothing_is_fetched(lessor, leased):
    lessor.fail = ProviderUnavailableError("sealed", ref="lease a")
    with pytest.raises(ProviderUnavailableError, match="sealed") as caught:
        acquire(leased)
    assert caught.value.ref == "shelf:a"
    lessor.fail = None
    assert acquire(leased).credential.secret == Secret("key-1")
    assert lessor.fetched == 1


@pytest.mark.parametrize("answer", [42, datetime(2030, 1, 1)])  # noqa: DTZ001 - that is the point
def test_a_renewal_that_gives_no_moment_is_a_defect_with_the_reference(lessor, leased, answer):
    lessor.answer = answer
    with pytest.raises(ProviderError, match="shelf:a"):
        acquire(leased)


def test_a_foreign_error_while_renewing_keeps_its_text_to_itself(lessor, leased):
    lessor.fail = RuntimeError("it is key-1")
    with pytest.raises(ProviderError, match="RuntimeError") as caught:
        acquire(leased)
    assert "key-1" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_refused_secret_is_not_renewed(lessor, leased):
    assert acquire(leased, refused=["key-1"]).credential.secret == Secret("key-2")
    assert lessor.renewed == []


def test_a_lease_that_was_given_back_or_has_ended_is_not_renewed(clock, lessor, leased):
    leased.revoke("0:lease/1", timeout=TEN)
    assert acquire(leased).credential.secret == Secret("key-2")
    clock.advance(2 * HOUR)
    assert acquire(leased).credential.secret == Secret("key-3")
    assert lessor.renewed == []


def test_a_broker_keeps_one_lease_over_its_renewals_and_gives_each_back_once(clock, lessor):
    policy = LeasePolicy(ttl=timedelta(days=1), renew_at=0.6, jitter=0.0)
    with broker_over(lessor, clock=clock, policy=policy) as broker:
        first = broker.lease("claude")
        for count in range(1, 10):
            until(lambda: clock.waiting, what="the schedule waits")
            clock.advance(HOUR * 0.6)
            until(lambda count=count: len(lessor.renewed) == count, what=f"renewal {count}")
            until(lambda: broker.lease("claude").expires_at > clock.now() + HOUR / 2, what="later")
            assert broker.lease("claude").id == first.id
        until(lambda: clock.waiting, what="the schedule waits")
        clock.advance(HOUR * 0.36)
        until(lambda: lessor.fetched == 2, what="a new lease ahead of the last day")
        until(lambda: broker.lease("claude").id != first.id, what="it is served")
        assert lessor.revoked == []
        clock.advance(timedelta(minutes=2))
        until(lambda: lessor.revoked == ["lease/1"], what="the old one is given back")
    assert lessor.revoked == ["lease/1", "lease/2"]
