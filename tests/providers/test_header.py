from __future__ import annotations

import json

import pytest

from secretkit.errors import IntegrityError
from secretkit.providers.header import DAMAGED, Header, WrappedKey, context_of

HEADER = Header(
    b"s" * 16, b"k" * 16, WrappedKey("key-file", {"a": 1, "b": "two"}, b"\x00\xff" * 30)
)


def test_a_header_reads_back_as_it_was_written():
    assert Header.decode(HEADER.encode()) == HEADER
    assert HEADER.ids == (b"s" * 16, b"k" * 16)
    assert HEADER.context == context_of(*HEADER.ids)


def spelled(**changes):
    fields = json.loads(HEADER.encode()) | changes
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


MALFORMED = {
    "nothing": None,
    "text": HEADER.encode().decode(),
    "a number": 7,
    "empty": b"",
    "not JSON": b"\xff\xfe",
    "a list": b"[]",
    "null": b"null",
    "deep": b"[" * 4000,
    "too long": HEADER.encode() + b" " * 5000,
    "another spelling": HEADER.encode().replace(b",", b", "),
    "another order": json.dumps(json.loads(HEADER.encode())).encode()[::-1],
    "upper-case hex": HEADER.encode().replace(b"ff", b"FF"),
    "a later format": spelled(format=2),
    "a true format": spelled(format=True),
    "an unknown field": spelled(extra=1),
    "a short store id": spelled(store="00"),
    "an odd key id": spelled(key="0"),
    "a store id that is no text": spelled(store=None),
    "a source that is no text": spelled(source=5),
    "parameters that are no object": spelled(parameters=[]),
    "a parameter that is an object": spelled(parameters={"a": {}}),
    "a parameter that is a fraction": spelled(parameters={"a": 1.5}),
    "a parameter that is true": spelled(parameters={"a": True}),
    "a wrapped key that is no hex": spelled(wrapped="zz"),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_header_is_one_error(text):
    with pytest.raises(IntegrityError) as caught:
        Header.decode(text)
    assert str(caught.value) == DAMAGED
    assert caught.value.hint


def test_a_missing_field_is_the_same_error():
    for name in json.loads(HEADER.encode()):
        fields = json.loads(HEADER.encode())
        del fields[name]
        with pytest.raises(IntegrityError):
            Header.decode(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def test_every_flipped_byte_gives_another_header_or_an_error():
    text = HEADER.encode()
    for position in range(len(text)):
        broken = bytearray(text)
        broken[position] ^= 0x01
        try:
            assert Header.decode(bytes(broken)) != HEADER
        except IntegrityError:
            continue
