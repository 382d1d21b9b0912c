"""Memory and time of many leases, in processes of their own; growth must be linear."""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import process, world
from benchmarks.report import TIMES, Budget, Column, Result, Row, Table
from benchmarks.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.measure import Effort

TITLE: Final = "many leases in one broker"
_ROOT: Final = Path(__file__).parents[1]
_RSS: Final = "rss"
_TRACED: Final = "traced"
_COLUMNS: Final = (
    Column("name", "leases"),
    Column("traced_kib", "Python objects, each", "KiB"),
    Column("rss_kib", "resident, each", "KiB"),
    Column("rss_mib", "resident, all", "MiB"),
    Column("seconds", "fetch all", "s"),
    Column("ms", "fetch, each", "ms"),
    Column("us_again", "lease again, each", "µs"),
)
_NOTE: Final = (
    "each with its configuration; resident memory also holds the rows of the ledger in memory: "
    "a lease, a generation, a counted call and audit entries for each"
)
_LINEAR: Final = 1.5  # a quadratic part would show as a factor near 10


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure a tenth of the leases and all of them, three times; show the middle."""
    counts = (effort.pick(1_000, 100), effort.pick(10_000, 1_000))
    rows = [_row(count, say) for count in counts]
    few, many = rows
    budgets = tuple(
        Budget(f"{counts[1]:,} leases over {counts[0]:,}: {what}", ratio, "at most", _LINEAR, TIMES)
        for what, ratio in (
            ("memory of each", many["traced_kib"] / few["traced_kib"]),
            ("time to fetch each", many["ms"] / few["ms"]),
        )
    )
    return Result(
        title=TITLE,
        method="tracemalloc and VmRSS in separate processes, difference from before the broker",
        tables=(Table("growth", _COLUMNS, tuple(rows), note=_NOTE),),
        budgets=budgets,
    )


def _row(count: int, say: Callable[[str], None]) -> Row:
    say(f"{count:,} leases, resident memory and time")
    plain = _child(count, _RSS)
    say(f"{count:,} leases, Python objects")
    traced = _child(count, _TRACED)
    return {
        "name": f"{count:,}",
        "traced_kib": traced["bytes"] / count / 1024,
        "rss_kib": plain["bytes"] / count / 1024,
        "rss_mib": plain["bytes"] / 1024**2,
        "seconds": plain["seconds"],
        "ms": plain["seconds"] / count * 1000,
        "us_again": plain["again"] / count * 1e6,
    }


def _child(count: int, what: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.memory", str(count), what]
    environ = process.clean_environ(_ROOT) | {"PYTHONPATH": str(_ROOT)}
    found: dict[str, float] = json.loads(process.output(command, environ))
    return found


def measure(count: int, what: str) -> dict[str, float]:
    """Lease ``count`` credentials in this process; give bytes and seconds."""
    warm = world.ours(Upstream())  # imports and caches are not part of a lease
    warm.close()
    names = [f"{world.NAME}-{number}" for number in range(count)]
    provider = world.UpstreamProvider(Upstream())
    gc.collect()
    if what == _TRACED:
        tracemalloc.start()
    before = _traced() if what == _TRACED else _resident()
    with world.broker_of(names, provider) as broker:
        began = time.perf_counter()
        for name in names:
            broker.lease(name)
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        for name in names:
            broker.lease(name)
        again = time.perf_counter() - began
        gc.collect()
        after = _traced() if what == _TRACED else _resident()
    return {"bytes": after - before, "seconds": seconds, "again": again}


def _traced() -> float:
    return tracemalloc.get_traced_memory()[0]


def _resident() -> float:
    """Give this process's resident memory in bytes (VmRSS of proc(5))."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) * 1024
    raise LookupError("VmRSS")


def main(arguments: Sequence[str]) -> None:
    """Run as the child."""
    count, what = arguments
    json.dump(measure(int(count), what), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
