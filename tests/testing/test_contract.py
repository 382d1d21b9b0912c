"""The contract catches what it promises to catch: each careless provider here fails its test."""

import pickle
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretNotFoundError
from secretkit.ports import Fetched, StoredVersion
from secretkit.testing.contract import ProviderContract, WritableContract, assert_no_trace
from secretkit.testing.memory import MemoryProvider

CANARY = "canary-" + "t" * 30


def contract(kind: type[MemoryProvider], base: type[ProviderContract] = WritableContract):
    class Careless(base):  # type: ignore[valid-type,misc]
        def __init__(self) -> None:
            self.store = kind()

        def make_provider(self) -> MemoryProvider:
            return self.store

        def put(self, name: str, value: str) -> None:
            self.store.set(name, value)

        def ref(self, name: str) -> SecretRef:
            return SecretRef("memory", name)

        def stalled(self, name: str):
            return nullcontext()

    return Careless()


class Strips(MemoryProvider):
    def fetch(self, ref, *, timeout):
        found = super().fetch(ref, timeout=timeout)
        return replace(found, secret=Secret(found.secret.reveal().strip()))


class Invents(MemoryProvider):
    def fetch(self, ref, *, timeout):
        try:
            return super().fetch(ref, timeout=timeout)
        except SecretNotFoundError:
            return Fetched(secret=Secret("default"))


class NoHint(MemoryProvider):
    def fetch(self, ref, *, timeout):
        try:
            return super().fetch(ref, timeout=timeout)
        except SecretNotFoundError:
            raise SecretNotFoundError("no", ref=str(ref)) from None


class Foreign(MemoryProvider):
    def fetch(self, ref, *, timeout):
        try:
            return super().fetch(ref, timeout=timeout)
        except SecretNotFoundError:
            raise KeyError(ref.path) from None


class Caches(MemoryProvider):
    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[SecretRef, Fetched] = {}

    def fetch(self, ref, *, timeout):
        if ref not in self.kept:
            self.kept[ref] = super().fetch(ref, timeout=timeout)
        return self.kept[ref]


class Prefixes(MemoryProvider):
    def fetch(self, ref, *, timeout):
        return super().fetch(replace(ref, path=ref.path[:3]), timeout=timeout)

    def set(self, name, value):
        return super().set(name[:3], value)


class Shares(MemoryProvider):
    """Keeps the reference it works on where every thread writes it."""

    working: SecretRef

    def fetch(self, ref, *, timeout):
        self.working = ref
        threading.Event().wait(0.01)
        return super().fetch(self.working, timeout=timeout)


class Hangs(MemoryProvider):
    def fetch(self, ref, *, timeout):
        return super().fetch(ref, timeout=timeout)


class Prints(MemoryProvider):
    def __repr__(self) -> str:
        return repr({k: e.versions["1"].reveal() for k, e in self._entries.items()})


class TellsInMessage(MemoryProvider):
    def fetch(self, ref, *, timeout):
        if ref.field:
            value = self.answer(replace(ref, field=None)).secret.reveal()
            raise ProviderError(f"no field in {value}", ref=str(ref), hint="x")
        return super().fetch(ref, timeout=timeout)


# Compiled under another name, because assert_no_trace passes over the frames of test files.
_PROVIDER = """
class TellsInFrame(MemoryProvider):
    def fetch(self, ref, *, timeout):
        if ref.field:
            value = self.answer(replace(ref, field=None)).secret.reveal()
            raise ProviderError(f"no field in {len(value)}", ref=str(ref), hint="x")
        return super().fetch(ref, timeout=timeout)
"""
_MADE: dict[str, object] = {
    "MemoryProvider": MemoryProvider,
    "ProviderError": ProviderError,
    "replace": replace,
}
exec(compile(_PROVIDER, "provider.py", "exec"), _MADE)  # noqa: S102 - the text above
TellsInFrame: type[MemoryProvider] = _MADE["TellsInFrame"]  # type: ignore[assignment]


class TellsInContext(MemoryProvider):
    def fetch(self, ref, *, timeout):
        if ref.field:
            try:
                self._fail(ref)
            except ValueError:
                raise ProviderError("no field", ref=str(ref), hint="x") from None
        return super().fetch(ref, timeout=timeout)

    def _fail(self, ref):
        raise ValueError(self.answer(replace(ref, field=None)).secret.reveal())


class Overwrites(MemoryProvider):
    def write(self, ref, secret, *, expected_version=None):
        return super().write(ref, secret)


class LooksThenWrites(MemoryProvider):
    def write(self, ref, secret, *, expected_version=None):
        if expected_version == "0" and ref.path in self._entries:
            raise ProviderError("there", ref=str(ref), hint="x")
        threading.Event().wait(0.02)
        return super().write(ref, secret)


class ForgetsNothing(MemoryProvider):
    def delete(self, ref):
        self.answer(ref)


class Unsorted(MemoryProvider):
    def names(self):
        return list(reversed(super().names()))


class ListsValues(MemoryProvider):
    def names(self):
        return [
            StoredVersion(name=one.name, version=self._entries[one.name].versions["1"].reveal())
            for one in super().names()
        ]


C = WritableContract
CARELESS: list[tuple[type[MemoryProvider], Callable[..., None], tuple[object, ...]]] = [
    (Strips, C.test_an_awkward_value_comes_back_unchanged, ("leading spaces",)),
    (Strips, C.test_a_written_value_comes_back_unchanged, ("newline at the end",)),
    (Invents, C.test_a_missing_secret_is_not_found, ()),
    (NoHint, C.test_a_missing_secret_is_not_found, ()),
    (Foreign, C.test_a_missing_secret_is_not_found, ()),
    (Foreign, C.test_a_malformed_reference_is_one_clear_error, ()),
    (NoHint, C.test_a_malformed_reference_is_one_clear_error, ()),
    (Caches, C.test_a_new_value_is_seen_by_the_next_fetch, ()),
    (Prefixes, C.test_names_do_not_run_into_each_other, ()),
    (Shares, C.test_many_threads_may_fetch_at_once, ()),
    (Prints, C.test_no_secret_is_printed_or_pickled, ()),
    (TellsInMessage, C.test_no_secret_is_in_an_error, ()),
    (TellsInFrame, C.test_no_secret_is_in_an_error, ()),
    (TellsInContext, C.test_no_secret_is_in_an_error, ()),
    (Overwrites, C.test_a_write_that_expects_nothing_does_not_overwrite, ()),
    (Overwrites, C.test_a_write_that_expects_another_version_changes_nothing, ()),
    (Overwrites, C.test_a_write_that_expects_the_current_version_is_done, ()),
    (LooksThenWrites, C.test_of_many_writers_that_expect_nothing_one_wins, ()),
    (ForgetsNothing, C.test_a_deleted_secret_is_gone, ()),
    (Unsorted, C.test_the_listing_has_names_and_no_values, ()),
    (ListsValues, C.test_the_listing_has_names_and_no_values, ()),
    (Hangs, C.test_a_stalled_store_is_given_up_at_the_deadline, ()),
]


@pytest.mark.parametrize(
    ("kind", "test", "args"),
    CARELESS,
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_careless_provider_fails(kind, test, args) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, KeyError)):
        test(contract(kind), *args)


@pytest.mark.parametrize(("kind", "test", "args"), CARELESS[:-1], ids=lambda one: "")
def test_a_careful_one_passes_the_same_test(kind, test, args) -> None:
    test(contract(MemoryProvider), *args)


def test_a_writable_store_must_keep_the_writing_contract() -> None:
    with pytest.raises(AssertionError, match="inherit WritableContract"):
        contract(MemoryProvider, ProviderContract).test_it_is_a_provider()


def test_the_hooks_must_be_filled_in() -> None:
    for hook in ("make_provider", "put", "ref"):
        arguments = {"put": ("a", "b"), "ref": ("a",)}.get(hook, ())
        with pytest.raises(NotImplementedError):
            getattr(ProviderContract(), hook)(*arguments)


def test_an_error_that_holds_nothing_passes() -> None:
    error = ProviderError("no", ref="a:b", hint="x")
    error.__cause__ = KeyError("fine")
    assert_no_trace(error, CANARY)
    assert pickle.loads(pickle.dumps(error)).ref == "a:b"  # noqa: S301 - our own bytes


@pytest.mark.parametrize("where", ["args", "attribute", "cause", "context"])
def test_a_value_is_found_wherever_it_hangs(where: str) -> None:
    error = ProviderError("no", ref="a:b", hint="x", retry_after=timedelta(1))
    if where == "args":
        error.args = ("no", [CANARY])
    elif where == "attribute":
        error.request = {"authorization": CANARY}  # type: ignore[attr-defined]
    elif where == "cause":
        error.__cause__ = KeyError(CANARY)
    else:
        error.__context__ = ValueError("x")
        error.__context__.__context__ = KeyError(CANARY)
    with pytest.raises(AssertionError, match="tells the value"):
        assert_no_trace(error, CANARY)
