"""How much of a text is words, and how much it surprises."""

from __future__ import annotations

import pytest

from detection.noise import ALNUM, Noise
from scan.judge.linear import expressions, seconds
from secretkit.scan.judge import word


@pytest.mark.parametrize("text", ["correct-horse-battery", "getUserName", "hello world", "tokens"])
def test_words_cover_a_text_of_words_however_they_are_joined(text):
    assert word.coverage(text) == 1


@pytest.mark.parametrize("text", ["", "-_.", "1234", "xq7"])
def test_no_word_covers_what_has_none(text):
    assert word.coverage(text) == 0


def test_half_a_text_is_covered_by_a_word_that_is_half_of_it():
    assert word.coverage("password" + "0" * 8) == 0.5


def test_random_text_surprises_more_than_words_do():
    noise = Noise("word")
    least = min(word.surprise(noise.text(ALNUM, 32)) for _ in range(50))
    assert least > 7 > word.surprise("the quick brown fox")


def test_nothing_surprises_nobody_and_only_the_beginning_of_a_long_text_counts():
    assert word.surprise("") == 0
    assert word.surprise("a" * 256) == word.surprise("a" * 256 + "Xq7" * 1000)


@pytest.mark.parametrize("expression", expressions(word))
def test_an_expression_takes_linear_time(expression):
    assert seconds(word, expression) < 1
