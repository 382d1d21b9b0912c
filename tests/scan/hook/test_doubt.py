"""What is new in a text is doubted where the whole text would be, and what is old is not."""

from __future__ import annotations

import base64
import sys

import pytest

from scan.repository import key
from secretkit.scan.decode.hint import HINT_RULES
from secretkit.scan.engine import native
from secretkit.scan.engine.hyper import compiled
from secretkit.scan.engine.pack import Pack, decode, encode
from secretkit.scan.hook import doubt
from secretkit.scan.rule import _FURTHEST, built_in_rules, to_record

KEY = key().encode()
CODE = b"".join(b"    value_%d = compute(%d) > other\n" % (at, at) for at in range(2000))


@pytest.fixture(scope="module")
def tell():
    """Say whether a text is doubtful, with the rules that these tests need."""

    path = native.find(sys.path)
    module = native.load(path) if path else None
    if module is None:
        pytest.skip("hyperscan is not installed")
    wanted = {"anthropic-api-key", "pem-private-key", "netrc-password"}
    rules = [*(rule for rule in built_in_rules() if rule.id in wanted), *HINT_RULES]
    pack = decode(encode(compiled(module, rules), [to_record(rule) for rule in rules]))
    assert isinstance(pack, Pack)
    scan = native.open_database(module, pack.database)
    assert scan is not None
    one = doubt.Doubt(scan, pack)
    return lambda data, before: one.of(data, before=before)


def hidden(text: bytes) -> bytes:
    return base64.b64encode(text)


@pytest.mark.parametrize("at", [0, 1, 500, 1999, 2000])
@pytest.mark.parametrize(
    "new",
    [
        pytest.param(b"x = '%s'\n" % KEY, id="a key"),
        pytest.param(b"x = '%s'\n" % hidden(b"token " + KEY), id="an encoded key"),
        pytest.param(b"x = '%s' + '%s'\n" % (KEY[:30], KEY[30:]), id="a key in two literals"),
        pytest.param(b"x = ('%s'\n  '%s')\n" % (KEY[:30], KEY[30:]), id="on two lines"),
        pytest.param(b"x: |\n  %s\n  %s\n" % (KEY[:30], KEY[30:]), id="in a block"),
    ],
)
def test_what_is_new_is_doubted_wherever_it_stands(tell, new, at):
    lines = CODE.splitlines(keepends=True)
    before = b"".join(lines)
    data = b"".join([*lines[:at], new, *lines[at:]])
    assert tell(data, before)
    assert tell(data, b"")
    assert not tell(data, data)
    assert not tell(data + b"\nmore = 1\n", data)
    assert not tell(before + b"\nmore = 1\n", before)


@pytest.mark.parametrize("sign", [b"kind: Secret\n", b'  "kind": "Secret",\n', b"sort: Secret\n"])
def test_a_kind_far_above_makes_a_short_encoded_value_doubtful(tell, sign):
    new = b"  password: %s\n" % hidden(b"h-7Gq!zz01")
    assert not tell(CODE + new, CODE)
    assert tell(sign + CODE + new, sign + CODE) == (b"kind" in sign)


def test_the_second_line_of_a_block_counts_far_below_what_an_engine_is_shown(tell):
    inner = b"".join(b"  %s%d\n" % (KEY[:30], at) for at in range(1, 2000))
    before = b"x: |2- \r\n" + inner
    assert tell(before + b"  %s\n" % KEY[30:], before)
    other = b"x: = \r\n" + inner
    assert not tell(other + b"  %s\n" % KEY[30:], other)


@pytest.mark.parametrize("lines", [1, 60, 100])
def test_a_private_key_is_doubted_as_far_as_its_rule_reaches(tell, lines):
    body = b"".join(b"MIIEpAIBAAKCAQEA%048d\n" % at for at in range(lines))
    before = CODE + b"-----BEGIN RSA PRIVATE KEY-----\n" + body
    assert tell(before + b"MIIEpAIBAAKCAQEA\n", before)


def test_no_rule_reaches_further_than_what_an_engine_is_shown():
    assert doubt._FURTHEST == _FURTHEST


def test_a_rule_s_pattern_reach_and_purpose_are_read_from_its_record():
    seen = set()
    for rule in built_in_rules():
        fields = to_record(rule).split(b"\0")
        assert fields[doubt._PATTERN].decode() == rule.pattern
        assert int(fields[doubt._REACH]) == rule.reach
        assert fields[doubt._JUDGED].decode() == rule.judged
        seen.add((rule.reach > 0, rule.judged))
    assert len(seen) > 2, "there are rules of more than one kind"
