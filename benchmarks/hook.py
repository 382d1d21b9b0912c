"""What the git hook adds to a commit, beside the peers' hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import corpus, process, scanners
from benchmarks.report import TIMES, Budget, Column, Result, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.measure import Effort
    from benchmarks.scanners import Figures

TITLE: Final = "the pre-commit hook, whole processes"
COLUMNS: Final = (
    Column("name", "hook"),
    Column("wall_ms", "median", "ms"),
    Column("cpu_ms", "processor", "ms"),
    Column("peak_mib", "peak", "MiB"),
    Column("x_ours", "ours", TIMES),
)
_FAKE: Final = "AWS_SECRET_ACCESS_KEY = 'kV9{}x7Qw/2LmNp4RtYb8{}Zc1HdUe5GsJ3fAo6'\n"


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Stage clean changes of two sizes, and one with a finding, and run each hook in turn."""
    rounds = effort.pick(15, 2)
    with scanners.new_home() as (home, environ):
        repository = home / "repository"
        repository.mkdir()
        say("making the repository")
        corpus.repository(repository, files=effort.pick(5400, 300))
        process.output(
            ["/usr/bin/env", "-C", str(repository), scanners.tool("secretkit"), "hook", "install"],
            environ,
        )
        found: dict[str, dict[str, Figures]] = {}
        for name, files, lines in (("1 file, 20 lines", 1, 20), ("50 files, 5,000 lines", 50, 100)):
            corpus.git(repository, "reset", "-q", "--hard")
            corpus.stage(repository, files=files, lines=lines)
            found[name] = _measured(repository, environ, rounds, say, code=0)
        corpus.git(repository, "reset", "-q", "--hard")
        (repository / "leak.py").write_text(_FAKE.format("T", "r"), "utf-8")
        corpus.git(repository, "add", "leak.py")
        found["a finding"] = _measured(repository, environ, rounds, say, code=1)
    return Result(
        title=TITLE,
        method=f"{rounds} interleaved rounds after one that does not count; caches warm",
        tables=tuple(
            Table(name, COLUMNS, scanners.rows(figures)) for name, figures in found.items()
        ),
        budgets=(*_clean(found), _leak(found["a finding"])),
    )


def _measured(
    repository: Path,
    environ: dict[str, str],
    rounds: int,
    say: Callable[[str], None],
    *,
    code: int,
) -> dict[str, Figures]:
    """Measure what is staged; unless our hook says ``code``, it measured something else."""
    staged = corpus.git(repository, "diff", "--cached", "--name-only", "-z").decode()
    commands = scanners.hook(repository, staged.strip("\0").split("\0"))
    found = scanners.side_by_side(commands, cwd=repository, environ=environ, rounds=rounds, say=say)
    if found[scanners.OURS].codes != {code}:
        raise RuntimeError(f"our hook ended with {sorted(found[scanners.OURS].codes)}")
    return found


def _clean(found: dict[str, dict[str, Figures]]) -> tuple[Budget, ...]:
    return tuple(
        scanners.lead(name, found[name], peer, 10)
        for name in list(found)[:2]
        for peer in (scanners.GITLEAKS, scanners.KINGFISHER)
    )


def _leak(figures: dict[str, Figures]) -> Budget:
    median = figures[scanners.OURS].median * 1000
    return Budget("a finding: whole process", median, "at most", 60, "ms")
