from __future__ import annotations

import base64
import gc
import json
import pickle
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn import drawn
from secretkit.core.secret import Secret
from secretkit.redact import FAILED, REDACTED, Redactor, default, redact_processor
from secretkit.scan.example import built_in_examples
from secretkit.scan.rule import shape_rules

VALUE = "canary/" + "pä'ss\"w+rd\\ x"
KEY = "sk-ant" + "-api03-" + drawn("redactor", length=95)


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError(VALUE)

    __repr__ = __str__


class Holder:
    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Holder({self.value})"


@pytest.fixture
def secret():
    return Secret(VALUE)


@pytest.fixture
def redactor(secret):
    made = Redactor()
    made.watch(secret)
    return made


@pytest.mark.parametrize(
    "spelled",
    [
        VALUE,
        json.dumps({"a": VALUE}),
        json.dumps({"a": VALUE}, ensure_ascii=False),
        repr([VALUE]),
        repr(VALUE.encode()),
        f"https://h/?q={quote_plus(VALUE)}",
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(f"u:{VALUE}".encode()).decode(),
        base64.b64encode(f"me:{VALUE}:more".encode()).decode(),
    ],
)
def test_a_watched_value_is_taken_out_in_every_spelling(redactor, spelled):
    clean = redactor.text(f"before {spelled} after")
    assert REDACTED in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert "ss" not in clean.replace("[redacted]", "")


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=9),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=12, max_size=40),
    st.binary(max_size=9),
)
def test_base64_of_any_surrounding_does_not_hide_a_value(before, value, after):
    secret, redactor = Secret(value), Redactor(rules=())
    redactor.watch(secret)
    encoded = base64.b64encode(before + value.encode() + after).decode()
    clean = redactor.text(encoded)
    assert REDACTED in clean
    # What is left of it is at most the two characters at each edge that depend on the neighbours.
    assert len(clean) - len(REDACTED) <= len(encoded) - (len(value) * 8 // 6 - 1)


def test_unwatching_and_forgetting_stop_the_search(redactor, secret):
    redactor.unwatch(secret)
    redactor.unwatch(secret)
    assert redactor.text(VALUE) == VALUE


def test_a_value_nobody_holds_is_dropped():
    redactor = Redactor(rules=())
    redactor.watch(Secret("gone-" + "x" * 20))
    gc.collect()
    kept = Secret("kept-" + "y" * 20)
    redactor.watch(kept)
    assert redactor.text("gone-" + "x" * 20) == "gone-" + "x" * 20
    assert redactor.text("kept-" + "y" * 20) == REDACTED


def test_two_secrets_of_one_value_need_two_goodbyes(redactor, secret):
    twin = Secret(VALUE)
    redactor.watch(twin)
    redactor.unwatch(secret)
    assert redactor.text(VALUE) == REDACTED
    redactor.unwatch(twin)
    assert redactor.text(VALUE) == VALUE


def test_a_longer_value_that_holds_a_shorter_one_goes_first():
    short, long = Secret("abcdefgh"), Secret("abcdefgh-and-more")
    redactor = Redactor(rules=())
    redactor.watch(short)
    redactor.watch(long)
    assert redactor.text("abcdefgh-and-more abcdefgh") == f"{REDACTED} {REDACTED}"


def test_a_short_value_is_left_alone():
    secret, redactor = Secret("1234567"), Redactor()
    redactor.watch(secret)
    assert redactor.text("port 1234567") == "port 1234567"


EXAMPLES = built_in_examples()


def test_key_shaped_text_is_taken_out_without_being_watched():
    shared = Redactor()
    for rule in shape_rules():
        for example in EXAMPLES[rule.id].matches:
            clean = shared.text(f"x {example} y")
            assert REDACTED in clean, rule.id
            assert example not in clean, rule.id


def test_a_clean_text_comes_back_as_it_was(redactor):
    line = "POST http://127.0.0.1/v1/messages 200 OK \u2028 \udc80"
    assert redactor.text(line) is line


def test_bytes_keep_what_is_not_text(redactor):
    assert redactor.data(b"\xff\x00" + VALUE.encode()) == b"\xff\x00[redacted]"
    assert redactor.data(bytearray(b"plain")) == b"plain"


def test_nested_values_are_copied_without_secrets(redactor, secret):
    given_value = {
        VALUE: [VALUE, (VALUE.encode(), {KEY}), None, 5, 1.5, True],
        "holder": Holder(VALUE),
        "error": ValueError(VALUE),
        "secret": secret,
        "hostile": Hostile(),
    }
    clean = redactor.value(given_value)
    assert VALUE not in repr(clean)
    assert KEY not in repr(clean)
    assert clean[REDACTED] == [REDACTED, (b"[redacted]", {REDACTED}), None, 5, 1.5, True]
    assert clean["holder"] == "Holder([redacted])"
    assert clean["error"] == "ValueError: [redacted]"
    assert clean["hostile"] == FAILED
    assert VALUE in given_value


def test_depth_and_cycles_end(redactor):
    cycle: list[object] = [VALUE]
    cycle.append(cycle)
    deep: object = VALUE
    for _ in range(100):
        deep = [deep]
    assert VALUE not in repr(redactor.value(cycle))
    assert VALUE not in repr(redactor.value(deep))


def test_a_mapping_that_raises_is_replaced(redactor):
    class Strange(dict[str, str]):
        def items(self):
            raise RuntimeError(VALUE)

    assert redactor.value(Strange(a=VALUE)) == FAILED


def test_a_rule_that_fails_shows_nothing():
    class Broken:
        def __iter__(self):
            raise RuntimeError

    assert Redactor(rules=Broken()).text("anything") == FAILED  # type: ignore[arg-type]


def test_nothing_reachable_by_attributes_shows_a_value(redactor):
    for held in (redactor, redactor._watched, redactor._watched._net, *redactor._watched._net):
        assert VALUE not in repr(held)
        assert VALUE not in repr(getattr(held, "__dict__", ""))
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(redactor)


def test_the_structlog_processor_cleans_a_whole_event(redactor):
    try:
        raise ValueError(VALUE)  # noqa: TRY301
    except ValueError:
        event = redactor.processor(
            None, "info", {"event": f"got {VALUE}", "headers": {"a": [KEY]}, "exc_info": True}
        )
    assert event["event"] == "got [redacted]"
    assert event["headers"] == {"a": [REDACTED]}
    assert "ValueError: [redacted]" in event["exception"]
    assert "exc_info" not in event


def test_structlog_itself_writes_no_secret(capsys, secret):
    structlog = pytest.importorskip("structlog")
    default().watch(secret)
    log = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[
            structlog.processors.format_exc_info,
            redact_processor,
            structlog.processors.JSONRenderer(),
        ],
    )
    try:
        raise ValueError(VALUE)  # noqa: TRY301
    except ValueError:
        log.exception("failed", value=VALUE, nested={"b": VALUE.encode()}, obj=Holder(VALUE))
    default().unwatch(secret)
    written = capsys.readouterr().out
    assert "failed" in written
    assert VALUE not in written
    assert json.dumps(VALUE)[1:-1] not in written
    assert written.count("[redacted]") == 4
