"""The part of the provider contract that is about writing and listing."""

# ruff: noqa: S101 - these are tests, which pytest rewrites

from __future__ import annotations

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretkitError, SecretNotFoundError
from secretkit.ports import Listable
from secretkit.testing.contract_hooks import AWKWARD, ContractHooks, in_threads
from secretkit.testing.trace import assert_no_trace

__all__ = ["WritingContract"]


class WritingContract(ContractHooks):
    """What a Writable and a Listable store must do."""

    @pytest.mark.parametrize("kind", AWKWARD)
    def test_a_written_value_comes_back_unchanged(self, kind: str) -> None:
        """What write stores, fetch gives; what the store cannot hold, it refuses."""
        if kind in self.unsupported:
            with pytest.raises(SecretkitError):
                self._writable().write(self.ref("written"), Secret(AWKWARD[kind]))
            return
        self._writable().write(self.ref("written"), Secret(AWKWARD[kind]))
        assert self._value("written") == AWKWARD[kind]

    def test_a_write_that_expects_nothing_does_not_overwrite(self) -> None:
        """Version "0" means: only if there is none."""
        store = self._writable()
        store.write(self.ref("fresh"), Secret("value-one"), expected_version="0")
        with pytest.raises(ProviderError):
            store.write(self.ref("fresh"), Secret("value-two"), expected_version="0")
        assert self._value("fresh") == "value-one"

    def test_a_write_that_expects_another_version_changes_nothing(self) -> None:
        """A compare-and-swap that lost says so, without a value in the error."""
        store = self._writable()
        canary = "canary-" + "k3" * 12
        store.write(self.ref("kept"), Secret("value-one"))
        with pytest.raises(ProviderError) as caught:
            store.write(self.ref("kept"), Secret(canary), expected_version="no-such-version")
        assert caught.value.hint
        assert_no_trace(caught.value, canary)
        assert self._value("kept") == "value-one"

    def test_a_write_that_expects_the_current_version_is_done(self) -> None:
        """The version that fetch and write report is the one to expect."""
        store = self._writable()
        first = store.write(self.ref("swapped"), Secret("value-one"))
        if not self.keeps_versions:
            assert not first.version, "a store without versions names none"
            return
        assert self._fetch("swapped").version == first.version
        second = store.write(
            self.ref("swapped"), Secret("value-two"), expected_version=first.version
        )
        assert second.version != first.version
        assert self._value("swapped") == "value-two"
        with pytest.raises(ProviderError):
            store.write(self.ref("swapped"), Secret("value-three"), expected_version=first.version)

    def test_of_many_writers_that_expect_nothing_one_wins(self) -> None:
        """The comparison and the swap are one step."""
        store = self._writable()

        def attempt(number: int) -> object:
            try:
                store.write(self.ref("raced"), Secret(f"value-{number}"), expected_version="0")
            except ProviderError:
                return None
            return f"value-{number}"

        won = [one for one in in_threads(attempt) if one is not None]
        assert len(won) == 1
        assert self._value("raced") == won[0]

    def test_a_deleted_secret_is_gone(self) -> None:
        """And deleting it again says that there is none."""
        store = self._writable()
        store.write(self.ref("doomed"), Secret("some-value"))
        store.write(self.ref("kept"), Secret("other-value"))
        store.delete(self.ref("doomed"))
        with pytest.raises(SecretNotFoundError):
            self._fetch("doomed")
        with pytest.raises(SecretNotFoundError):
            store.delete(self.ref("doomed"))
        assert self._value("kept") == "other-value"

    def test_the_listing_has_names_and_no_values(self) -> None:
        """Sorted by name, with the version a fetch reports."""
        provider = self.make_provider()
        if not isinstance(provider, Listable):
            assert not hasattr(provider, "names"), "half of Listable is none of it"
            return
        canary = "canary-" + "w5" * 12
        before = {one.name for one in provider.names()}
        for name in ("walnut", "almond", "hazel"):
            self.put(name, canary)
        listed = self._listable().names()
        fresh = [one for one in listed if one.name not in before]
        assert [one.name for one in listed] == sorted(one.name for one in listed)
        assert len(fresh) == 3  # noqa: PLR2004 - the three above
        assert all(one.version for one in fresh)
        assert canary not in repr(listed)
