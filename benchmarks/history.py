"""How long a scan of all history takes, beside the peers, and a second one of the same."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from benchmarks import process, scanners
from benchmarks.report import Budget, Result, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.measure import Effort

TITLE: Final = "scans of all history"


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Scan a repository of thousands of commits with each scanner in turn."""
    rounds = effort.pick(5, 1)
    with scanners.new_home() as (home, environ):
        repository = home / "repository"
        say("making the repository")
        # In a process of its own: the peak of what is started from here counts from our own size.
        words = ["-m", "benchmarks.chronicle", str(repository), str(effort.pick(4000, 200))]
        made_of = process.output([sys.executable, *words], environ)
        written = json.loads(made_of)
        figures = scanners.side_by_side(
            commands(repository, home / "out.json"),
            cwd=repository,
            environ=environ,
            rounds=rounds,
            say=say,
        )
    title = (
        f"{written['commits']:,} commits, {written['blobs']:,} versions of files, "
        f"{written['size'] / 1e6:,.0f} MB"
    )
    peak = figures[scanners.OURS].peak
    return Result(
        title=TITLE,
        method=f"{rounds} interleaved rounds after one that does not count; page cache warm",
        tables=(
            Table(
                title,
                scanners.COLUMNS,
                scanners.rows(figures, size=written["size"]),
                note="made of the releases of Python's standard library on this machine",
            ),
        ),
        budgets=(
            scanners.lead("history", figures, scanners.GITLEAKS, 2.5),
            scanners.lead("history", figures, scanners.KINGFISHER, 4),
            Budget("history: peak of one process", peak, "at most", 300, "MiB"),
        ),
    )


def commands(where: Path, output: Path) -> dict[str, list[str]]:
    """Give the commands that scan every commit of ``where``."""
    kingfisher = [scanners.tool("kingfisher"), "scan", str(where)]
    quiet = ["--no-validate", "--no-update-check", "-q"]
    ours = [scanners.tool("secretkit"), "scan", "--history", "--format", "json"]
    return {
        scanners.OURS: [*ours, "--output", str(output)],
        scanners.KINGFISHER: [*kingfisher, *quiet],
        scanners.TURBO: [*kingfisher, "--turbo", *quiet],
        scanners.GITLEAKS: [
            scanners.tool("gitleaks"),
            "git",
            "--no-banner",
            "-l",
            "error",
            str(where),
        ],
    }
