"""A broker over any provider, in three words."""

from datetime import timedelta

import pytest

from secretkit.core.credential import Opaque
from secretkit.core.freshness import LeasePolicy
from secretkit.errors import ConfigError, LeaseExpiredError, ProviderUnavailableError, RefError
from secretkit.redact import default
from secretkit.testing import FakeClock, MemoryProvider, broker_over
from secretkit.testing.memory import unavailable

VALUE = "made-up-" + "v" * 20


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    store = MemoryProvider(clock=clock)
    store.set("claude", VALUE)
    return store


def test_it_leases_what_the_store_has_at_the_path_of_the_name(store):
    with broker_over(store) as broker:
        lease = broker.lease("claude")
        assert lease.credential.secret.reveal() == VALUE
        assert (lease.ref, lease.generation) == ("test:claude", 1)
        assert broker.lease("claude") is lease
        assert VALUE not in default().text(f"oops: {VALUE}")
    assert store.fetches == 1
    with pytest.raises(LeaseExpiredError, match="closed"):
        broker.lease("claude")


def test_its_time_is_the_clock_it_was_given(store, clock):
    with broker_over(store, clock=clock, policy=LeasePolicy(ttl=timedelta(minutes=2))) as broker:
        lease = broker.lease("claude")
        assert lease.expires_at - clock.now() == timedelta(minutes=2)
        store.otherwise = unavailable()
        clock.advance(timedelta(minutes=2))
        with pytest.raises((LeaseExpiredError, ProviderUnavailableError)):
            broker.lease("claude")


def test_each_name_is_a_credential_of_the_kind(store):
    store.set("other", VALUE)
    with broker_over(store, kind="opaque", names=("claude", "other")) as broker:
        assert broker.names() == ("claude", "other")
        assert isinstance(broker.lease("other").credential, Opaque)
        with pytest.raises(ConfigError):
            broker.lease("third")


def test_two_brokers_share_nothing(store):
    with broker_over(store) as one, broker_over(store) as other:
        assert one.lease("claude").id != other.lease("claude").id


def test_a_name_that_cannot_be_a_path_is_refused(store):
    with pytest.raises(RefError):
        broker_over(store, names=("",))
