"""Scanners: the command lines of our scanner and of its peers, and running them side by side."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.measure import turn
from benchmarks.process import BIN, clean_environ
from benchmarks.report import TIMES, Budget, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.report import Row

__all__ = [
    "COLUMNS",
    "GITLEAKS",
    "KINGFISHER",
    "OURS",
    "TURBO",
    "Figures",
    "directory",
    "hook",
    "lead",
    "new_home",
    "ratio",
    "rows",
    "side_by_side",
    "tool",
]

OURS: Final = "secretkit"
GITLEAKS: Final = "gitleaks"
KINGFISHER: Final = "kingfisher"
TURBO: Final = "kingfisher --turbo"
DETECT_SECRETS: Final = "detect-secrets"
COLUMNS: Final = (
    Column("name", "command"),
    Column("wall_ms", "median", "ms"),
    Column("cpu_ms", "processor", "ms"),
    Column("mb_s", "speed", "MB/s"),
    Column("peak_mib", "peak of one process", "MiB"),
    Column("x_ours", "ours", TIMES),
)
_KINGFISHER: Final = ("--no-validate", "--no-update-check", "-q")


@dataclass(frozen=True)
class Figures:
    """What one command took, over all rounds: wall seconds, processor seconds, peak memory.

    ``codes`` are the exit codes it ended with.
    """

    wall: tuple[float, ...]
    cpu: float
    peak: float
    codes: frozenset[int]

    @property
    def median(self) -> float:
        """The median of the wall times, in seconds."""
        return statistics.median(self.wall)


@contextlib.contextmanager
def new_home() -> Iterator[tuple[Path, dict[str, str]]]:
    """Give an empty directory until the block ends, and an environment whose home it is."""
    with tempfile.TemporaryDirectory(prefix="secretkit-bench-") as made:
        home = Path(made).resolve()
        yield home, clean_environ(home)


def directory(where: Path, output: Path) -> dict[str, list[str]]:
    """Give the commands that scan everything below ``where``."""
    return {
        OURS: [tool("secretkit"), "scan", "--format", "json", "--output", str(output), str(where)],
        KINGFISHER: [tool("kingfisher"), "scan", str(where), *_KINGFISHER],
        TURBO: [tool("kingfisher"), "scan", str(where), "--turbo", *_KINGFISHER],
        GITLEAKS: [tool("gitleaks"), "dir", "--no-banner", "-l", "error", str(where)],
    }


def hook(where: Path, files: Sequence[str]) -> dict[str, list[str]]:
    """Give the commands that a pre-commit hook runs in the repository ``where``."""
    return {
        OURS: ["/bin/sh", str(where / ".git" / "hooks" / "pre-commit")],
        GITLEAKS: [
            *(tool("gitleaks"), "git", "--pre-commit", "--staged"),
            *("--no-banner", "-l", "error", str(where)),
        ],
        KINGFISHER: [tool("kingfisher"), "scan", str(where), "--staged", *_KINGFISHER],
        DETECT_SECRETS: [tool("detect-secrets-hook"), *files],
    }


def tool(name: str) -> str:
    """Give the path of a program that is installed beside this Python."""
    return str(BIN / name)


def side_by_side(
    commands: Mapping[str, list[str]],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    rounds: int,
    say: Callable[[str], None],
) -> dict[str, Figures]:
    """Run each command ``rounds`` times, in turns, after one round that does not count.

    The commands may end with any code: some say with it that they found something. A peer that is
    not installed is left out.
    """
    present = [name for name, words in commands.items() if Path(words[0]).exists()]
    taken: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in present}
    for number in range(rounds + 1):
        for name in turn(present, number):
            say(f"round {number} of {rounds}: {name}")
            figures = _run(commands[name], cwd=cwd, environ=environ)
            if number:
                taken[name].append(figures)
    return {
        name: Figures(
            wall=tuple(run[0] for run in runs),
            cpu=statistics.median(run[1] for run in runs),
            peak=max(run[2] for run in runs),
            codes=frozenset(run[3] for run in runs),
        )
        for name, runs in taken.items()
    }


def _run(
    command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]
) -> tuple[float, float, float, int]:
    """Give wall and processor seconds, peak MiB of the largest process, and the exit code."""
    began = time.perf_counter()
    child = os.posix_spawn(
        "/usr/bin/env",
        ["env", "-C", str(cwd), *command],
        dict(environ),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
    )
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, code


def rows(figures: Mapping[str, Figures], *, size: int = 0) -> tuple[Row, ...]:
    """Give a table row for each command; ``size`` in bytes adds the speed."""
    ours = figures[OURS].median
    return tuple(
        {
            "name": name,
            "wall_ms": one.median * 1000,
            "cpu_ms": one.cpu * 1000,
            "mb_s": size / one.median / 1e6 if size else None,
            "peak_mib": one.peak,
            "x_ours": one.median / ours,
        }
        for name, one in figures.items()
    )


def ratio(figures: Mapping[str, Figures], peer: str) -> float | None:
    """Give how many times longer ``peer`` takes than we do."""
    if peer not in figures:
        return None
    return figures[peer].median / figures[OURS].median


def lead(what: str, figures: Mapping[str, Figures], peer: str, least: float) -> Budget:
    """Give the budget that ``peer`` takes at least ``least`` times as long as we do."""
    return Budget(f"{what}: {peer} over ours", ratio(figures, peer), "at least", least, TIMES)
