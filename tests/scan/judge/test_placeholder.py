"""Text that stands where a secret would."""

from __future__ import annotations

import sys

import pytest

from detection.noise import ALNUM, BASE64URL, HEX, Noise
from scan.judge.linear import expressions, seconds
from secretkit.scan.judge.placeholder import placeholder, template

module = sys.modules["secretkit.scan.judge.placeholder"]  # the package has a function of this name


@pytest.mark.parametrize(
    "value", ["${TOKEN}", "{{ token }}", "<token>", "%TOKEN%", "$(cat key)", "#{key}", "$API_KEY"]
)
def test_what_is_filled_in_elsewhere_is_a_template_and_a_placeholder(value):
    assert template(value)
    assert placeholder(value)


@pytest.mark.parametrize("value", ["a$b", "50%", "x<y", "me@home", "plain"])
def test_a_sign_alone_makes_no_template(value):
    assert not template(value)


@pytest.mark.parametrize(
    "value",
    [
        "your-api-key-here",
        "CHANGEME",
        "sk_xxxxxxxxxxxxxxxx",
        "aaaaaaaaaaaa",
        "1234567890",
        "abcdefghij",
        "abcabcabcabcabcabcabcabcabc",
        "this-password-is-only-words-here",
    ],
)
def test_what_says_so_repeats_itself_counts_or_is_only_words_is_a_placeholder(value):
    assert placeholder(value)


@pytest.mark.parametrize(("alphabet", "length"), [(ALNUM, 20), (HEX, 40), (BASE64URL, 43)])
def test_hardly_any_random_value_is_a_placeholder(alphabet, length):
    noise = Noise("placeholder")
    assert sum(placeholder(noise.text(alphabet, length)) for _ in range(500)) <= 5


def test_a_run_of_zero_bytes_in_base64_is_no_reason():
    noise = Noise("zeros")
    assert not placeholder(noise.text(HEX, 24) + "A" * 12 + noise.text(HEX, 24))


@pytest.mark.parametrize("expression", expressions(module))
def test_an_expression_takes_linear_time(expression):
    assert seconds(module, expression) < 1
