"""How long a scan of all history takes, beside the peers, and a second one of the same."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import process, scanners
from benchmarks.report import TIMES, Budget, Column, Result, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Effort

TITLE: Final = "scans of all history"
COLUMNS: Final = (
    Column("name", "command"),
    Column("wall_ms", "median", "ms"),
    Column("cpu_ms", "processor", "ms"),
    Column("mb_s", "speed", "MB/s"),
    Column("peak_mib", "peak of one process", "MiB"),
    Column("x_ours", "ours", TIMES),
)


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Scan a repository of thousands of commits with each scanner in turn."""
    rounds = effort.pick(5, 1)
    with tempfile.TemporaryDirectory(prefix="secretkit-bench-") as made:
        home = Path(made).resolve()
        repository = home / "repository"
        say("making the repository")
        environ = process.clean_environ(home)
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
                COLUMNS,
                scanners.rows(figures, size=written["size"]),
                note="made of the releases of Python's standard library on this machine",
            ),
        ),
        budgets=(
            _budget("history: gitleaks over ours", scanners.ratio(figures, scanners.GITLEAKS), 2.5),
            _budget(
                "history: kingfisher over ours", scanners.ratio(figures, scanners.KINGFISHER), 4
            ),
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


def _budget(what: str, value: float | None, least: float) -> Budget:
    return Budget(what, value, "at least", least, TIMES)
