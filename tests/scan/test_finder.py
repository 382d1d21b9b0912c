from __future__ import annotations

import hashlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn import drawn
from secretkit.core.record import replace
from secretkit.scan.example import built_in_examples
from secretkit.scan.finder import Finder, Span
from secretkit.scan.rule import Rule, built_in_rules

RULES = built_in_rules()
FINDER = Finder(RULES)
EXAMPLES = built_in_examples()
KEY = "sk-ant" + "-api03-" + hashlib.shake_256(b"key").hexdigest(48)


def test_a_match_gives_the_place_of_the_secret():
    text = f"export KEY='{KEY}'"
    assert Span("anthropic-api-key", 12, 12 + len(KEY)) in FINDER.find(text)


def test_only_the_password_of_a_url_is_the_secret():
    password = drawn("password", length=14)
    text = f"postgresql://app:{password}@db/app"
    (match,) = FINDER.find(text)
    assert text[match.start : match.end] == password


def test_a_text_without_secrets_gives_nothing():
    assert FINDER.find("") == []
    assert FINDER.find("POST http://127.0.0.1:80/v1/messages 200 OK, see also s.upper()") == []


@pytest.mark.parametrize("at", [0, (1 << 20) - 50, (1 << 20) - (1 << 15) - 3, 1 << 20, 3 << 20])
def test_a_key_is_found_wherever_it_stands_in_a_long_text(at):
    text = " " * at + KEY + "\n" + " " * (1 << 19)
    found = FINDER.find(text)
    assert Span("anthropic-api-key", at, at + len(KEY)) in found


def test_a_near_miss_repeated_does_not_take_more_than_linear_work():
    """Of each rule alone: what it costs with all rules is tested in tests/faults/test_runaway.py.

    A search never sees more than two cores and the reach, so 8 KiB are as bad as a megabyte.
    """
    for rule in RULES:
        started = time.process_time()
        pattern = re.compile(rule.pattern.encode())
        for filler in ("", "a", "-", " ", "\n"):
            probe = (rule.keywords[0] + filler).encode()
            for _ in pattern.finditer((probe * (1 << 13))[: 1 << 13]):
                pass
        assert time.process_time() - started < 1, rule.id  # 2 ms here


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=300), st.sampled_from([m for one in EXAMPLES.values() for m in one.matches])
)
def test_an_example_is_found_in_any_surrounding(noise, example):
    text = f"{noise}\n{example}\n{noise}"
    start = len(noise) + 1
    assert any(start <= m.start < start + len(example) for m in FINDER.find(text))


def test_a_placeholder_has_the_shape_of_a_secret_but_is_none():
    key = "sk-ant" + "-api03-" + "x" * 95
    assert FINDER.find(f"key = {key}") == []
    assert 6 + len(key) in {span.end for span in FINDER.shapes(f"key = {key}")}


def test_a_match_that_begins_or_ends_inside_a_character_takes_all_of_it():
    rule = Rule(
        id="odd",
        issuer="odd",
        description="",
        pattern=r"key=(?P<secret>.{3})",
        keywords=("key=",),
        severity="high",
        confidence="high",
    )
    text = "ä key=a\N{EURO SIGN}b"
    assert Finder([rule]).shapes(text) == [Span("odd", 6, 8)]
    inner = replace(rule, pattern=r"key=a.(?P<secret>.{2})")
    assert Finder([inner]).shapes(text) == [Span("odd", 7, 8)]
