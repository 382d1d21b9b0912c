from __future__ import annotations

import pytest

from secretkit.errors import ConfigError
from secretkit.scan.baseline import Baseline, Entry, Located, encoded, parse

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
ONE = Entry("1" * 32, "src/a.py", "a dead key")
TWO = Entry("2" * 32, encoded("b c\n\udcff.txt"), "an example")


def test_a_baseline_reads_back_what_it_wrote_in_the_same_bytes():
    made = Baseline([OTHER, KEY], [TWO, ONE])
    again = parse(made.text().encode(), file="x")
    assert again.text() == made.text()
    assert again.keys == (KEY, OTHER)
    assert again.entries == {ONE, TWO}


def test_it_has_one_line_a_finding_sorted_and_no_number_of_a_line():
    lines = Baseline([KEY], [TWO, ONE]).text().splitlines()
    assert lines[1:] == [
        f"key {KEY.hex()}",
        f"{'1' * 32} src/a.py  # a dead key",
        f"{'2' * 32} b%20c%0A%FF.txt  # an example",
    ]


def test_a_finding_is_accepted_by_path_and_fingerprint_together():
    made = Baseline([KEY], [ONE, TWO])
    assert made.accepts("src/a.py", ["9" * 32, "1" * 32]) == "1" * 32
    assert made.accepts("src/b.py", ["1" * 32]) == ""
    assert made.accepts("src/a.py", ["2" * 32]) == ""
    assert made.accepts("b c\n\udcff.txt", ["2" * 32]) == "2" * 32


def test_the_union_of_two_versions_in_any_order_is_a_baseline():
    ours = Baseline([KEY], [ONE]).text()
    theirs = Baseline([OTHER], [TWO]).text()
    merged = parse((theirs + ours).encode(), file="x")
    assert merged.text() == Baseline([KEY, OTHER], [ONE, TWO]).text()


def test_comments_of_people_are_kept():
    text = "# reviewed each quarter\n" + Baseline([KEY], [ONE]).text()
    assert "# reviewed each quarter\n" in parse(text.encode(), file="x").text()


def test_what_accepted_nothing_is_named():
    made = Baseline([KEY], [ONE, TWO])
    assert made.unused([("src/a.py", "1" * 32)]) == [TWO]


def test_a_located_baseline_reads_paths_from_elsewhere():
    located = Located(Baseline([KEY], [ONE]), locate=lambda path: f"src/{path}")
    assert located.accepts("a.py", ["1" * 32]) == "1" * 32
    assert located.accepts("src/a.py", ["1" * 32]) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"<<<<<<< HEAD\n", "merge"),
        (b"what is this\n", "line 1"),
        (b"key 00\n", "line 1"),
        (b"1" * 32 + b" a.py\n", "line 1"),
        (b"1" * 32 + b" a.py  # why\n", "0"),
        (b"\xff\n", "not text"),
        (b"# \x1b[2J\n", "not text"),
        (b"".join(b"key %064x\n" % number for number in range(9)), "9"),
    ],
)
def test_anything_else_is_refused(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        parse(text, file="baseline")
    assert caught.value.hint
    assert caught.value.file == "baseline"


def test_an_empty_file_is_an_empty_baseline():
    assert parse(b"", file="x").keys == ()


def test_a_path_is_one_word_whatever_is_in_it():
    assert encoded("a/b-c_d.txt") == "a/b-c_d.txt"
    assert encoded("é #%\u202e") == "%C3%A9%20%23%25%E2%80%AE"
    assert encoded("x\ud800") == "x%ED%A0%80"
