import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubwire import BODY, request, send

from secretkit.testing.stub.refused import RefusedError
from secretkit.testing.stub.schema import check_messages, read_object

NO = frozenset()

WRONG = {
    "no model": {"model": ...},
    "no max_tokens": {"max_tokens": ...},
    "no messages": {"messages": ...},
    "empty model": {"model": ""},
    "model as a number": {"model": 3},
    "zero max_tokens": {"max_tokens": 0},
    "true as max_tokens": {"max_tokens": True},
    "max_tokens as text": {"max_tokens": "5"},
    "max_tokens as a fraction": {"max_tokens": 5.5},
    "no message": {"messages": []},
    "messages as an object": {"messages": {}},
    "a message that is text": {"messages": ["hi"]},
    "an unknown role": {"messages": [{"role": "robot", "content": "x"}]},
    "a message without content": {"messages": [{"role": "user"}]},
    "a message with more": {"messages": [{"role": "user", "content": "x", "name": "y"}]},
    "empty content": {"messages": [{"role": "user", "content": ""}]},
    "no blocks": {"messages": [{"role": "user", "content": []}]},
    "a block without type": {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
    "a text block without text": {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    "stream as text": {"stream": "true"},
    "stream as a number": {"stream": 1},
    "temperature above one": {"temperature": 1.5},
    "stop_sequences as text": {"stop_sequences": "x"},
    "system as a number": {"system": 3},
    "tools as an object": {"tools": {}},
    "an unknown tier": {"service_tier": "gold"},
    "metadata as text": {"metadata": "x"},
    "an unknown field": {"max_token": 5},
    "a beta field without a beta": {"mcp_servers": []},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_a_bad_request_in_the_error_shape(stub, name):
    body = {k: v for k, v in (BODY | WRONG[name]).items() if v is not ...}
    got = send(stub.url, request(stub.url, body=body))
    assert (got.status, got.closed) == (400, False)
    assert got.error()["type"] == "invalid_request_error"


RIGHT = {
    "an assistant first": {"messages": [{"role": "assistant", "content": "x"}]},
    "one role twice": {"messages": [{"role": "user", "content": "x"}] * 2},
    "blocks": {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
    "system": {"system": "be brief"},
    "system as blocks": {"system": [{"type": "text", "text": "be brief"}]},
    "not streamed": {"stream": False},
    "sampling": {"temperature": 0, "top_p": 0.5, "top_k": 3},
    "the rest": {"metadata": {}, "stop_sequences": ["x"], "tools": [], "service_tier": "auto"},
    "nulls": {"cache_control": None, "container": None, "inference_geo": None},
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_field_is_taken(stub, name):
    assert send(stub.url, request(stub.url, body=BODY | RIGHT[name])).status == 200


def test_a_beta_field_is_taken_with_a_beta_header(stub):
    data = request(stub.url, body=BODY | {"mcp_servers": []}, anthropic_beta="mcp-2025-04-04")
    assert send(stub.url, data).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}{}",
        b'{"model":"a","model":"b"}',
        b'{"max_tokens":NaN}',
        b'{"max_tokens":Infinity}',
        b"\xff\xfe",
        b'\xef\xbb\xbf{"model":"a"}',
        b'{"model":"\xff"}',
        b"[" * 100_000,
        b"{'model':'a'}",
    ],
    ids=range(14),
)
def test_malformed_json_is_a_bad_request(stub, raw):
    got = send(stub.url, request(stub.url, body=raw))
    assert (got.status, got.error()["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json; charset=latin-1", "application/jsonp", "json"]
)
def test_another_content_type_is_a_bad_request(stub, kind):
    assert send(stub.url, request(stub.url, content_type=kind)).status == 400


def test_the_charset_may_be_named(stub):
    data = request(stub.url, content_type="application/json; charset=utf-8")
    assert send(stub.url, data).status == 200


def test_an_unknown_field_is_not_named_back_because_it_could_be_a_key(stub):
    odd = "sk-ant-api03-" + "q" * 30
    got = send(stub.url, request(stub.url, body=BODY | {odd: 1}))
    assert got.status == 400
    assert odd.encode() not in got.body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*BODY, "system", "tools", "stream", "x"]), JSON))
def test_any_json_object_is_taken_or_refused(body):
    with suppress(RefusedError):
        check_messages(read_object(json.dumps(body).encode()), with_betas=NO)
        assert body.keys() >= {"model", "max_tokens", "messages"}
