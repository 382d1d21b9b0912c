"""References to a credential: order, refusals, deadlines, and what third parties may get wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest

from secretkit.broker.pool import PoolSource, ask
from secretkit.core.credential import ApiKey
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.ports import Fetched
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


def test_a_lease_goes_back_to_the_store_that_gave_it(clock):
    first, second = Shelf(clock, {"a": "key-a"}), Shelf(clock, {"b": "key-b"})
    members = [(SecretRef("one", "a"), first), (SecretRef("two", "b"), second)]
    source = PoolSource(members, kind="anthropic-api-key", clock=clock)
    acquired = source.acquire(timeout=TEN, refused=lambda secret: secret == Secret("key-a"))
    assert acquired.handle is not None
    source.revoke(acquired.handle, timeout=TEN)
    assert (first.revoked, second.revoked) == ([], ["lease-b"])


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
