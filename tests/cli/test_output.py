import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from secretkit.cli.output import cell, print_json, print_rows, printable


def test_instants_are_utc_and_durations_seconds():
    at = datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert cell(at) == "2030-01-01T00:00:00Z"
    assert cell(timedelta(minutes=1, milliseconds=5)) == 60.005
    assert cell(None) is None
    assert cell("x") == "x"


@pytest.mark.parametrize("char", ["\x1b", "\n", "\r", "\x00", "\x9b", "\u202e", "\u2066", "\ud800"])
def test_what_does_not_print_is_escaped(char):
    shown = printable(f"a{char}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.endswith("b")


def test_rows_in_a_pipe_are_tab_separated_and_stay_on_their_line(capsys):
    rows = [
        {"a": "x\ty\nz", "b": None, "c": timedelta(minutes=90)},
        {"a": 0, "b": True, "c": False},
    ]
    print_rows(rows, ["a", "b", "c"], color="auto")
    assert capsys.readouterr().out == "x\\ty\\nz\t-\t1h30m\n0\tyes\tno\n"


def test_json_holds_instants_and_refuses_what_it_does_not_know(capsys):
    print_json({"at": datetime(2030, 1, 1, tzinfo=UTC), "for": timedelta(seconds=1)})
    assert json.loads(capsys.readouterr().out) == {"at": "2030-01-01T00:00:00Z", "for": 1.0}
    with pytest.raises(TypeError, match="object"):
        print_json(object())
