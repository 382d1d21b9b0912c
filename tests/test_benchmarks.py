"""The benchmarks run, and their JSON says what it promises; no figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.detection import flagged
from benchmarks.measure import Subject, median_ratio, percentile, turn
from benchmarks.report import Budget, Column, Result, Table, as_json, number, show

ROOT = Path(__file__).parents[1]


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    """What a quick run of one benchmark prints for machines."""
    done = run_benchmarks("--quick", "--json", "--only", "cached")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("cached"), "progress goes to stderr"
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def test_a_run_names_the_machine_the_versions_and_the_day(found: Mapping[str, Any]) -> None:
    facts = found["machine"]
    assert {"date", "run", "secretkit", "python", "machine", "load before", "load after"} <= set(
        facts
    )
    assert facts["peers"].keys() >= {"anthropic", "botocore", "google-auth", "azure-identity"}
    assert facts["run"].startswith("quick")


def test_only_the_benchmark_asked_for_is_run(found: Mapping[str, Any]) -> None:
    assert list(found["benchmarks"]) == ["cached"]


def test_every_row_of_every_table_has_a_figure_or_says_that_it_was_not_installed(
    found: Mapping[str, Any],
) -> None:
    tables = found["benchmarks"]["cached"]["tables"]
    assert len(tables) == 3
    for table in tables:
        assert {column["key"] for column in table["columns"]} >= {"name", "ns", "x_floor"}
        for row in table["rows"]:
            assert row["name"].endswith("not installed") or row["ns"] > 0


def test_floor_and_secretkit_stand_in_every_table(found: Mapping[str, Any]) -> None:
    for table in found["benchmarks"]["cached"]["tables"]:
        names = [row["name"] for row in table["rows"]]
        assert "floor" in names
        assert any(name.startswith("secretkit") for name in names)
        assert next(row for row in table["rows"] if row["name"] == "floor")["x_floor"] == 1


def test_every_budget_has_a_value_a_bound_and_a_verdict(found: Mapping[str, Any]) -> None:
    assert len(found["budgets"]) == 6
    for row in found["budgets"]:
        assert row["benchmark"] == "cached"
        assert row["what"]
        assert row["budget"] > 0
        assert row["bound"] in {"at most", "at least"}
        assert row["verdict"] in {"pass", "miss", "not measured"}
        assert (row["value"] is None) == (row["verdict"] == "not measured")


def test_a_benchmark_that_does_not_exist_is_refused() -> None:
    done = run_benchmarks("--only", "nonsense")
    assert done.returncode == 2
    assert "cached" in done.stderr


@pytest.mark.parametrize(
    ("value", "bound", "verdict"),
    [
        (1.0, "at most", "pass"),
        (2.0, "at most", "pass"),
        (2.1, "at most", "miss"),
        (2.0, "at least", "pass"),
        (1.9, "at least", "miss"),
        (None, "at least", "not measured"),
    ],
)
def test_a_budget_is_judged_by_its_bound(value: float | None, bound: Any, verdict: str) -> None:
    assert Budget("what", value, bound, 2).verdict == verdict


def a_result(budget: Budget) -> Result:
    columns = (Column("name", "call"), Column("ns", "median", "ns"))
    rows = ({"name": "floor", "ns": 80.0}, {"name": "peer: not installed"})
    return Result(title="a title", tables=(Table("a table", columns, rows),), budgets=(budget,))


def test_a_miss_is_printed_and_a_missing_figure_is_a_dash(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show({"date": "today"}, {"one": a_result(Budget("speed", 3.0, "at most", 2, "ms"))})
    lines = capsys.readouterr().out.splitlines()
    assert "date: today" in lines
    assert any(line.split() == ["speed", "3.00", "ms", "≤", "2", "ms", "miss"] for line in lines)
    assert any(line.split() == ["peer:", "not", "installed", "-"] for line in lines)


def test_json_keeps_figures_unrounded() -> None:
    text = as_json({}, {"one": a_result(Budget("speed", 1 / 3, "at most", 2, "ms"))})
    assert json.loads(text)["budgets"][0]["value"] == 1 / 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (1000, "1,000"),
        (1234.5, "1,234"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.1234, "0.123"),
        (-12.34, "-12.3"),
        ("words", "words"),
    ],
)
def test_a_figure_is_shown_with_about_three_digits(value: object, text: str) -> None:
    assert number(value) == text


def test_what_is_no_figure_is_refused() -> None:
    with pytest.raises(TypeError):
        number([])


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1) == 100
    assert percentile([7.0], 0.5) == 7


def test_a_ratio_is_taken_within_each_round() -> None:
    assert median_ratio([2.0, 40.0, 6.0], [1.0, 20.0, 3.0]) == 2
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1.0, 2.0], [1.0])


def test_each_round_starts_with_another_subject() -> None:
    assert [turn("abc", number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert sorted(turn("abc", 1)) == ["a", "b", "c"]


def test_a_subject_is_called_as_often_as_asked() -> None:
    seen: list[int] = []
    subject = Subject("list", "seen.append(1)", {"seen": seen})
    assert subject.nanoseconds(10) > 0
    assert len(seen) == 10


def test_a_coroutine_without_a_loop_is_refused() -> None:
    with pytest.raises(TypeError):
        Subject("later", "later()", {}, coroutine=True).nanoseconds(1)


@pytest.mark.parametrize(
    ("tool", "report"),
    [
        ("secretkit", {"findings": [{"path": "1/a.py", "line": 3}]}),
        ("gitleaks", [{"File": "./1/a.py", "StartLine": 3}, {"File": "1/a.py", "StartLine": 3}]),
        ("kingfisher", {"findings": [{"finding": {"path": "./1/a.py", "line": 3}}]}),
        ("detect-secrets", {"results": {"a": [{"filename": "1/a.py", "line_number": 3}]}}),
    ],
)
def test_a_scanners_report_says_where_it_found_something(tool: str, report: object) -> None:
    assert flagged(tool, report) == {("1/a.py", 3)}
