from __future__ import annotations

import pytest

from secretkit.scan.redacted import Lines, masked, redacted

VALUE = b"Zk3v9QmT" * 4


def spans(data: bytes, value: bytes = VALUE) -> list[tuple[int, int]]:
    start = data.index(value)
    return [(start, start + len(value))]


def test_a_long_secret_shows_four_characters_and_a_short_one_none():
    data = b"key = '" + VALUE + b"' # note"
    assert redacted(data, 7, spans(data)) == "key = 'Zk3v…' # note"
    short = b"pass = hunter2x;"
    assert redacted(short, 7, spans(short, b"hunter2x")) == "pass = …;"


def test_only_the_line_of_the_secret_is_shown():
    data = b"before\nkey = " + VALUE + b"\nafter"
    assert redacted(data, data.index(VALUE), spans(data)) == "key = Zk3v…"


def test_the_same_secret_again_in_the_line_is_masked_too():
    data = b"key = " + VALUE + b" # was " + VALUE
    assert redacted(data, 6, spans(data)) == "key = Zk3v… # was …"


@pytest.mark.parametrize("gap", range(40, 62))
def test_a_repeat_that_the_window_cuts_shows_none_of_itself(gap):
    before = VALUE + b"." * gap + VALUE
    after = VALUE + b"." * gap + VALUE
    for data, at in ((before, len(VALUE) + gap), (after, 0)):
        text = redacted(data, at, [(at, at + len(VALUE))])
        assert text.replace("Zk3v", "", 1).strip(".…") == ""


def test_a_secret_of_another_line_is_masked_where_it_is_repeated():
    data = b"a = " + VALUE + b"\nb = hunter2x # like " + VALUE
    other = data.index(b"hunter2x")
    text = redacted(data, other, [*spans(data), (other, other + 8)])
    assert text == "b = … # like …"


def test_no_control_no_direction_and_no_broken_character_is_shown():
    data = "é\x1b[2J\u202e\tü ".encode() + b"\xff\x00" + VALUE
    text = redacted(data, data.index(VALUE), spans(data))
    assert text == "é?[2J? ü ??Zk3v…"


def test_columns_count_code_points_and_lines_from_one():
    data = "x\né = '".encode() + VALUE + b"'\n"
    at = data.index(VALUE)
    assert Lines(data).place(at, at + len(VALUE)) == (2, 6, 6 + len(VALUE))


def test_a_secret_over_several_lines_ends_at_the_end_of_its_first():
    assert Lines(b"ab\ncd").place(1, 5) == (1, 2, 3)


def test_a_path_that_holds_the_secret_is_masked_too():
    assert masked(f"keys/{VALUE.decode()}.txt", VALUE) == "keys/….txt"
    assert masked("a\udcffb.txt", b"a\xffb") == "….txt"
    assert masked("keys/other.txt", VALUE) == "keys/other.txt"
    assert masked("ab/c", b"ab") == "ab/c"
