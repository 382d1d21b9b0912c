"""Forms that are no secret, and how random a value looks."""

from __future__ import annotations

from base64 import b64encode

import pytest

from detection.noise import ALNUM, BASE64, DIGITS, HEX, LOWER, Noise
from scan.judge.linear import expressions, seconds
from secretkit.scan.judge import shape


@pytest.mark.parametrize(
    "value",
    [
        "self.token",
        "os.environ['X']",
        "get_key(name)",
        "/etc/app/key.pem",
        "https://acme.io/a",
        "12:30",
        "2026-01-31",
        "v1.2.3",
        "a@acme.io",
        "0x1f",
        "a && b",
        "image/png",
    ],
)
def test_code_paths_addresses_and_dates_are_ordinary(value):
    assert shape.ordinary(value)


@pytest.mark.parametrize(
    ("alphabet", "length", "least"),
    [
        (HEX, 40, shape.STRONG),
        (ALNUM, 32, shape.STRONG),
        (BASE64, 40, shape.STRONG),
        (ALNUM, 12, shape.FAIR),
    ],
)
def test_random_values_are_strong_and_not_ordinary(alphabet, length, least):
    noise = Noise("shape")
    values = [noise.text(alphabet, length) for _ in range(100)]
    assert sum(shape.strength(value) >= least for value in values) >= 90
    assert not any(map(shape.ordinary, values))


@pytest.mark.parametrize(
    "value", ["", "abc", "password", "getUserName", "correct-horse-battery", "1234567890"]
)
def test_words_and_counts_have_no_strength(value):
    assert shape.strength(value) == shape.NONE


def test_digits_are_weak_and_text_in_base64_is_as_weak_as_its_words():
    assert shape.strength(Noise("digits").text(DIGITS, 10)) == shape.WEAK
    assert shape.strength(b64encode(b"administrator password").decode()) == shape.NONE


def test_a_uuid_is_one_with_or_without_its_hyphens():
    value = Noise("uuid").uuid()
    assert shape.uuid(value)
    assert shape.uuid(value.replace("-", ""))
    assert not shape.uuid(value[1:])
    assert shape.strength(value) == shape.FAIR


def test_a_login_is_as_strong_as_its_password():
    noise = Noise("login")
    for password, least in ((noise.text(ALNUM, 24), shape.FAIR), (noise.text(LOWER, 3), 0)):
        assert shape.login(b64encode(f"user:{password}".encode()).decode()) >= least
    assert shape.login(b64encode(b"user:password").decode()) == shape.NONE
    assert shape.login(b64encode(b"no colon here").decode()) == shape.NONE


@pytest.mark.parametrize("expression", expressions(shape))
def test_an_expression_takes_linear_time(expression):
    read = expression in {"_DOTTED", "_ORDINARY"}  # fit all of 256 characters or none
    assert seconds(shape, expression, longest=256 if read else 4096, whole=read) < 1
