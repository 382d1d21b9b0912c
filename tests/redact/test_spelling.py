import base64
import json
from urllib.parse import quote

import pytest

from secretkit.redact.spelling import all_spellings


@pytest.mark.parametrize("value", ["value-" + "x" * 20, 'a/b+c "d" é' * 3])
def test_the_spellings_of_a_value(value):
    raw = value.encode()
    found = all_spellings(value)
    assert {value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value)} <= found
    assert {raw.hex(), raw.hex().upper()} <= found
    assert any(one in base64.b64encode(b"user:" + raw).decode() for one in found)
    assert len(found) < 20


def test_a_short_value_has_none():
    assert all_spellings("1234567") == set()
    assert all_spellings("[1, 2]") == set()


def test_the_spellings_of_one_secret_are_bounded():
    lines = "\n".join(f"line {at:06d} of a long file" for at in range(20_000))
    fields = json.dumps([f"field {at:06d}" for at in range(20_000)])
    assert len(all_spellings(lines)) < 3000
    assert len(all_spellings(fields)) < 6000
