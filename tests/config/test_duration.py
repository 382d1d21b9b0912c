from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretkit.config.duration import parse_duration, write_duration
from secretkit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), ("1d2h3m4s", 93_784)],
)
def test_durations_as_people_write_them(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "15",
        "m15",
        "15 m",
        " 15m",
        "-5m",
        "1.5h",
        "15M",
        "30m1h",
        "9999d",
        "٣s",
        "1s\n",
    ],
)
def test_anything_else_is_refused_without_repeating_it(text):
    with pytest.raises(ConfigError) as caught:
        parse_duration(text)
    assert caught.value.hint
    assert text == "" or text not in str(caught.value)


@given(st.integers(1, 3650 * 86_400))
def test_what_is_written_reads_back(seconds):
    length = timedelta(seconds=seconds)
    assert parse_duration(write_duration(length)) == length


def test_a_negative_and_an_empty_length_can_be_shown():
    assert write_duration(timedelta(seconds=-61)) == "-1m1s"
    assert write_duration(timedelta(milliseconds=5)) == "0s"
