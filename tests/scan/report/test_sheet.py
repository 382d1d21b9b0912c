import csv
import io

import pytest

from secretkit.core.record import replace
from secretkit.scan.report import Report, render
from secretkit.scan.summary import Summary


def rows(report):
    return list(csv.DictReader(io.StringIO(render(report, form="csv"), newline="")))


def test_there_is_a_line_a_finding_below_a_heading(plain):
    (row,) = rows(plain)
    assert row["path"] == "src/app.py"
    assert (row["line"], row["column"], row["end_column"]) == ("3", "8", "40")
    assert row["commit"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", "\r="])
def test_no_cell_starts_like_a_formula(plain, start):
    found = replace(plain.summary.findings[0], path=f"{start}cmd|' /C calc'!A0", redacted="-1")
    (row,) = rows(Report(summary=Summary(findings=(found,))))
    assert row["path"][0] not in "=+-@\t\r"
    assert row["path"].lstrip("' ")[:1] in {"=", "+", "-", "@", "\\"}
    assert row["redacted"] == "'-1"


def test_any_name_stays_on_its_line(hostile):
    text = render(hostile, form="csv")
    assert text.count("\n") == 3
    assert text.replace("\r\n", "").isprintable()
    assert len(rows(hostile)) == 2
