import base64
import json
import pickle
import textwrap
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secretkit.core.secret import Secret
from secretkit.errors import SecretError
from secretkit.testing.leaks import SHORTEST, Leak, Shapes, find

VALUE = "sk-ant-" + "api03-" + "aB3_-x" * 12
ODD = 'p"ä\\s/s w%41\n+=&é😀' + "z" * 8

ENCODERS = {
    "plain": lambda v, *_: v.encode(),
    "UTF-16": lambda v, *_: v.encode("utf-16-le"),
    "UTF-16 big": lambda v, *_: v.encode("utf-16-be"),
    "base64": lambda v, before, after: base64.b64encode(before + v.encode() + after),
    "base64url": lambda v, before, after: base64.urlsafe_b64encode(before + v.encode() + after),
    "base64 in lines": lambda v, before, after: base64.encodebytes(before + v.encode() + after),
    "hex": lambda v, *_: v.encode().hex().encode(),
    "HEX": lambda v, *_: v.encode().hex().upper().encode(),
    "url": lambda v, *_: quote(v, safe="").encode(),
    "url with slashes": lambda v, *_: quote(v).encode(),
    "form": lambda v, *_: quote_plus(v).encode(),
    "json": lambda v, *_: json.dumps(v).encode(),
    "json as it is": lambda v, *_: json.dumps(v, ensure_ascii=False).encode(),
    "json with escaped slashes": lambda v, *_: json.dumps(v).replace("/", "\\/").encode(),
}
DECODED = {
    "url, every byte": lambda v: "".join(f"%{byte:02x}" for byte in v.encode()).encode(),
    "json, every character": lambda v: "".join(
        f"\\u{int.from_bytes(v16[i : i + 2], 'big'):04X}"
        for v16 in [v.encode("utf-16-be")]
        for i in range(0, len(v16), 2)
    ).encode(),
    "json in json": lambda v: json.dumps(json.dumps({"k": v})).encode(),
    "repr of text": lambda v: repr([v]).encode(),
    "ascii of text": lambda v: ascii([v]).encode(),
    "repr of bytes": lambda v: repr([v.encode()]).encode(),
    "pickle": lambda v: pickle.dumps({"k": v}),
    "base64 in a url": lambda v: quote(base64.b64encode(b"x" + v.encode())).encode(),
    "json in lines": lambda v: "\n".join(textwrap.wrap(json.dumps(v), 7)).encode(),
}

values = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
).filter(lambda text: len(text.encode()) >= SHORTEST)


# Wrapping at spaces takes characters out of a value that holds some.
CASES = [
    (n, v) for n in (*ENCODERS, *DECODED) for v in (VALUE, ODD) if "lines" not in n or v == VALUE
]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{n}-{v[:2]}" for n, v in CASES])
def test_each_form_is_found(name, value):
    made = ENCODERS[name](value, b"", b"") if name in ENCODERS else DECODED[name](value)
    assert find(b"before " + made + b" after", [Secret(value)])


@given(st.sampled_from(list(ENCODERS)), values, st.binary(max_size=40), st.binary(max_size=40))
@example("url", "41 bcdefgh", b"%", b"")
@example("json", 'n"bcdefgh', b"\\", b"")
def test_any_embedding_at_any_offset_is_found(name, value, before, after):
    blob = before + ENCODERS[name](value, before, after) + after
    (leak,) = find(blob, [Secret(value)])
    assert leak.secret == 0


@given(st.binary(max_size=200), st.text("abcdefgh", min_size=24, max_size=24))
def test_nothing_is_reported_where_no_part_of_it_is(blob, value):
    if any(blob[i : i + 4] in value.encode() for i in range(len(blob) - 3)):
        return
    stranger = Secret(value + "-is-not-in-it")
    assert find(blob, [stranger]) == []


@pytest.mark.parametrize("part", [VALUE[:-1], VALUE[1:], VALUE[:30], VALUE.swapcase()])
def test_a_part_or_another_case_is_not_the_secret(part):
    assert find(part.encode(), [Secret(VALUE)]) == []


def test_each_secret_is_told_by_its_place_in_the_order_given():
    others = [Secret("first-secret"), Secret("second-secret"), Secret("third-secret")]
    found = find(b"x third-secret y " + base64.b64encode(b"first-secret"), others)
    assert found == [Leak(0, "base64", "", 17), Leak(2, "plain", "", 2)]
    assert str(found[1]) == "plain, at byte 2"
    assert find(b"", others) == []
    assert find(b"anything", []) == []


def test_a_value_that_is_broken_over_lines_is_found():
    blob = "\r\n".join(textwrap.wrap(VALUE, 20, break_on_hyphens=False)).encode()
    (leak,) = find(blob, [Secret(VALUE)])
    assert "line breaks" in leak.view


def test_a_short_secret_is_refused_rather_than_missed():
    with pytest.raises(SecretError) as caught:
        find(b"x", [Secret("x" * (SHORTEST - 1))])
    assert caught.value.hint


def test_what_is_found_and_how_it_is_looked_for_show_no_value():
    shapes = Shapes(Secret(VALUE))
    assert VALUE not in repr(shapes) + repr(find(VALUE.encode(), [Secret(VALUE)]))
    assert VALUE not in repr([getattr(shapes, name) for name in Shapes.__slots__])


@given(st.binary(max_size=300))
def test_any_bytes_can_be_searched(blob):
    find(blob + b"\\u\\ud800\\xzz%zz%\\U00110000", [Secret(VALUE)])
