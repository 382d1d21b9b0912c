"""A pattern is compiled when it is first used, and is then what re.compile gives."""

from __future__ import annotations

import re

import pytest

from secretkit.scan.judge.pattern import pattern


def test_it_answers_as_a_compiled_pattern_does():
    one, other = pattern("a(b+)", re.IGNORECASE), re.compile("a(b+)", re.IGNORECASE)
    for text in ("xABb", "ab", "", "b"):
        for name in ("search", "match", "fullmatch"):
            ours, theirs = getattr(one, name)(text), getattr(other, name)(text)
            assert (ours and ours.span()) == (theirs and theirs.span())
        assert one.findall(text) == other.findall(text)
        assert one.sub("-", text) == other.sub("-", text)
    assert one.pattern == "a(b+)"


def test_a_wrong_one_is_noticed_at_its_first_use():
    wrong = pattern("(")
    with pytest.raises(re.error):
        wrong.search("x")
