"""ProviderContract: what every provider must do, as tests that a provider's author inherits.

::

    class TestMyProvider(ProviderContract):
        def make_provider(self) -> Provider:
            return MyProvider(...)

        def put(self, name: str, value: str) -> None:
            ...  # store it, by whatever way the store offers

        def ref(self, name: str) -> SecretRef:
            return SecretRef("mine", name)

A store that can be written inherits :class:`WritableContract`, which asks more of it.

pytest makes one object per test, so state may live on ``self``; an autouse fixture of your own
class is the place for a temporary directory.
"""
# ruff: noqa: S101 - these are tests, which pytest rewrites

from __future__ import annotations

import pickle
import threading
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import (
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretkitError,
    SecretNotFoundError,
)
from secretkit.ports import Listable, Provider, Versioned, Writable
from secretkit.testing.contract_hooks import AWKWARD, LIMIT, ContractHooks, in_threads
from secretkit.testing.contract_writing import WritingContract
from secretkit.testing.trace import assert_no_trace

__all__ = ["AWKWARD", "ProviderContract", "WritableContract", "assert_no_trace"]


class ProviderContract(ContractHooks):
    """Inherit, fill in three methods, and set what the store cannot do."""

    @pytest.mark.parametrize("kind", AWKWARD)
    def test_an_awkward_value_comes_back_unchanged(self, kind: str) -> None:
        """Nothing is stripped, decoded, expanded or cut; what the store cannot hold, it refuses."""
        if kind in self.unsupported:
            with pytest.raises(Exception):  # noqa: B017, PT011 - each store says it in its way
                self.put("awkward", AWKWARD[kind])
            return
        self.put("awkward", AWKWARD[kind])
        assert self._value("awkward") == AWKWARD[kind]

    def test_it_is_a_provider(self) -> None:
        """The object has the one method a Provider needs."""
        provider = self.make_provider()
        assert isinstance(provider, Provider)
        if isinstance(provider, (Writable, Listable)):
            assert isinstance(self, WritableContract), "inherit WritableContract for this store"

    def test_a_missing_secret_is_not_found(self) -> None:
        """Asked, and not there: SecretNotFoundError with the reference and a hint."""
        self.put("present", "some-value")
        with pytest.raises(SecretNotFoundError) as caught:
            self._fetch("absent")
        assert caught.value.ref
        assert caught.value.hint
        assert caught.value.retryable is False

    def test_the_same_reference_twice_gives_the_same_secret(self) -> None:
        """Reading has no effect."""
        self.put("twice", "some-value")
        provider = self.make_provider()
        one = provider.fetch(self.ref("twice"), timeout=self.timeout)
        two = provider.fetch(self.ref("twice"), timeout=self.timeout)
        assert one.secret == two.secret
        assert one.version == two.version

    def test_a_new_value_is_seen_by_the_next_fetch(self) -> None:
        """A provider keeps no copy: that is the broker's task."""
        provider = self.make_provider()
        self.put("changing", "value-one")
        first = provider.fetch(self.ref("changing"), timeout=self.timeout)
        self.put("changing", "value-two-is-longer")
        second = provider.fetch(self.ref("changing"), timeout=self.timeout)
        assert second.secret == Secret("value-two-is-longer")
        assert second.version is None or second.version != first.version

    def test_names_do_not_run_into_each_other(self) -> None:
        """Each name has its own value."""
        for name in ("one", "two", "onetwo"):
            self.put(name, f"value-of-{name}")
        assert [self._value(name) for name in ("one", "two", "onetwo")] == [
            "value-of-one",
            "value-of-two",
            "value-of-onetwo",
        ]

    def test_many_threads_may_fetch_at_once(self) -> None:
        """Twenty threads, four names, no wrong answer and no error."""
        names = ("north", "east", "south", "west")
        for name in names:
            self.put(name, f"value-of-{name}")
        provider = self.make_provider()

        def ask(number: int) -> object:
            name = names[number % len(names)]
            got = provider.fetch(self.ref(name), timeout=self.timeout)
            return got.secret == Secret(f"value-of-{name}")

        assert set(in_threads(ask)) == {True}

    def test_a_malformed_reference_is_one_clear_error(self) -> None:
        """Also one that looks like another file, an option, or too much."""
        provider = self.make_provider()
        known = self.ref("absent")
        paths = ("..", "/", "../../../etc/nothing", "--help", "a b", "x" * 2_000, "${HOME}", "*")
        for ref in (*(replace(known, path=path) for path in paths), *self.malformed()):
            with pytest.raises(SecretkitError) as caught:
                provider.fetch(ref, timeout=self.timeout)
            assert caught.value.hint, f"no hint for {ref}"

    def test_a_stalled_store_is_given_up_at_the_deadline(self) -> None:
        """A hanging store costs its deadline and no more."""
        self.put("slow", "some-value")
        provider = self.make_provider()
        stall = self.stalled("slow")
        outcome: list[object] = []

        def ask() -> None:
            try:
                provider.fetch(self.ref("slow"), timeout=timedelta(seconds=0.3))
                outcome.append("answered")
            except SecretkitError as error:
                outcome.append(type(error))

        with stall or nullcontext():
            asking = threading.Thread(target=ask, daemon=True)
            asking.start()
            asking.join(LIMIT)
            assert not asking.is_alive(), "the fetch outlived its deadline"
        answered: list[object] = (
            ["answered"] if stall is None else []
        )  # it cannot be made to stall: it answers
        assert outcome in (answered or [ProviderTimeoutError], [ProviderUnavailableError])

    def test_the_version_alone_is_the_version_of_a_fetch(self) -> None:
        """The cheap question and the full answer agree."""
        provider = self.make_provider()
        if not isinstance(provider, Versioned):
            assert not hasattr(provider, "version"), "half of Versioned is none of it"
            return
        self.put("known", "some-value")
        found = provider.fetch(self.ref("known"), timeout=self.timeout)
        assert provider.version(self.ref("known"), timeout=self.timeout) == found.version
        with pytest.raises(SecretNotFoundError):
            provider.version(self.ref("absent"), timeout=self.timeout)

    def test_no_secret_is_printed_or_pickled(self) -> None:
        """Neither the answer nor the provider shows the value."""
        canary = "canary-" + "q7" * 12
        self.put("hidden", canary)
        provider = self.make_provider()
        found = provider.fetch(self.ref("hidden"), timeout=self.timeout)
        assert found.secret == Secret(canary)
        for thing in (found, provider):
            assert canary not in repr(thing)
            assert canary not in str(thing)
            assert canary not in f"{thing}"
        with pytest.raises(TypeError):
            pickle.dumps(found)
        with suppress(Exception):  # most providers cannot be pickled, which is as good
            assert canary.encode() not in pickle.dumps(provider)

    def test_no_secret_is_in_an_error(self) -> None:
        """Neither in the message, nor in anything a traceback with locals would show."""
        canary = "canary-" + "z9" * 12
        self.put("hidden", canary)
        provider = self.make_provider()
        known = self.ref("hidden")
        wrong = (
            self.ref("absent"),
            replace(known, field="no-such-field"),
            replace(known, version="no-such-version"),
        )
        for ref in wrong:
            with pytest.raises(SecretkitError) as caught:
                provider.fetch(ref, timeout=self.timeout)
            assert caught.value.hint, f"no hint for {ref}"
            assert_no_trace(caught.value, canary)


class WritableContract(ProviderContract, WritingContract):
    """The same, and what a store that can be written or listed must do besides."""
