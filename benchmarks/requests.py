"""Requests a second of an anthropic client, with a literal key and with secretkit."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks import world
from benchmarks.measure import in_threads, median_ratio, no_collection, turn
from benchmarks.process import stand_in
from benchmarks.report import TIMES, Column, Result, Row, Table
from secretkit.ports import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    import anthropic

    from benchmarks.measure import Effort
    from secretkit.broker.blocking import Broker
    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret

TITLE: Final = "an anthropic client against the stand-in, a process of its own"
_BARE: Final = "anthropic with a literal key"
_OURS: Final = "secretkit.claude.connect"
_TASKS: Final = 8
_MODEL: Final = "claude-benchmark"
_COLUMNS: Final = (
    Column("name", "client"),
    Column("rps", "requests a second"),
    Column("us", "a request", "µs"),
    Column("share", "of the bare client", TIMES),
)
_NOTE: Final = (
    "client and stand-in share this machine's cores, so figures are small; the share is what counts"
)

Found = dict[str, list[float]]


class _OneKey:
    """A provider that always gives the key which the stand-in takes."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:  # noqa: ARG002 - the port's
        return Fetched(secret=self._key)


@dataclass(frozen=True)
class _Setup:
    """Where the clients go, with what, and for how long."""

    url: str
    key: Secret
    broker: Broker
    rounds: int
    seconds: float
    say: Callable[[str], None]

    @property
    def options(self) -> dict[str, Any]:
        """What both clients are given."""
        return {"base_url": self.url, "max_retries": 0}


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure one thread, four threads that share a client, and eight tasks that do."""
    rounds, seconds = effort.pick(11, 3), effort.pick(500, 300) / 1000
    key = world.fake_key()
    with (
        stand_in(key) as url,
        world.broker_of([world.NAME], _OneKey(key)) as broker,
    ):
        setup = _Setup(url, key, broker, rounds, seconds, say)
        tables = (
            _table("blocking, 1 thread", _blocking(setup, threads=1)),
            _table("blocking, 4 threads that share a client", _blocking(setup, threads=4)),
            _table(
                f"asyncio, {_TASKS} tasks that share a client",
                asyncio.run(_asyncio(setup)),
                note=_NOTE,
            ),
        )
    method = f"{rounds} interleaved rounds of {seconds:.1f} s, medians; messages.create, 16 tokens"
    return Result(title=TITLE, method=method, tables=tables)


def _blocking(setup: _Setup, *, threads: int) -> Found:
    import anthropic

    from secretkit.claude import connect

    found: Found = {_BARE: [], _OURS: []}
    with (
        anthropic.Anthropic(api_key=setup.key.reveal(), **setup.options) as bare,
        connect(world.NAME, broker=setup.broker, **setup.options) as ours,
    ):
        clients = {_BARE: bare, _OURS: ours}
        for client in clients.values():
            _ask(client)
        for number in range(setup.rounds):
            setup.say(f"{threads} thread(s), round {number + 1} of {setup.rounds}")
            for name in turn(list(clients), number):
                found[name].append(
                    _per_second(clients[name], threads=threads, seconds=setup.seconds)
                )
    return found


def _body() -> dict[str, Any]:
    return {
        "model": _MODEL,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "hello"}],
    }


def _ask(client: anthropic.Anthropic) -> None:
    client.messages.create(**_body())


def _per_second(client: anthropic.Anthropic, *, threads: int, seconds: float) -> float:
    done = [0] * threads
    numbers = iter(range(threads))
    lock = threading.Lock()
    end = 0.0

    def work() -> None:
        with lock:
            mine = next(numbers)
        while time.perf_counter() < end:
            _ask(client)
            done[mine] += 1

    with no_collection():
        end = time.perf_counter() + seconds
        taken = in_threads(threads, work)
    return sum(done) / taken


async def _asyncio(setup: _Setup) -> Found:
    import anthropic

    from secretkit.claude import connect_async

    found: Found = {_BARE: [], _OURS: []}
    async with (
        anthropic.AsyncAnthropic(api_key=setup.key.reveal(), **setup.options) as bare,
        connect_async(world.NAME, broker=setup.broker, **setup.options) as ours,
    ):
        clients = {_BARE: bare, _OURS: ours}
        for client in clients.values():
            await client.messages.create(**_body())
        for number in range(setup.rounds):
            setup.say(f"{_TASKS} tasks, round {number + 1} of {setup.rounds}")
            for name in turn(list(clients), number):
                found[name].append(await _per_second_async(clients[name], seconds=setup.seconds))
    return found


async def _per_second_async(client: anthropic.AsyncAnthropic, *, seconds: float) -> float:
    done = 0
    began = time.perf_counter()

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < began + seconds:
            await client.messages.create(**_body())
            done += 1

    with no_collection():
        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(_TASKS)))
    return done / (time.perf_counter() - began)


def _table(title: str, found: Found, *, note: str = "") -> Table:
    rows: list[Row] = [
        {
            "name": name,
            "rps": statistics.median(values),
            "us": 1e6 / statistics.median(values),
            "share": median_ratio(values, found[_BARE]),
        }
        for name, values in found.items()
    ]
    return Table(title, _COLUMNS, tuple(rows), note=note)
