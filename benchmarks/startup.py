"""How long imports and commands take, over bare Python in the same environment."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import process, world
from benchmarks.measure import turn
from benchmarks.report import Budget, Column, Result, Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.measure import Effort

TITLE: Final = "imports and commands, whole processes"
_BARE: Final = "python -c pass"
_IMPORT: Final = "import secretkit"
_BROKER: Final = "import secretkit; secretkit.Broker"
_HELP: Final = "secretkit --help"
_TOKEN: Final = f"secretkit token {world.NAME}"
_GET: Final = f"secretkit get {world.NAME}"
_BUDGETS: Final = {_IMPORT: 25.0, _TOKEN: 60.0, _HELP: 150.0}
_COLUMNS: Final = (
    Column("name", "process"),
    Column("best_ms", "best", "ms"),
    Column("median_ms", "median", "ms"),
    Column("over_best_ms", "best over bare", "ms"),
    Column("over_median_ms", "median over bare", "ms"),
    Column("costliest", "costliest module, its own ms"),
)


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure each command in turn, many times, with a home of its own."""
    rounds = effort.pick(31, 5)
    with tempfile.TemporaryDirectory(prefix="secretkit-bench-") as made:
        environ = process.clean_environ(Path(made).resolve())
        commands = _commands()
        failed = _prepare(environ) | _tried(commands, environ)
        commands = {name: words for name, words in commands.items() if name not in failed}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for name in turn(list(commands), number):
                times[name].append(process.timed(commands[name], environ) * 1000)
        say("asking which modules cost most")
        costly = {name: _costliest(words, environ) for name, words in commands.items()}
    rows = [_row(name, times, costly) for name in times]
    rows += [{"name": f"{name}: not measured"} for name in failed]
    over = {row["name"]: row.get("over_median_ms") for row in rows}
    budgets = tuple(
        Budget(f"{name}, median over bare Python", over.get(name), "at most", most, "ms")
        for name, most in _BUDGETS.items()
    )
    note = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    method = f"{rounds} interleaved rounds, each process from spawn to end, bytecode cached"
    return Result(
        title=TITLE,
        method=method,
        tables=(Table("start-up", _COLUMNS, tuple(rows), note=note),),
        budgets=budgets,
    )


def _commands() -> dict[str, list[str]]:
    secretkit = str(process.BIN / "secretkit")
    python = [sys.executable, "-c"]
    return {
        _BARE: [*python, "pass"],
        _IMPORT: [*python, _IMPORT],
        _BROKER: [*python, _BROKER],
        _HELP: [secretkit, "--help"],
        _TOKEN: [secretkit, "token", world.NAME],
        _GET: [secretkit, "get", world.NAME],
    }


def _prepare(environ: Mapping[str, str]) -> dict[str, str]:
    """Make a configuration and a store with one key; give what cannot be timed without them."""
    secretkit = str(process.BIN / "secretkit")
    try:
        process.output([secretkit, "init"], environ)
        key = world.fake_key()
        process.output([secretkit, "set", world.NAME, "-"], environ, given=key.reveal())
    except (process.CommandFailedError, OSError) as error:
        return dict.fromkeys((_TOKEN, _GET), str(error))
    return {}


def _tried(commands: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> dict[str, str]:
    """Run each once, which also caches bytecode; give those that do not work."""
    failed = {}
    for name, words in commands.items():
        try:
            process.output(words, environ)
        except (process.CommandFailedError, OSError) as error:
            failed[name] = str(error)
    return failed


def _costliest(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Name the module whose own code took longest to import, beyond what bare Python imports."""
    text = process.errors(_with_importtime(words), environ)
    bare = _import_times(process.errors(_with_importtime([sys.executable, "-c", "pass"]), environ))
    added = {name: taken for name, taken in _import_times(text).items() if name not in bare}
    if not added:
        return "-"
    name = max(added, key=lambda module: added[module])
    return f"{name} {added[name] / 1000:.1f}"


def _with_importtime(words: Sequence[str]) -> list[str]:
    start = [] if words[0] == sys.executable else [words[0]]
    return [sys.executable, "-X", "importtime", *start, *words[1:]]


def _import_times(text: str) -> dict[str, int]:
    """Read ``import time: self [us] | cumulative | module`` lines: microseconds by module."""
    found = {}
    for line in text.splitlines():
        if line.startswith("import time:") and "self [us]" not in line:
            taken, _, module = line.removeprefix("import time:").split("|")
            found[module.strip()] = int(taken)
    return found


def _row(name: str, times: Mapping[str, list[float]], costly: Mapping[str, str]) -> Row:
    mine, bare = times[name], times[_BARE]
    row: Row = {
        "name": name,
        "best_ms": min(mine),
        "median_ms": statistics.median(mine),
    }
    if name != _BARE:
        row["over_best_ms"] = min(mine) - min(bare)
        row["over_median_ms"] = statistics.median(
            one - other for one, other in zip(mine, bare, strict=True)
        )
        row["costliest"] = costly[name]
    return row
