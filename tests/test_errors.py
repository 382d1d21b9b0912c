"""Scorecard L04: no error holds a key, and every one can be pickled, copied and raised again."""

from __future__ import annotations

import copy
import pickle
import traceback
from datetime import UTC, datetime, timedelta

import pytest

from secretkit import errors
from secretkit.core.credential import ApiKey
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    GrantError,
    IntegrityError,
    LeaseExpiredError,
    LedgerError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretkitError,
    SecretNotFoundError,
)

END = datetime(2030, 1, 1, tzinfo=UTC)
WAIT = timedelta(seconds=5)
EXTRA = {
    "ConfigError": {"file": "secretkit.toml", "key_path": "leases.ttl"},
    "ProviderError": {"ref": "env:KEY", "retry_after": WAIT},
    "ProviderUnavailableError": {"ref": "env:KEY", "retry_after": WAIT},
    "SecretNotFoundError": {"ref": "env:KEY"},
    "AccessDeniedError": {"ref": "env:KEY"},
    "ProviderTimeoutError": {"ref": "env:KEY", "retry_after": WAIT},
    "LeaseExpiredError": {"ended_at": END},
    "GrantError": {"retry_after": WAIT},
    "RotationError": {"state": "STAGED"},
}
CLASSES = [getattr(errors, name) for name in errors.__all__]
each = pytest.mark.parametrize("kind", CLASSES)


def full(kind: type[SecretkitError]) -> SecretkitError:
    return kind("the reason", hint="type this", **EXTRA.get(kind.__name__, {}))


def same(one: BaseException, other: BaseException) -> bool:
    keep = {name: value for name, value in vars(one).items() if name != "__notes__"}
    return (
        type(one) is type(other)
        and one.args == other.args
        and str(one) == str(other)
        and keep == vars(other)
    )


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = [word for word in errors.__doc__.split() if word.endswith("Error")]
    assert sorted(drawn) == sorted(errors.__all__)
    made = [
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, BaseException)
    ]
    assert sorted(made) == sorted(errors.__all__)


@each
def test_every_error_is_one_of_ours_and_no_other_kind_of_error(kind):
    assert issubclass(kind, SecretkitError)
    assert kind.__mro__[-4:] == (SecretkitError, Exception, BaseException, object)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@each
def test_every_error_survives_pickle(kind, protocol):
    error = full(kind)
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes
    assert same(error, again)
    assert again.hint == "type this"
    assert again.retryable == error.retryable


@each
def test_every_error_survives_a_copy(kind):
    error = full(kind)
    assert same(error, copy.copy(error))
    assert same(error, copy.deepcopy(error))


@each
def test_every_error_prints_its_message_and_no_object_address(kind):
    error = full(kind)
    assert "the reason" in str(error)
    assert "0x" not in repr(error)
    for name, value in EXTRA.get(kind.__name__, {}).items():
        assert getattr(error, name) == value


@each
def test_every_error_can_be_made_with_nothing(kind):
    error = kind()
    assert error.hint == kind.default_hint
    assert str(error) == ""
    assert same(error, error.fresh())


@each
def test_a_fresh_one_is_equal_and_carries_nothing_of_the_first_raise(kind):
    def fail():
        try:
            {}["inner"]
        except KeyError as inner:
            error = full(kind)
            error.add_note("seen by the first waiter")
            raise error from inner

    with pytest.raises(kind) as caught:
        fail()
    error = caught.value
    twin = error.fresh()
    assert twin is not error
    assert same(error, twin)
    assert twin.__traceback__ is None
    assert twin.__cause__ is None
    assert twin.__context__ is None
    assert not twin.__suppress_context__
    assert not hasattr(twin, "__notes__")
    assert error.__traceback__ is not None
    assert error.__notes__ == ["seen by the first waiter"]


def test_a_fresh_one_keeps_what_was_set_on_the_instance():
    error = ProviderError("throttled", ref="vault:a")
    error.retryable = False
    assert error.fresh().retryable is False
    error.ref = "vault:b"
    assert error.fresh().fresh().ref == "vault:b"


def test_a_fresh_one_can_be_raised_without_lengthening_the_first():
    error = ProviderTimeoutError("no answer")
    for _ in range(3):
        with pytest.raises(ProviderTimeoutError):
            raise error.fresh()
    assert error.__traceback__ is None


def test_a_fresh_one_works_for_a_subclass_with_its_own_arguments():
    class OwnError(ProviderError):
        def __init__(self, code: int, *, why: str) -> None:
            super().__init__(f"code {code}: {why}", ref="own:x")
            self.code = code

    twin = OwnError(7, why="closed").fresh()
    assert (str(twin), twin.code, twin.ref) == ("code 7: closed", 7, "own:x")


def test_only_what_may_pass_by_itself_is_retryable():
    retryable = {kind.__name__ for kind in CLASSES if kind.retryable}
    assert retryable == {
        "ProviderError",
        "ProviderUnavailableError",
        "ProviderTimeoutError",
        "LeaseExpiredError",
        "LedgerError",
    }
    assert not AccessDeniedError.retryable
    assert not SecretNotFoundError.retryable
    assert not IntegrityError.retryable
    assert issubclass(IntegrityError, LedgerError)


def test_a_config_error_says_where_before_it_says_what():
    assert str(ConfigError("bad")) == "bad"
    assert str(ConfigError("bad", file="a.toml")) == "a.toml: bad"
    assert str(ConfigError("bad", key_path="leases.ttl")) == "leases.ttl: bad"
    assert str(ConfigError("bad", file="a.toml", key_path="x.y")) == "a.toml: x.y: bad"


def test_an_empty_hint_falls_back_to_the_class_and_a_given_one_wins():
    assert "provider:path" in errors.RefError("x").hint
    assert errors.RefError("x", hint="do this").hint == "do this"


def test_the_ends_and_waits_are_kept_as_they_were_given():
    assert LeaseExpiredError("x", ended_at=END).ended_at == END
    assert ProviderUnavailableError("x", retry_after=WAIT).fresh().retry_after == WAIT


def canary() -> str:
    return "sk-ant-api03-" + "canary" * 5


def graph(error: BaseException) -> list[object]:
    """The error, its chain, and every attribute and argument that hangs on them."""
    todo, seen = [error], []
    while todo:
        thing = todo.pop()
        if thing is None or any(thing is one for one in seen):
            continue
        seen.append(thing)
        if isinstance(thing, BaseException):
            todo += [thing.__cause__, thing.__context__, *thing.args, *vars(thing).values()]
    return seen


def test_an_error_about_a_secret_holds_no_object_that_holds_it():
    with pytest.raises(SecretkitError) as caught:
        ApiKey(Secret(canary() + "\n"))
    shown = [repr(thing) for thing in graph(caught.value)]
    text = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    everything = "".join([*shown, *text])
    assert not any(isinstance(thing, Secret) for thing in graph(caught.value))
    assert canary() not in everything


@pytest.mark.parametrize("kind", [ProviderError, ProviderTimeoutError, GrantError])
@pytest.mark.parametrize("given", [5, 5.0, "5", True, END])
def test_a_wait_that_is_no_timedelta_is_refused_where_it_is_given(kind, given):
    with pytest.raises(TypeError, match=f"timedelta.*not {type(given).__name__}"):
        kind("slow down", retry_after=given)
    assert kind("slow down", retry_after=None).retry_after is None
