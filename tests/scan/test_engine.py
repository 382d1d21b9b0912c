from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secretkit.scan.engine import Engine, Match
from secretkit.scan.rule import built_in_rules

RULES = built_in_rules()
ENGINE = Engine(RULES)
KEY = "sk-ant" + "-api03-" + "a1B2" * 24


def test_a_match_gives_the_place_of_the_secret():
    text = f"export KEY='{KEY}'"
    assert ENGINE.find(text) == [Match("anthropic-api-key", 12, 12 + len(KEY))]


def test_only_the_password_of_a_url_is_the_secret():
    password = "hunter" + "2!x"
    text = f"postgresql://app:{password}@db/app"
    (match,) = ENGINE.find(text)
    assert text[match.start : match.end] == password


def test_a_text_without_secrets_gives_nothing():
    assert ENGINE.find("") == []
    assert ENGINE.find("POST http://127.0.0.1:80/v1/messages 200 OK, see also s.upper()") == []


@pytest.mark.parametrize("at", [0, (1 << 20) - 50, (1 << 20) - (1 << 15) - 3, 1 << 20, 3 << 20])
def test_a_key_is_found_wherever_it_stands_in_a_long_text(at):
    text = " " * at + KEY + "\n" + " " * (1 << 19)
    found = ENGINE.find(text)
    assert [match for match in found if match.end == at + len(KEY)] == [
        Match("anthropic-api-key", at, at + len(KEY))
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_near_miss_repeated_does_not_take_more_than_linear_work(rule):
    # 128 KiB of a quadratic pattern would run into the timeout of the whole test suite.
    engine = Engine([rule])
    for keyword in rule.keywords:
        for filler in ("", "a", "-", "/", " ", "01-", "\n"):
            probe = keyword + filler
            engine.find((probe * (1 << 17))[: 1 << 17])


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.sampled_from([m for rule in RULES for m in rule.matches]))
def test_an_example_is_found_in_any_surrounding(noise, example):
    text = f"{noise}\n{example}\n{noise}"
    start = len(noise) + 1
    assert any(start <= m.start < start + len(example) for m in ENGINE.find(text))
