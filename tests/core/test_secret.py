"""Scorecard L01 and L02 for Secret: no way of printing, storing or combining it shows the value.

Out of scope: code in the same interpreter is trusted. It can call reveal(), read memory through gc
or ctypes, or attach a debugger; what these tests hold back is everything short of that.
"""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import copy
import copyreg
import dataclasses
import gc
import inspect
import io
import json
import logging
import marshal
import operator
import pickle
import pprint
import string
import sys
import threading
import traceback
import tracemalloc
import types
import weakref

import pytest

from secretkit.core.secret import MASK, Secret
from secretkit.errors import SecretError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def canary() -> str:
    """Give the clear value; called inside expressions, so that no frame of a test holds it."""
    return "sk-ant-api03-" + "canary" * 5


def secret() -> Secret:
    return Secret(canary())


def logged(*args: object, style: str = "%") -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    pattern = "%(message)s" if style == "%" else "{message} {args}"
    handler.setFormatter(logging.Formatter(pattern, style=style))
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own
    logger.addHandler(handler)
    logger.warning(*args)
    return out.getvalue()


SHOWN = {
    "repr": repr,
    "ascii": ascii,
    "str": str,
    "format": format,
    "format with a width": lambda s: format(s, ">40"),
    "str.format": "{}".format,
    "str.format with a conversion": "{!r:>40}".format,
    "percent s": lambda s: "%s" % s,  # noqa: UP031 - this is the operator under test
    "percent r": lambda s: "%r" % s,  # noqa: UP031 - this is the operator under test
    "percent in a mapping": lambda s: "%(a)s" % {"a": s},  # noqa: UP031 - as above
    "f-string": lambda s: f"{s}",
    "f-string with a conversion": lambda s: f"{s!r:>20}",
    "f-string with =": lambda s: f"{s=}",
    "in a list": lambda s: str([s]),
    "in a dict": lambda s: str({"a": s}),
    "in a tuple": lambda s: str((s,)),
    "in an exception": lambda s: str(ValueError(s)),
    "in an exception's repr": lambda s: repr(ValueError(s)),
    "pprint": pprint.pformat,
    "pprint in a list": lambda s: pprint.pformat([s] * 3),
    "string.Template": lambda s: string.Template("$a").substitute(a=s),
    "string.Formatter": lambda s: string.Formatter().format("{0!s}", s),
    "json with a default": lambda s: json.dumps({"a": s}, default=str),
    "print": lambda s: print(s, file=(out := io.StringIO())) or out.getvalue(),
    "logging with an argument": lambda s: logged("%s", s),
    "logging as the message": logged,
    "logging with brace style": lambda s: logged("%s", s, style="{"),
    "copy": lambda s: repr(copy.copy(s)),
    "deepcopy": lambda s: repr(copy.deepcopy([s])),
    "dir": lambda s: repr(dir(s)) + MASK,
    "the bound reveal": lambda s: repr(s.reveal),
    "gc": lambda s: repr(gc.get_referrers(s)) + repr(s),
    "a weak reference": lambda s: repr(weakref.ref(s)) + repr(s),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_what_prints_shows_the_mask(show):
    shown = show(secret())
    assert MASK in shown
    assert canary() not in shown


def _positional_match(value: object) -> object:
    match value:
        case Secret(text):  # type: ignore[misc]
            return text
    return None


REFUSED = {
    "json": json.dumps,
    "json as a key": lambda s: json.dumps({s: 1}),
    "marshal": marshal.dumps,
    "vars": vars,
    "iter": iter,
    "list": list,
    "unpacking": lambda s: [*s],
    "mapping unpacking": lambda s: {**s},
    "reversed": reversed,
    "sum of text": lambda s: "a" + s,
    "text after it": lambda s: s + "a",
    "bytes after it": lambda s: s + b"a",
    "two of them": lambda s: s + s,
    "+=": lambda s: operator.iadd(s, "a"),
    "times": lambda s: s * 2,
    "times from the left": lambda s: 2 * s,
    "as a format": lambda s: s % (),
    "join": lambda s: "".join([s, s]),  # noqa: FLY002 - join is under test
    "join with it": lambda s: s.join([]),
    "len": len,
    "bytes": bytes,
    "bytes with an encoding": lambda s: bytes(s, "utf-8"),
    "str with an encoding": lambda s: str(s, "utf-8"),
    "bytearray": bytearray,
    "memoryview": memoryview,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "hex": hex,
    "chr": chr,
    "ord": ord,
    "round": round,
    "contains": lambda s: "sk" in s,
    "being contained in text": lambda s: s in "sk-ant",
    "item": lambda s: s[0],
    "slice": lambda s: s[:8],
    "item of the class": lambda _: Secret["x"],
    "sorted": lambda s: sorted([s, secret()]),
    "less": lambda s: s < s,  # noqa: PLR0124 - the operator under test
    "less or equal": lambda s: s <= "z",
    "min": lambda s: min(s, secret()),
    "hash": hash,
    "in a set": lambda s: {s},
    "as a key": lambda s: {s: 1},
    "getstate": lambda s: s.__getstate__(),
    "reduce": lambda s: s.__reduce__(),
    "object's reduce": lambda s: object.__reduce_ex__(s, 2),
    "asdict": dataclasses.asdict,
    "replace": dataclasses.replace,
    "call": lambda s: s(),
    "await": asyncio.run,
    "open": open,
    "exec": exec,
    "getattr": lambda s: getattr(object(), s),
    "with": lambda s: s.__enter__(),
    "set an attribute": lambda s: setattr(s, "other", 1),
    "set the value": lambda s: setattr(s, "_sealed", iter(())),
    "delete the value": lambda s: delattr(s, "_sealed"),
    "subclass": lambda _: type("Leaky", (Secret,), {}),
    "class pattern": _positional_match,
    "no value": lambda _: Secret(),
    "set state": lambda s: s.__setstate__(canary()),
    "upper": lambda s: s.upper(),
    "encode": lambda s: s.encode(),
    "the old private name": lambda s: s._reveal,
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED)
def test_what_would_use_it_as_text_is_refused(use):
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        use(secret())
    shown = _rendered(caught.value)
    assert canary() not in shown


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_cannot_be_pickled(protocol):
    for holder in (secret(), [secret()], {"a": (secret(),)}):
        with pytest.raises(TypeError, match="cannot be pickled") as caught:
            pickle.dumps(holder, protocol)
        shown = _rendered(caught.value)
        assert canary() not in shown


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_pure_python_pickler_cannot_pickle_it_either(protocol):
    out = io.BytesIO()
    with pytest.raises(TypeError):
        pickle._Pickler(out, protocol).dump([secret()])
    assert canary().encode() not in out.getvalue()


@pytest.mark.parametrize(
    "template",
    [
        "{0.reveal}",
        "{0.reveal.__self__}",
        "{0.reveal.__func__.__closure__}",
        "{0.reveal.__globals__}",
        "{0.__class__.__slots__}",
        "{0.reveal.__func__.__globals__[_text_of]}",
        "{0.reveal.__func__.__globals__[_text_of].__self__}",
        "{0.reveal.__func__.__globals__[_put].__self__}",
    ],
)
def test_a_format_string_cannot_reach_the_value_through_attributes(template):
    assert canary() not in template.format(secret())


def test_no_slot_leads_to_the_value():
    """What a serializer does that knows no Secret: walk ``__slots__`` and take what is there."""
    one = secret()
    names = {*dir(one), *Secret.__slots__, *copyreg._slotnames(Secret)}
    held = [getattr(one, name) for name in names if hasattr(one, name)]
    held += [inspect.getattr_static(one, name, None) for name in names]
    assert not hasattr(one, "_sealed")
    for thing in held:
        assert canary() not in repr(thing)
        for take in (pickle.dumps, lambda x: repr(x.__reduce__()), lambda x: repr(next(x)), copied):
            with contextlib.suppress(Exception):
                assert canary() not in str(take(thing))


def copied(thing: object) -> str:
    return repr(copy.copy(thing).__reduce_ex__(2))


@pytest.mark.parametrize("name", ["_sealed", "__dict__", "_text"])
def test_not_even_object_itself_sets_or_gets_it_by_name(name):
    for use in (
        lambda s: object.__getattribute__(s, name),
        lambda s: object.__setattr__(s, name, "x"),
        lambda s: object.__delattr__(s, name),
    ):
        with pytest.raises(AttributeError):
            use(secret())


def _reachable(start: object, *, depth: int) -> list[object]:
    """Everything that attribute access alone reaches, private names included."""
    stop = (types.ModuleType, type, types.BuiltinFunctionType)
    seen = {id(start): start}
    level = [start]
    for _ in range(depth):
        found = []
        for thing in level:
            if isinstance(thing, stop) or thing is sys.modules:
                continue
            for name in dir(thing):
                if name in {"__globals__", "__builtins__", "co_lnotab"}:  # all modules; deprecated
                    continue
                child = getattr(thing, name, None)
                if id(child) not in seen:
                    seen[id(child)] = child
                    found.append(child)
        level = found
    return list(seen.values())


def test_no_chain_of_attributes_ends_at_the_value():
    reached = _reachable(secret(), depth=4)
    assert len(reached) > 20
    assert not [thing for thing in reached if isinstance(thing, str) and canary() in thing]
    assert not [1 for thing in reached if canary() in repr(thing)]


def test_its_public_members_are_reveal_alone():
    names = [name for name, _ in inspect.getmembers(secret()) if not name.startswith("_")]
    assert names == ["reveal"]


def test_reveal_gives_exactly_what_was_wrapped():
    assert secret().reveal() == canary()
    assert Secret(" \tpässwörd 🔑\n").reveal() == " \tpässwörd 🔑\n"


def test_reveal_works_any_number_of_times_and_from_many_threads():
    shared, wrong = secret(), []
    start = threading.Barrier(8)

    def read():
        start.wait()
        wrong.extend(1 for _ in range(5_000) if shared.reveal() != canary())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert shared.reveal() == canary()


def test_it_equals_only_another_secret_with_the_same_value():
    assert secret() == secret()
    assert secret() != Secret("another")
    assert (secret() == canary()) is False
    assert (canary() == secret()) is False
    assert (secret() == MASK) is False
    assert (secret() == None) is False  # noqa: E711 - the operator under test
    assert (secret() in [canary(), None, 1]) is False
    assert Secret("ä") == Secret("ä")


def test_it_is_always_true():
    assert secret()
    assert Secret(" ")


def test_init_called_again_does_not_change_it():
    one = secret()
    one.__init__("other")
    assert one.reveal() == canary()


def test_copies_are_the_same_object():
    one = secret()
    assert copy.copy(one) is one
    assert copy.deepcopy({"a": [one]})["a"][0] is one


def test_an_instance_that_never_got_a_value_prints_and_reveals_nothing():
    empty = object.__new__(Secret)
    assert repr(empty) == str(empty) == f"{empty}" == MASK
    with pytest.raises(AttributeError):
        empty.reveal()


def test_patterns_do_not_take_it_for_text_or_a_sequence():
    match secret():
        case str() | bytes() | [*_] | {}:
            pytest.fail("a Secret matched a pattern for text or a container")
        case Secret():
            pass


def test_it_is_neither_sequence_nor_mapping_nor_hashable():
    for kind in (str, bytes, collections.abc.Sequence, collections.abc.Mapping):
        assert not isinstance(secret(), kind)
    assert not isinstance(secret(), collections.abc.Hashable)


def test_its_size_does_not_tell_the_length():
    assert sys.getsizeof(Secret("a")) == sys.getsizeof(Secret("a" * 10_000))


def test_it_costs_little_memory():
    text = canary()
    tracemalloc.start()
    try:
        many = [Secret(text) for _ in range(1_000)]
        each = tracemalloc.get_traced_memory()[0] / len(many)
    finally:
        tracemalloc.stop()
    assert each < 400


def test_a_dead_secret_keeps_nothing_alive():
    one = secret()
    ghost = weakref.ref(one)
    del one
    gc.collect()
    assert ghost() is None


class Shouting(str):
    __slots__ = ()

    def __contains__(self, _: object) -> bool:
        return False

    def __len__(self) -> int:
        return 1

    def __str__(self) -> str:
        return "something else"

    def encode(self, *_: object) -> bytes:
        print(self)
        return b""


def test_a_subclass_of_str_is_kept_as_plain_text():
    assert type(Secret(Shouting(canary())).reveal()) is str
    assert Secret(Shouting(canary())).reveal() == canary()
    assert Secret(Shouting(canary())) == secret()


BAD = {
    "empty": (lambda: "", "empty"),
    "NUL": (lambda: canary() + "\0", "NUL"),
    "too long": (lambda: canary() * 40_000, "longer"),
    "lone surrogate": (lambda: canary() + "\ud800", "surrogate"),
    "bytes": (lambda: canary().encode(), "bytes"),
    "bytearray": (lambda: bytearray(canary().encode()), "bytearray"),
    "None": (lambda: None, "NoneType"),
    "number": (lambda: 12345678901, "int"),
    "list": (lambda: [canary()], "list"),
    "dict": (lambda: {"key": canary()}, "dict"),
    "a secret": (secret, "Secret"),
}


@pytest.mark.parametrize(("make", "word"), BAD.values(), ids=BAD)
def test_what_cannot_be_a_secret_is_refused_without_showing_it(make, word):
    with pytest.raises(SecretError, match=word) as caught:
        Secret(make())
    assert caught.value.hint
    assert not caught.value.retryable
    shown = _rendered(caught.value)
    assert canary() not in shown
    assert "12345678901" not in shown


def test_the_longest_value_is_accepted():
    assert len(Secret("x" * 2**20).reveal()) == 2**20


def _rendered(error: BaseException) -> str:
    """Everything an error reporter could show, with the locals of every frame of the chain."""
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return text + repr(error) + repr(error.args) + repr(vars(error)) + str(error)
