"""How random the characters of a value are."""

from __future__ import annotations

import pytest

from detection.noise import ALNUM, DIGITS, HEX, Noise
from scan.judge.linear import expressions, seconds
from secretkit.scan.judge import entropy


@pytest.mark.parametrize(
    ("text", "bits"), [("", 0), ("aaaa", 0), ("abab", 1), ("abcd", 2), (b"abcd", 2)]
)
def test_entropy_is_counted_in_bits_a_character(text, bits):
    assert entropy.shannon(text) == bits


@pytest.mark.parametrize("text", ["0" * 20 + "1" * 20, "ab" * 20, "Aa1" * 12])
def test_few_distinct_characters_are_uneven(text):
    assert entropy.uneven(text)


@pytest.mark.parametrize(("alphabet", "length"), [(HEX, 40), (ALNUM, 32), (DIGITS, 16)])
def test_random_characters_are_not_uneven(alphabet, length):
    noise = Noise("entropy")
    assert not any(entropy.uneven(noise.text(alphabet, length)) for _ in range(200))


@pytest.mark.parametrize(("text", "longest"), [("", 0), ("a", 1), ("abc", 1), ("abbbc", 3)])
def test_a_run_of_one_character_is_measured(text, longest):
    assert entropy.stuck(text) == longest


@pytest.mark.parametrize(
    ("text", "share"),
    [("", 0), ("abcd", 1), ("dcba", 1), ("qwertyuiop", 1), ("axbycz", 0), ("abcdxkqm", 0.5)],
)
def test_what_counts_or_follows_the_keyboard_is_sequential(text, share):
    assert entropy.sequential(text) == share


@pytest.mark.parametrize("text", ["abc" * 6, "x" + "ab" * 12, "0123456789abcdef" * 3])
def test_a_text_that_repeats_itself_to_its_end_is_periodic(text):
    assert entropy.periodic(text)


def test_random_text_is_not_periodic():
    assert not entropy.periodic(Noise("periodic").text(ALNUM, 40))


@pytest.mark.parametrize("expression", expressions(entropy))
def test_an_expression_takes_linear_time(expression):
    assert seconds(entropy, expression) < 1
