"""What the scanner finds and what it takes for a secret by mistake, beside the peers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from benchmarks import process, scanners
from benchmarks.report import Budget, Column, Result, Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from benchmarks.measure import Effort

__all__ = ["flagged", "run"]

TITLE: Final = "what is found, and what is taken for a secret by mistake"
COLUMNS: Final = (
    Column("name", "command"),
    Column("recall", "recall", "%"),
    Column("alarms", "false alarms"),
    Column("rate", "of the clean", "%"),
    Column("f1", "F1"),
)
CLEAN: Final = (
    Column("name", "command"),
    Column("mb", "scanned", "MB"),
    Column("found", "lines flagged"),
    Column("per", "per 79 MB"),
)
_SETS: Final = ("held", "tune")
_KINDS: Final = ("published", "labelled")
_UNIT: Final = 79e6
_OURS: Final = 0.8  # recall of held-labelled that tests/detection fails below
_NODE: Final = Path("/usr/lib/node_modules")
_NOT_CODE: Final = frozenset({"test", "tests", "idle_test", "site-packages", "__pycache__"})
_BINARY: Final = frozenset({".a", ".so", ".whl", ".pyc", ".exe"})
_PARTS: Final = 4  # detect-secrets reads 0.2 MB/s: it is given one part of so many
_PATIENCE: Final = 150


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Write the labelled sets, a file per sample, and clean code; scan them with each scanner."""
    names = _SETS[: effort.pick(2, 1)]
    tables, ours = [], {}
    with tempfile.TemporaryDirectory(prefix="secretkit-bench-") as made:
        home = Path(made).resolve()
        for name in names:
            for kind in _KINDS[effort.pick(0, 1) :]:
                samples = getattr(_module(name), kind)()[:: effort.pick(1, 5)]
                rows = list(_scores(samples, home, f"{name}-{kind}", say))
                ours[f"{name}-{kind}"] = rows[0]["recall"]
                title = f"{name}, {kind}: {sum(one.secret for one in samples):,} secrets, {{}} not"
                clean = f"{sum(not one.secret for one in samples):,}"
                tables.append(Table(title.format(clean), COLUMNS, tuple(rows)))
        say("copying clean code")
        parts = _copied(home / "clean", parts=effort.pick(_PARTS, _PARTS * 8))
        rows = list(_mistakes(home, parts, quick=effort.quick, say=say))
    note = f"where less is scanned, one file in {len(parts)}; a line counts once"
    tables.append(Table("clean code: Python's standard library, npm", CLEAN, tuple(rows), note))
    return Result(
        title=TITLE,
        method="defaults of each, no calls over the network; a sample counts once",
        tables=tuple(tables),
        budgets=(
            Budget("held-labelled: recall", ours["held-labelled"], "at least", 100 * _OURS, "%"),
        ),
    )


def _module(name: str) -> Any:
    """Give a labelled set; they lie with the tests, which are no package of their own."""
    tests = str(Path(__file__).parents[1] / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
    return import_module(f"detection.{name}")


def _scores(
    samples: Sequence[Any], home: Path, name: str, say: Callable[[str], None]
) -> Iterator[Row]:
    """Give recall, false alarms and F1 of each scanner on ``samples``."""
    score = _module("sample").score
    folder = home / name
    for number, sample in enumerate(samples):
        path = folder / f"{number:05}" / sample.path
        path.parent.mkdir(parents=True)
        path.write_text(sample.text, "utf-8")
    for tool in READERS:
        say(f"{name}: {tool}")
        found = _findings(tool, folder, home)
        if found is None:
            yield {"name": f"{tool}: not installed"}
            continue
        result = score(samples, flagged={int(PurePosixPath(path).parts[0]) for path, _ in found})
        yield {
            "name": tool,
            "recall": 100 * result.recall,
            "alarms": result.alarms,
            "rate": 100 * result.alarm_rate,
            "f1": result.f1,
        }


def _mistakes(
    home: Path, parts: Sequence[int], *, quick: bool, say: Callable[[str], None]
) -> Iterator[Row]:
    """Give what each scanner finds in clean code."""
    for tool in READERS:
        say(f"clean code: {tool}")
        one = quick or tool == scanners.DETECT_SECRETS
        folder, size = (home / "clean" / "0", parts[0]) if one else (home / "clean", sum(parts))
        found = _findings(tool, folder, home)
        if found is None:
            yield {"name": f"{tool}: not installed"}
        else:
            per = len(found) * _UNIT / size
            yield {"name": tool, "mb": size / 1e6, "found": len(found), "per": per}


def _copied(target: Path, *, parts: int) -> list[int]:
    """Copy clean code into ``parts`` folders in turn; give the bytes in each."""
    sizes = [0] * parts
    for number, (source, below) in enumerate(_code()):
        copy = target / str(number % parts) / below
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        sizes[number % parts] += copy.stat().st_size
    return sizes


def _code() -> Iterator[tuple[Path, Path]]:
    """Give each text file of the standard library, without its tests, and of npm, in order."""
    for root in (Path(sysconfig.get_path("stdlib")), _NODE):
        for name, folders, files in os.walk(root):
            folders[:] = sorted(folders if root == _NODE else set(folders) - _NOT_CODE)
            for file in sorted(files):
                path = Path(name, file)
                if path.suffix not in _BINARY and path.is_file() and not path.is_symlink():
                    yield path, path.relative_to(root.parent)


def _findings(tool: str, folder: Path, home: Path) -> set[tuple[str, int]] | None:
    """Run a scanner over ``folder``; give path and line of what it found, None if it is not there.

    Its exit code is not looked at, as it says that something was found; its report must be JSON.
    """
    report = home / f"{tool}.json"
    report.unlink(missing_ok=True)
    command = _commands(report)[tool]
    if not Path(command[0]).exists():
        return None
    done = subprocess.run(
        command,
        cwd=folder,
        env=process.clean_environ(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_PATIENCE,
        check=False,
    )
    text = report.read_bytes() if report.exists() else done.stdout
    try:
        return flagged(tool, json.loads(text))
    except ValueError:
        raise process.CommandFailedError(f"{tool} ended with {done.returncode}") from None


def _commands(report: Path) -> Mapping[str, list[str]]:
    """Give the commands that scan the folder they are run in and report in JSON."""
    out = str(report)
    tool = scanners.tool
    return {
        scanners.OURS: [tool("secretkit"), "scan", "--format", "json", "--output", out, "."],
        scanners.GITLEAKS: [
            *(tool("gitleaks"), "dir", "--no-banner", "-l", "error"),
            *("-f", "json", "-r", out, "."),
        ],
        scanners.KINGFISHER: [
            *(tool("kingfisher"), "scan", ".", "--no-validate", "--no-update-check", "-q"),
            *("--no-dedup", "-f", "json", "-o", out),
        ],
        scanners.DETECT_SECRETS: [tool("detect-secrets"), "scan", "--all-files", "."],
    }


def flagged(tool: str, report: Any) -> set[tuple[str, int]]:
    """Give path and line of each finding in a scanner's report; one in a line counts once."""
    return {(os.path.normpath(path), int(line)) for path, line in READERS[tool](report)}


def _ours(report: Any) -> Iterable[tuple[str, int]]:
    return ((one["path"], one["line"]) for one in report["findings"])


def _gitleaks(report: Any) -> Iterable[tuple[str, int]]:
    return ((one["File"], one["StartLine"]) for one in report)


def _kingfisher(report: Any) -> Iterable[tuple[str, int]]:
    findings = (one["finding"] for one in report["findings"])
    return ((one["path"], one["line"]) for one in findings)


def _detect_secrets(report: Any) -> Iterable[tuple[str, int]]:
    return (
        (one["filename"], one["line_number"])
        for found in report["results"].values()
        for one in found
    )


READERS: Final[Mapping[str, Callable[[Any], Iterable[tuple[str, int]]]]] = {
    scanners.OURS: _ours,
    scanners.GITLEAKS: _gitleaks,
    scanners.KINGFISHER: _kingfisher,
    scanners.DETECT_SECRETS: _detect_secrets,
}
