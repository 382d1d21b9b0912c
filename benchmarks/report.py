"""Report: tables and budgets, for a person on a terminal, in a pipe, or for a machine."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = dict[str, Any]

TIMES: Final = "×"  # noqa: RUF001 - the sign for "times" is meant

_PLACES: Final = ((100, 0), (10, 1), (1, 2), (0, 3))


@dataclass(frozen=True)
class Column:
    """One column: the key of its cells in every row, its heading, and the cells' unit."""

    key: str
    title: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """Figures side by side. A cell that is missing is shown as a dash."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Budget:
    """One promise of DESIGN §6 and what was measured; ``value`` is None where nothing was."""

    what: str
    value: float | None
    bound: Literal["at most", "at least"]
    budget: float
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Whether the promise is kept."""
        if self.value is None:
            return "not measured"
        kept = self.value <= self.budget if self.bound == "at most" else self.value >= self.budget
        return "pass" if kept else "miss"


@dataclass(frozen=True)
class Result:
    """What one benchmark found."""

    title: str
    tables: tuple[Table, ...]
    budgets: tuple[Budget, ...] = ()
    method: str = ""
    seconds: float = field(default=0.0, compare=False)
    broken: bool = False


def budget_row(name: str, budget: Budget) -> Row:
    """Give a budget as a row for machines."""
    return {
        "benchmark": name,
        "what": budget.what,
        "value": budget.value,
        "bound": budget.bound,
        "budget": budget.budget,
        "unit": budget.unit,
        "verdict": budget.verdict,
    }


def number(value: object, unit: str = "") -> str:
    """Give a figure with about three digits and its unit."""
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        text = f"{value:,}"
    elif isinstance(value, float):
        places = next(count for least, count in _PLACES if abs(value) >= least)
        text = f"{value:,.{places}f}"
    else:
        raise TypeError(f"no figure: {type(value).__name__}")
    return f"{text} {unit}" if unit else text


def as_json(facts: Mapping[str, object], results: Mapping[str, Result]) -> str:
    """Give everything, unrounded, as one JSON object."""
    whole = {
        "machine": dict(facts),
        "benchmarks": {
            name: {
                "title": result.title,
                "method": result.method,
                "seconds": result.seconds,
                "tables": [
                    {
                        "title": table.title,
                        "note": table.note,
                        "columns": [vars(column) for column in table.columns],
                        "rows": list(table.rows),
                    }
                    for table in result.tables
                ],
            }
            for name, result in results.items()
        },
        "budgets": budgets_of(results),
    }
    return json.dumps(whole, indent=1)


def budgets_of(results: Mapping[str, Result]) -> list[Row]:
    """Give all budgets, in order."""
    return [
        budget_row(name, budget) for name, result in results.items() for budget in result.budgets
    ]


def show(facts: Mapping[str, object], results: Mapping[str, Result]) -> None:
    """Print everything: with rich on a terminal, as plain columns in a pipe."""
    printer = _Rich() if sys.stdout.isatty() else _Plain()
    for name, fact in facts.items():
        printer.line(f"{name}: {_fact(fact)}")
    for name, result in results.items():
        printer.heading(f"{name}: {result.title}")
        if result.method:
            printer.line(result.method)
        for table in result.tables:
            cells = [
                [number(row.get(column.key), column.unit) for column in table.columns]
                for row in table.rows
            ]
            printer.table(table.title, [column.title for column in table.columns], cells)
            if table.note:
                printer.line(table.note)
        printer.line(f"({result.seconds:.0f} s)")
    budgets = budgets_of(results)
    if budgets:
        printer.heading("budgets (DESIGN.md, section 6)")
        printer.table("", ["what", "measured", "budget", "verdict"], _budget_cells(budgets))


def _fact(fact: object) -> str:
    if isinstance(fact, dict):
        return ", ".join(f"{name} {value}" for name, value in fact.items())
    return str(fact)


def _budget_cells(budgets: Sequence[Row]) -> list[list[str]]:
    sign = {"at most": "≤", "at least": "≥"}
    return [
        [
            row["what"],
            number(row["value"], row["unit"]),
            f"{sign[row['bound']]} {row['budget']:g} {row['unit']}".strip(),
            row["verdict"],
        ]
        for row in budgets
    ]


class _Plain:
    """Columns of text: the first to the left, the rest to the right."""

    def line(self, text: str) -> None:
        print(text)

    def heading(self, text: str) -> None:
        print(f"\n== {text} ==")

    def table(self, title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        print(f"\n{title}" if title else "")
        grid = [list(titles), *map(list, rows)]
        widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
        for index, row in enumerate(grid):
            print("  ".join(_pad(cell, width, at) for at, (cell, width) in _cells(row, widths)))
            if index == 0:
                print("  ".join("-" * width for width in widths))


def _cells(row: Sequence[str], widths: Sequence[int]) -> enumerate[tuple[str, int]]:
    return enumerate(zip(row, widths, strict=True))


def _pad(cell: str, width: int, at: int) -> str:
    return cell.ljust(width) if at == 0 else cell.rjust(width)


class _Rich:
    """The same on a terminal, with colour for verdicts."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)

    def line(self, text: str) -> None:
        self._console.print(text, markup=False, style="dim")

    def heading(self, text: str) -> None:
        self._console.print(f"\n{text}", markup=False, style="bold")

    def table(self, title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table as RichTable
        from rich.text import Text

        colours = {"pass": "green", "miss": "bold red", "not measured": "yellow"}
        table = RichTable(title=title or None, title_justify="left")
        for at, heading in enumerate(titles):
            table.add_column(heading, justify="left" if at == 0 else "right")
        for row in rows:
            ours = row[0].startswith("secretkit") and len(titles) > 1
            table.add_row(
                *(Text(cell, style=colours.get(cell, "bold" if ours else "")) for cell in row)
            )
        self._console.print(table)
