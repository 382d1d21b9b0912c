"""A thousand callers meet an expired lease at once: how often the source is asked, who waits."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks import peers, world
from benchmarks.measure import in_threads, no_collection, percentile
from benchmarks.report import Budget, Column, Result, Row, Table
from benchmarks.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.measure import Effort, Subject

    Make = tuple[str, Callable[[Upstream], Subject] | None]

TITLE: Final = "an expired lease and many callers at once"
_UP: Final = 0.050
_DOWN: Final = 0.010
_COLUMNS: Final = (
    Column("name", "call"),
    Column("calls", "source calls"),
    Column("failed", "errors"),
    Column("p50_ms", "p50 wait", "ms"),
    Column("p99_ms", "p99 wait", "ms"),
    Column("max_ms", "longest", "ms"),
)
_NOTE: Final = (
    "aws-secretsmanager-caching answers without an error when its source is down because it "
    "serves a value past its end, without a bound."
)


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure threads and tasks, with the source up and down."""
    count, rounds = effort.pick(1000, 100), effort.pick(3, 1)
    skip = "google-auth valid"  # it says whether to renew; before_request renews
    blocking = _listed(world.ours, [peer for peer in peers.BLOCKING if peer.name != skip])
    coroutines = _listed(world.ours_async, peers.ASYNCIO)
    tables = []
    budgets: list[Budget] = []
    for kind, listed in (("threads", blocking), ("tasks", coroutines)):
        for down in (False, True):
            state = "down" if down else "up"
            repeats = 1 if down else rounds  # 1,000 calls in series take 10 s a peer
            rows = [_row(make, count, down=down, rounds=repeats, say=say) for make in listed]
            delay = (_DOWN if down else _UP) * 1000
            title = f"{count:,} {kind}, source {state} ({delay:.0f} ms a call)"
            note = _NOTE if down and kind == "threads" else ""
            tables.append(Table(title, _COLUMNS, tuple(rows), note=note))
            budgets += _budgets(rows[0], f"{count:,} {kind}, source {state}", count, down=down)
    method = f"source up: the median of {rounds} herd(s); source down: one herd"
    return Result(title=TITLE, method=method, tables=tuple(tables), budgets=tuple(budgets))


def _listed(ours: Callable[[Upstream], Subject], listed: Sequence[peers.Peer]) -> list[Make]:
    name = "secretkit Broker.lease" if ours is world.ours else "secretkit AsyncBroker.lease"
    made: list[Make] = [(name, ours)]
    return made + [
        (peer.name, peer.make) if peer.installed else (f"{peer.name}: not installed", None)
        for peer in listed
    ]


def _budgets(row: Row, what: str, count: int, *, down: bool) -> list[Budget]:
    answered = row["failed"] if down else count - row["failed"]
    with_what = "the error" if down else "a lease"
    return [
        Budget(f"{what}: calls", row["calls"], "at most", 1),
        Budget(f"{what}: given {with_what}", answered, "at least", count),
    ]


def _row(make: Make, count: int, *, down: bool, rounds: int, say: Callable[[str], None]) -> Row:
    """Measure one subject: the most calls and errors of any herd, the median of their waits."""
    name, build = make
    if build is None:
        return {"name": name}
    herds = []
    for number in range(rounds):
        say(f"{name}, source {'down' if down else 'up'}, herd {number + 1} of {rounds}")
        herds.append(_herd(build, count, down=down))
    return {
        "name": name,
        "calls": max(herd.calls for herd in herds),
        "failed": max(herd.failed for herd in herds),
        "p50_ms": statistics.median(percentile(herd.waits, 0.5) for herd in herds) * 1000,
        "p99_ms": statistics.median(percentile(herd.waits, 0.99) for herd in herds) * 1000,
        "max_ms": statistics.median(max(herd.waits) for herd in herds) * 1000,
    }


@dataclass
class _Herd:
    """What the callers met: how long each waited, how many got an error, what the source saw."""

    waits: list[float] = field(default_factory=list)
    failed: int = 0
    calls: int = 0


def _herd(build: Callable[[Upstream], Subject], count: int, *, down: bool) -> _Herd:
    upstream = Upstream(life=0)
    subject = build(upstream)
    if upstream.calls != 1:
        raise RuntimeError(f"{subject.name}: renewed before the herd came")
    upstream.change(delay=_DOWN if down else _UP, down=down)
    herd = _Herd()
    with no_collection():
        if subject.coroutine:
            asyncio.run(_tasks(subject, count, herd))
        else:
            _threads(subject, count, herd)
    herd.calls = upstream.calls
    subject.close()
    if len(herd.waits) != count:
        raise RuntimeError(f"{subject.name}: {count - len(herd.waits)} callers were never answered")
    return herd


def _threads(subject: Subject, count: int, herd: _Herd) -> None:
    def work() -> None:
        began = time.perf_counter()
        try:
            subject.once()
        except Exception:  # noqa: BLE001 - whatever a peer raises is an error to its caller
            herd_errors.append(1)
        herd.waits.append(time.perf_counter() - began)

    herd_errors: list[int] = []  # append is atomic, += is not
    in_threads(count, work)
    herd.failed = len(herd_errors)


async def _tasks(subject: Subject, count: int, herd: _Herd) -> None:
    async def work() -> None:
        began = time.perf_counter()
        try:
            await subject.once()
        except Exception:  # noqa: BLE001 - whatever a peer raises is an error to its caller
            herd.failed += 1
        herd.waits.append(time.perf_counter() - began)

    await asyncio.gather(*(work() for _ in range(count)))
