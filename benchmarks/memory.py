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
    from secretkit.broker.blocking import Broker

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
_PATIENCE: Final = 25.0  # seconds; ten thousand leases at a millisecond each take ten
_LOOK_EVERY: Final = 100
_LINEAR: Final = 1.5  # a quadratic part would show as a factor near 10


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure a tenth of the leases, then all of them."""
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
    leased = plain["leased"]
    cut = f", cut at {leased:,.0f}" if leased < count else ""
    return {
        "name": f"{count:,}{cut}",
        "traced_kib": traced["bytes"] / traced["leased"] / 1024,
        "rss_kib": plain["bytes"] / leased / 1024,
        "rss_mib": plain["bytes"] / 1024**2,
        "seconds": plain["seconds"],
        "ms": plain["seconds"] / leased * 1000,
        "us_again": plain["again"] / leased * 1e6,
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
        leased, seconds = _lease_all(broker, names)
        _, again = _lease_all(broker, names[:leased])
        gc.collect()
        after = _traced() if what == _TRACED else _resident()
    return {"leased": leased, "bytes": after - before, "seconds": seconds, "again": again}


def _lease_all(broker: Broker, names: Sequence[str]) -> tuple[int, float]:
    """Lease one after the other, for 25 s at the most; give how many, and the seconds."""
    began = time.perf_counter()
    for done, name in enumerate(names):
        if done % _LOOK_EVERY == 0 and time.perf_counter() - began > _PATIENCE:
            return done, time.perf_counter() - began
        broker.lease(name)
    return len(names), time.perf_counter() - began


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
