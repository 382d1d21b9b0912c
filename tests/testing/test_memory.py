"""MemoryProvider: what a test can make a store do."""

import threading
from datetime import timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RefError,
    SecretNotFoundError,
)
from secretkit.ports import Listable, Provider, Revocable, Versioned, Writable
from secretkit.testing.clock import FakeClock
from secretkit.testing.context import provider_context
from secretkit.testing.memory import (
    MemoryProvider,
    denied,
    foreign,
    garbage,
    hang,
    not_found,
    same,
    slow,
    throttled,
    unavailable,
)

SECOND = timedelta(seconds=1)
REF = SecretRef("memory", "name")


@pytest.fixture
def store() -> MemoryProvider:
    made = MemoryProvider()
    made.set("name", "value")
    return made


def fetch(store: MemoryProvider, ref: SecretRef = REF, timeout: timedelta = SECOND):
    return store.fetch(ref, timeout=timeout)


def test_it_has_every_ability(store: MemoryProvider) -> None:
    for ability in (Provider, Writable, Listable, Versioned, Revocable):
        assert isinstance(store, ability)


def test_it_counts_fetches_and_nothing_else(store: MemoryProvider) -> None:
    fetch(store)
    store.version(REF, timeout=SECOND)
    store.answer(REF)
    store.script.append(denied())
    with pytest.raises(AccessDeniedError):
        fetch(store)
    assert store.fetches == 2


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (denied(), AccessDeniedError),
        (not_found(), SecretNotFoundError),
        (unavailable(), ProviderUnavailableError),
        (throttled(), ProviderError),
    ],
)
def test_a_scripted_failure_happens_once(
    store: MemoryProvider, behaviour, kind: type[ProviderError]
) -> None:
    store.script.append(behaviour)
    with pytest.raises(kind) as caught:
        fetch(store)
    assert type(caught.value) is kind
    assert caught.value.ref == "memory:name"
    assert fetch(store).secret.reveal() == "value"


def test_otherwise_holds_for_every_fetch_after_the_script(store: MemoryProvider) -> None:
    store.script.append(not_found())
    store.otherwise = denied()
    for kind in (SecretNotFoundError, AccessDeniedError, AccessDeniedError):
        with pytest.raises(kind):
            fetch(store)


@pytest.mark.parametrize("wait", [SECOND, timedelta(days=400_000), timedelta(seconds=-1), None])
def test_a_throttle_passes_on_what_the_store_said(store: MemoryProvider, wait) -> None:
    store.script.append(throttled(wait))
    with pytest.raises(ProviderError) as caught:
        fetch(store)
    assert caught.value.retry_after == wait


@pytest.mark.parametrize(("timeout", "outcome"), [(9, "value"), (3, ProviderTimeoutError)])
def test_a_slow_store_takes_its_time_on_the_clock(timeout: int, outcome: object) -> None:
    clock = FakeClock()
    store = MemoryProvider(clock=clock)
    store.set("name", "value")
    store.script.append(slow(timedelta(seconds=5)))
    got: list[object] = []

    def ask() -> None:
        try:
            got.append(fetch(store, timeout=timedelta(seconds=timeout)).secret.reveal())
        except ProviderError as error:
            got.append(type(error))

    asking = threading.Thread(target=ask)
    asking.start()
    while not clock.waiting:
        threading.Event().wait(0.002)
    clock.advance(timedelta(seconds=2))
    assert got == []
    clock.advance(timedelta(seconds=3))
    asking.join(20)
    assert got == [outcome]


def test_a_hanging_store_ignores_the_deadline_until_released(store: MemoryProvider) -> None:
    store.script.append(hang())
    asking = threading.Thread(target=fetch, args=(store, REF, timedelta(0)))
    asking.start()
    while not store.hanging:
        threading.Event().wait(0.002)
    store.release()
    asking.join(20)
    assert store.hanging == 0


def test_garbage_is_control_characters_and_a_foreign_error_holds_the_secret(
    store: MemoryProvider,
) -> None:
    store.script.extend([garbage(), foreign()])
    assert not fetch(store).secret.reveal().isprintable()
    with pytest.raises(RuntimeError, match="Bearer value"):
        fetch(store)


def test_the_same_value_again_has_a_new_version(store: MemoryProvider) -> None:
    store.script.append(same())
    found = fetch(store)
    assert (found.secret.reveal(), found.version) == ("value", "2")


def test_old_versions_can_be_asked_for(store: MemoryProvider) -> None:
    store.set("name", "newer")
    assert fetch(store).version == "2"
    assert fetch(store, SecretRef("memory", "name", version="1")).secret.reveal() == "value"
    with pytest.raises(SecretNotFoundError):
        fetch(store, SecretRef("memory", "name", version="3"))


def test_a_leasing_store_states_an_end_and_takes_leases_back() -> None:
    clock = FakeClock()
    store = MemoryProvider(clock=clock, expires_after=timedelta(hours=1))
    store.set("name", "value")
    found = fetch(store)
    assert found.expires_at == clock.now() + timedelta(hours=1)
    assert found.handle is not None
    store.revoke(found.handle, timeout=SECOND)
    store.revoke(found.handle, timeout=SECOND)
    assert store.revoked == [found.handle]
    assert fetch(store).handle != found.handle


def test_a_field_is_read_from_json_and_not_written(store: MemoryProvider) -> None:
    store.set("doc", '{"a": "b"}')
    ref = SecretRef("memory", "doc", "a")
    assert fetch(store, ref).secret.reveal() == "b"
    with pytest.raises(RefError):
        store.write(ref, Secret("x"))


def test_it_can_be_opened_like_any_provider() -> None:
    context = provider_context(clock=FakeClock())
    assert MemoryProvider.open({}, context).clock is context.clock
    with pytest.raises(ConfigError):
        MemoryProvider.open({"x": 1}, context)


def test_the_listing_knows_when(store: MemoryProvider) -> None:
    (one,) = store.names()
    assert (one.name, one.version, one.created_at) == ("name", "1", store.clock.now())
