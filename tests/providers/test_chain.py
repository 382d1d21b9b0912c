"""The chain: "did not ask" goes on, every other answer stops."""

from datetime import datetime, timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RefError,
    SecretNotFoundError,
)
from secretkit.providers.chain import ChainProvider
from secretkit.testing.clock import FakeClock
from secretkit.testing.context import provider_context
from secretkit.testing.memory import (
    MemoryProvider,
    denied,
    foreign,
    not_found,
    throttled,
    unavailable,
)

SECOND = timedelta(seconds=1)
REF = SecretRef("chain", "item")


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.one = MemoryProvider(clock=self.clock)
        self.two = MemoryProvider(clock=self.clock)
        for store, value in ((self.one, "from-one"), (self.two, "from-two")):
            store.set("item", value)
        self.known: dict[str, object] = {"one": self.one, "two": self.two}
        self.context = provider_context(clock=self.clock, providers=self.known)

    def chain(self, *of: object) -> ChainProvider:
        return ChainProvider.open({"of": list(of)}, self.context)

    def value(self, *of: object, ref: SecretRef = REF) -> str:
        return self.chain(*of).fetch(ref, timeout=SECOND).secret.reveal()


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_that_answers_is_enough(world: World) -> None:
    assert world.value("one", "two") == "from-one"
    assert (world.one.fetches, world.two.fetches) == (1, 0)


def test_what_could_not_be_asked_makes_way(world: World) -> None:
    world.one.otherwise = unavailable()
    assert world.value("one", "two") == "from-two"


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (denied(), AccessDeniedError),
        (not_found(), SecretNotFoundError),
        (throttled(SECOND), ProviderError),
        (foreign(), RuntimeError),
    ],
)
def test_any_other_failure_stops_the_chain_and_is_raised_as_it_is(
    world: World, behaviour: object, kind: type[Exception]
) -> None:
    world.one.otherwise = behaviour  # type: ignore[assignment]
    with pytest.raises(kind) as caught:
        world.value("one", "two")
    assert type(caught.value) is kind
    assert world.two.fetches == 0


def test_when_none_can_be_asked_each_reason_is_given(world: World) -> None:
    world.one.otherwise = world.two.otherwise = unavailable()
    with pytest.raises(ProviderUnavailableError) as caught:
        world.value("one", "two")
    text = str(caught.value)
    assert "one: one:item: the store does not answer (a test asked" in text
    assert "two: two:item: the store does not answer" in text
    assert caught.value.__context__ is None


def test_a_member_that_cannot_be_opened_makes_way(world: World) -> None:
    def resolve(name: str):
        if name == "broken":
            raise ProviderUnavailableError("an extra is missing", hint="pip install it")
        return world.two

    context = provider_context()
    chain = ChainProvider.open(
        {"of": ["broken", "two"]},
        type(context)(
            clock=context.clock,
            environ={},
            rng=context.rng,
            config_dir="",
            state_dir="",
            resolve=resolve,
        ),
    )
    assert chain.fetch(REF, timeout=SECOND).secret.reveal() == "from-two"


def test_an_unknown_member_is_a_configuration_error(world: World) -> None:
    with pytest.raises(ConfigError, match="nobody"):
        world.value("nobody", "two")


def test_path_field_and_version_are_handed_on(world: World) -> None:
    world.one.set("doc", '{"a": "first"}')
    world.one.set("doc", '{"a": "second"}')
    assert world.value("one", ref=SecretRef("chain", "doc", "a", "1")) == "first"


def test_a_member_may_have_a_path_of_its_own(world: World) -> None:
    world.one.set("OTHER", "override")
    world.one.set("prefix/item", "templated")
    world.one.set("doc", '{"f": "field"}')
    assert world.value({"provider": "one", "path": "OTHER"}) == "override"
    assert world.value("one:OTHER") == "override"
    assert world.value("one:prefix/{path}") == "templated"
    assert world.value("one:doc#f") == "field"
    assert world.value({"provider": "one", "path": "doc", "field": "f"}) == "field"
    world.one.set("OTHER", "newer")
    assert world.value("one:OTHER@1") == "override"


def test_the_deadline_is_shared(world: World) -> None:
    def late(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        assert timeout == SECOND
        world.clock.advance(timedelta(milliseconds=600))
        raise ProviderUnavailableError("no login", hint="log in")

    given: list[timedelta] = []

    def note(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        given.append(timeout)

    world.one.otherwise, world.two.otherwise = late, note
    assert world.value("one", "two") == "from-two"
    assert given[0] <= timedelta(milliseconds=401)


def test_nobody_is_asked_when_the_time_is_up(world: World) -> None:
    def slow(provider: MemoryProvider, ref: SecretRef, timeout: timedelta) -> None:
        world.clock.advance(SECOND)
        raise ProviderUnavailableError("no login", hint="log in")

    world.one.otherwise = slow
    with pytest.raises(ProviderTimeoutError):
        world.value("one", "two")
    assert world.two.fetches == 0


def test_a_chain_in_a_chain_works(world: World) -> None:
    world.one.otherwise = unavailable()
    world.known["inner"] = world.chain("one", "two")
    assert world.value("inner", "one") == "from-two"


def test_a_chain_that_contains_itself_is_refused(world: World) -> None:
    world.one.otherwise = unavailable()
    direct = world.chain("one", "self")
    world.known["self"] = direct
    with pytest.raises(ConfigError, match="contains itself") as caught:
        direct.fetch(REF, timeout=SECOND)
    assert "'of'" in caught.value.hint

    first, second, third = (world.chain("one", name) for name in ("second", "third", "first"))
    world.known |= {"first": first, "second": second, "third": third}
    for chain in (first, second, third):
        with pytest.raises(ConfigError, match="contains itself"):
            chain.fetch(REF, timeout=SECOND)


def test_a_cycle_that_a_chain_only_leads_to_is_refused_too(world: World) -> None:
    world.one.otherwise = unavailable()
    world.known["loop"] = world.chain("one", "loop")
    with pytest.raises(ConfigError, match="contains itself"):
        world.value("one", "loop")


def test_a_cycle_of_chains_that_are_made_anew_each_time_is_refused(world: World) -> None:
    context = provider_context()
    made = type(context)(
        clock=context.clock,
        environ={},
        rng=context.rng,
        config_dir="",
        state_dir="",
        resolve=lambda name: ChainProvider.open({"of": ["again"]}, made),
    )
    with pytest.raises(ConfigError, match="contains itself"):
        ChainProvider.open({"of": ["again"]}, made).fetch(REF, timeout=SECOND)


def test_a_lease_is_given_back_to_the_member_that_granted_it(world: World) -> None:
    world.one.otherwise = unavailable()
    world.two.expires_after = timedelta(hours=1)
    chain = world.chain("one", "two")
    handle = chain.fetch(REF, timeout=SECOND).handle
    assert handle is not None
    chain.revoke(handle, timeout=SECOND)
    assert world.two.revoked == [handle.partition(":")[2]]
    for bad in ("", "9:x", "x", "-1:x", "\u0661:x"):
        with pytest.raises(ProviderError):
            chain.revoke(bad, timeout=SECOND)
        with pytest.raises(ProviderError):
            chain.renew(bad, timeout=SECOND)


class Lessor(MemoryProvider):
    """A store that leases and renews."""

    def renew(self, handle: str, *, timeout: timedelta) -> datetime:
        assert timeout == SECOND
        self.renewed = handle
        return self.clock.now() + 2 * SECOND


def test_a_lease_is_renewed_by_the_member_that_granted_it(world: World) -> None:
    lessor = Lessor(clock=world.clock, expires_after=SECOND)
    lessor.set("item", "value")
    world.one.otherwise = unavailable()
    world.known["two"] = lessor
    chain = world.chain("one", "two")
    handle = chain.fetch(REF, timeout=SECOND).handle
    assert handle is not None
    assert chain.renew(handle, timeout=SECOND) == world.clock.now() + 2 * SECOND
    assert handle == f"1:{lessor.renewed}"


def test_a_member_that_cannot_renew_makes_a_new_lease_be_asked_for(world: World) -> None:
    world.one.otherwise = unavailable()
    world.two.expires_after = SECOND
    world.two.set("item", "value")
    chain = world.chain("one", "two")
    handle = chain.fetch(REF, timeout=SECOND).handle
    assert handle is not None
    with pytest.raises(SecretNotFoundError):
        chain.renew(handle, timeout=SECOND)


@pytest.mark.parametrize(
    "of",
    [
        None,
        [],
        "env",
        [1],
        [""],
        ["Env"],
        ["env:"],
        [{}],
        [{"provider": "Env"}],
        [{"provider": "env", "pth": "X"}],
        [{"provider": "env", "path": ""}],
        [{"provider": "env", "path": " X"}],
    ],
)
def test_malformed_members_are_refused(of: object) -> None:
    with pytest.raises(ConfigError) as caught:
        ChainProvider.open({} if of is None else {"of": of}, provider_context())
    assert caught.value.hint


def test_a_reference_error_of_a_member_stops_the_chain(world: World) -> None:
    from secretkit.providers.env import EnvProvider

    world.known["env"] = EnvProvider({"item": "x"})
    with pytest.raises(RefError):
        world.value("env", "one", ref=SecretRef("chain", "item", None, "2"))
