"""What a cached lease costs: secretkit, the floor, and the peers, in turn."""

from __future__ import annotations

import asyncio
import statistics
from typing import TYPE_CHECKING, Final

from benchmarks import peers, world
from benchmarks.measure import interleaved, median_ratio, settled, threaded_nanoseconds, turn
from benchmarks.report import TIMES, Budget, Column, Result, Row, Table
from benchmarks.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.measure import Effort, Subject
    from benchmarks.peers import Peer

TITLE: Final = "a lease that is in hand"
_THREADS: Final = 8
_COLUMNS: Final = (
    Column("name", "call"),
    Column("ns", "median", "ns"),
    Column("x_floor", "x floor", TIMES),
    Column("x_secretkit", "x secretkit", TIMES),
)

Rounds = dict[str, list[float]]


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure blocking and asyncio faces, then the blocking ones in eight threads."""
    rounds, seconds = effort.pick(41, 7), effort.pick(12, 3) / 1000
    blocking = [
        world.floor(),
        world.floor_boottime(),
        world.ours(Upstream()),
        world.locked_dict(),
        *_made(peers.BLOCKING),
    ]
    single = interleaved(blocking, rounds=rounds, seconds=seconds, say=say)
    threaded = _threaded(blocking, single, rounds=effort.pick(11, 3), say=say)
    coroutines = [world.floor_async(), world.ours_async(Upstream()), *_made(peers.ASYNCIO)]
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        awaited = interleaved(coroutines, rounds=rounds, seconds=seconds, say=say, event_loop=loop)
    for subject in (*blocking, *coroutines):
        subject.close()
    return Result(
        title=TITLE,
        method=f"{rounds} interleaved rounds of {seconds * 1000:.0f} ms each, medians",
        tables=(
            _table("blocking, one thread", single, peers.BLOCKING),
            _table(f"blocking, {_THREADS} threads, per call", threaded, peers.BLOCKING),
            _table("asyncio, one loop", awaited, peers.ASYNCIO),
        ),
        budgets=_budgets(single, awaited),
    )


def _made(listed: Sequence[Peer]) -> list[Subject]:
    return [peer.make(Upstream()) for peer in listed if peer.installed]


def _threaded(
    subjects: Sequence[Subject], single: Rounds, *, rounds: int, say: Callable[[str], None]
) -> Rounds:
    """Let eight threads share each subject for about 25 ms a round."""
    shared = 25e6 / _THREADS
    found: Rounds = {subject.name: [] for subject in subjects}
    with settled():
        for number in range(rounds):
            say(f"{_THREADS} threads, round {number + 1} of {rounds}")
            for subject in turn(subjects, number):
                times = max(1, round(shared / statistics.median(single[subject.name])))
                taken = threaded_nanoseconds(subject, threads=_THREADS, times=times)
                found[subject.name].append(taken)
    return found


def _table(title: str, rounds: Rounds, listed: Sequence[Peer]) -> Table:
    ours = next(values for name, values in rounds.items() if name.startswith("secretkit"))
    rows: list[Row] = [
        {
            "name": name,
            "ns": statistics.median(values),
            "x_floor": median_ratio(values, rounds["floor"]),
            "x_secretkit": median_ratio(values, ours),
        }
        for name, values in rounds.items()
    ]
    rows += [{"name": f"{peer.name}: not installed"} for peer in listed if not peer.installed]
    return Table(title, _COLUMNS, tuple(rows))


def _budgets(single: Rounds, awaited: Rounds) -> tuple[Budget, ...]:
    ours, ours_async = single["secretkit Broker.lease"], awaited["secretkit AsyncBroker.lease"]
    micro = statistics.median(ours) / 1000, statistics.median(ours_async) / 1000
    token, token_async = "anthropic TokenCache", "anthropic TokenCache, async provider"
    boto = "botocore get_frozen_credentials"
    return (
        Budget("cached lease: times the floor", _ratio(ours, single["floor"]), "at most", 2, TIMES),
        Budget("cached lease", micro[0], "at most", 0.2, "µs"),
        Budget("cached lease, asyncio", micro[1], "at most", 0.4, "µs"),
        Budget("faster than TokenCache", _ratio(single.get(token), ours), "at least", 2, TIMES),
        Budget(
            "faster than TokenCache, asyncio",
            _ratio(awaited.get(token_async), ours_async),
            "at least",
            2,
            TIMES,
        ),
        Budget("faster than botocore", _ratio(single.get(boto), ours), "at least", 25, TIMES),
    )


def _ratio(values: list[float] | None, base: list[float]) -> float | None:
    return None if values is None else median_ratio(values, base)
