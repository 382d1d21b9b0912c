from __future__ import annotations

import hashlib
import re

import pytest

from secretkit.scan import syntax
from secretkit.scan.example import built_in_examples
from secretkit.scan.expression import WIDEST, anchor, near
from secretkit.scan.rule import built_in_rules

RULES = built_in_rules()
EXAMPLES = built_in_examples()


def _anchored(rule):
    return re.compile(anchor(rule.anchor or rule.pattern, reach=rule.reach).encode())


@pytest.mark.parametrize(
    ("pattern", "reach", "gives"),
    [
        ("ab[0-9]{20,512}", 0, "ab[0-9]{20}"),
        ("ab[0-9]{80,512}", 0, "ab[0-9]{40}"),
        ("ab[0-9]{2,4}-c?", 0, "ab[0-9]{2,4}\\x2d"),
        (r"(?<!x)(?P<secret>a|bc)\b(?=[a-z]{9})d{3,}", 0, "(?:a|bc)d{3}"),
        ("a[bc]{10,2000}d", 0, "a[b-c]{10}"),
        (r"a\sb", 0, r"a[\x09\x0b-\x0d\x20]b"),
        (r"ab\s{0,4}cd", 100, "ab"),
        (r"(?i:aB)c", 0, "(?:[Aa][Bb])c"),
        (r"(?i)a1(?-i:b)", 0, "[Aa]1(?:b)"),
        ("(?:ab|cd{300})e", 0, "(?:ab|cd{40})"),
        ("[^a]b", 0, r"[^\x0aa]b"),
        ("x(?:ab){200}", 0, "x(?:ab){127}"),
        ("x(?:y+z)?w", 0, "x"),
    ],
)
def test_an_anchor_is_the_start_of_a_pattern_without_assertions(pattern, reach, gives):
    assert anchor(pattern, reach=reach) == gives


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a)\1",
        "(?>a)b",
        "(a)(?(1)b|c)",
        "a++b",
        "a{2}+b",
        "(ab",
        "ab)",
        "a**",
        "*a",
        "a?",
        "(?x)a",
        "\u00e4",
        "a{2}{3}",
        "(?m:a)",
        r"\pa",
    ],
)
def test_what_no_engine_in_linear_time_reads_alike_is_refused(pattern):
    with pytest.raises(ValueError, match=r"support|ASCII|closed|repeat|empty"):
        anchor(pattern)


def test_no_anchor_is_wider_than_history_scanning_relies_on():
    for rule in RULES:
        items = syntax.parse(anchor(rule.anchor or rule.pattern, reach=rule.reach))
        assert 0 < sum(item.high * item.node.widest for item in items) <= WIDEST, rule.id
        assert sum(item.least for item in items) > 0, rule.id


def test_an_anchor_matches_where_the_pattern_does_and_holds_a_keyword():
    for rule in RULES:
        pattern, start = re.compile(rule.pattern.encode()), _anchored(rule)
        checked = sum(
            _check(rule, pattern, start, f'key = "{example}"\n'.encode())
            for example in EXAMPLES[rule.id].matches
        )
        assert checked, rule.id


def test_whatever_the_pattern_matches_the_anchor_does():
    """On text drawn from each pattern, whose assertions may not hold for some of it."""
    checked = 0
    for rule in RULES:
        pattern, start = re.compile(rule.pattern.encode()), _anchored(rule)
        tree = syntax.parse(rule.pattern)
        for number in range(6):
            noise = _Noise(f"{rule.id} {number}")
            checked += _check(rule, pattern, start, b" " + _drawn(tree, noise) + b" ")
    assert checked > 2 * len(RULES)


def _check(rule, pattern, start, data):
    checked = 0
    for found in pattern.finditer(data):
        line = data.find(b"\n", found.start())
        if 0 <= line < found.end() and not rule.reach:
            continue  # such a match is in no core
        checked += 1
        anchored = start.match(data, found.start())
        assert anchored is not None, rule.id
        near_by = data[found.start() : found.start() + WIDEST].lower()
        assert any(keyword.encode() in near_by for keyword in rule.keywords), rule.id
    return checked


class _Noise:
    """Numbers that look random, the same for the same seed."""

    def __init__(self, seed):
        self._bytes = iter(hashlib.shake_256(seed.encode()).digest(1 << 16))

    def below(self, limit):
        return (next(self._bytes, 0) << 8 | next(self._bytes, 0)) % limit


def _drawn(items, noise):
    text = b""
    for item in items:
        low, high = item.low, item.low + 3 if item.high is None else min(item.high, item.low + 3)
        for _ in range(low + noise.below(high - low + 1)):
            node = item.node
            if isinstance(node, syntax.Set):
                members = [byte for byte in range(256) if node.mask >> byte & 1]
                plain = [byte for byte in members if 0x20 < byte < 0x7F] or members
                text += bytes((plain[noise.below(len(plain))],))
            else:
                text += _drawn(node.alternatives[noise.below(len(node.alternatives))], noise)
    return text


def test_a_word_and_a_value_may_be_apart_in_one_line():
    pattern = re.compile(near(["acme key", "x.y"], "[a-z]{8}").encode())
    assert pattern.search(b'ACME Key = "abcdefgh"')
    assert pattern.search(b"x.y abcdefgh")
    assert not pattern.search(b"xzy abcdefgh")
    assert not pattern.search(b"acme key\nabcdefgh")
    assert not pattern.search(b"acme key" + b" " * 41 + b"abcdefgh")
    assert not pattern.search(b"acme key abcdefghi")
