"""How long a scan of a large tree and of one large file takes, beside the peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import corpus, scanners
from benchmarks.report import Budget, Result, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.measure import Effort

TITLE: Final = "scans of a tree and of one file"


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Scan a tree of at least 300 MB and a file of 200 MB with each scanner in turn."""
    rounds = effort.pick(5, 1)
    with scanners.new_home() as (home, environ):
        tree = home / "tree"
        say("making the tree")
        files, size = corpus.tree(tree, size=effort.pick(320, 8) << 20)
        commands = scanners.directory(tree, home / "out.json")
        whole = scanners.side_by_side(commands, cwd=home, environ=environ, rounds=rounds, say=say)
        single = home / "single" / "large.sql"
        single.parent.mkdir()
        length = _file(single, tree, size=effort.pick(200, 4) << 20)
        commands = scanners.directory(single, home / "out.json")
        commands["gitleaks"][-1:] = [str(single.parent)]
        one = scanners.side_by_side(commands, cwd=home, environ=environ, rounds=rounds, say=say)
    ours = whole[scanners.OURS].peak
    return Result(
        title=TITLE,
        method=f"{rounds} interleaved rounds after one that does not count; page cache warm",
        tables=(
            Table(
                f"a tree of {size / 1e6:,.0f} MB in {files:,} files",
                scanners.COLUMNS,
                scanners.rows(whole, size=size),
            ),
            Table(
                f"one file of {length / 1e6:,.0f} MB",
                scanners.COLUMNS,
                scanners.rows(one, size=length),
            ),
        ),
        budgets=(
            scanners.lead("tree", whole, scanners.TURBO, 5),
            scanners.lead("tree", whole, scanners.GITLEAKS, 12),
            Budget("tree: peak of one process", ours, "at most", 300, "MiB"),
            Budget("file: peak of one process", one[scanners.OURS].peak, "at most", 300, "MiB"),
        ),
    )


def _file(path: Path, tree: Path, *, size: int) -> int:
    """Write one file of ``size`` bytes or a little more, of what the tree's files hold."""
    length = 0
    with path.open("wb") as out:
        while length < size:
            for source in sorted(tree.rglob("*.*")):
                if source.is_file():
                    length += out.write(source.read_bytes())
                if length >= size:
                    break
    return length
