"""Rehearsal: what ``secretkit demo`` runs: real clients, a real store, a strict stand-in, faults.

Two clients are made once. While they work, the key is changed again and again, the store goes away
for a while, and a key is refused without warning. Every figure is counted from what happened: by
the callers, and, independently, from the stand-in's own log.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit import claude, wiring
from secretkit.broker.aio import AsyncBroker
from secretkit.broker.clock import SystemClock
from secretkit.cli.stage import Gate, StandIn
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.providers.local import LocalProvider
from secretkit.testing.leaks import find
from secretkit.testing.stub.log import read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from secretkit.broker.blocking import Broker

__all__ = ["Figures", "Plan", "rehearse"]

_Client = Any  # an anthropic client; only the claude room may name its type
_REF: Final = SecretRef("local", "claude")
_ASK: Final[dict[str, Any]] = {
    "model": "claude-demo",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "hello"}],
}
_CONFIG: Final = """\
[credentials.claude]
kind = "anthropic-api-key"
source = "local:claude"

[leases]
ttl = "6s"
renew_at = 0.2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is done. ``overlap`` is how long an old key is still accepted."""

    rotations: int = 20
    requests: int = 2000
    streams: int = 200
    every: timedelta = timedelta(seconds=0.4)
    overlap: timedelta = timedelta(seconds=5)
    outage: timedelta = timedelta(seconds=1.5)
    threads: int = 4
    tasks: int = 8


@dataclass(slots=True, kw_only=True)
class Figures:
    """What happened, counted. ``served`` is the stand-in's count of what it answered with 200."""

    requests: int = 0
    streams: int = 0
    rotations: int = 0
    rejected_upstream: int = 0
    failed: int = 0
    leaks: int = 0
    longest_wait_ms: float = 0.0
    served: int = 0
    generations: int = 0
    source_calls: int = 0
    source_failures: int = 0
    outage_seconds: float = 0.0
    audit_entries: int = 0
    audit_intact: bool = False
    seconds: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no caller noticed anything, nothing leaked, and both counts agree."""
        agree = self.served == self.requests + self.streams
        return agree and self.failed == 0 and self.leaks == 0 and self.audit_intact


class Rehearsal:
    """One run: the callers, the one who rotates, and the counting."""

    def __init__(self, home: Path, *, plan: Plan, report: Callable[[int], None]) -> None:
        self._home = home
        self._plan = plan
        self._report = report
        self._clock = SystemClock()
        self._keys: list[Secret] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._failures: Counter[str] = Counter()
        self.figures = Figures()

    def run(self) -> Figures:
        """Run it all and give the figures."""
        started = self._clock.monotonic()
        log = self._home / "stand-in.jsonl"
        environ = {"HOME": str(self._home)}
        file = self._home / "secretkit.toml"
        file.write_text(_CONFIG, encoding="utf-8")
        file.chmod(0o600)
        config = wiring.load(file, environ=environ, cwd=self._home).config
        store = wiring.Toolkit(config, environ=environ).provider("local")
        if not isinstance(store, LocalProvider):
            raise TypeError("the built-in name 'local' is the local store")
        store.create()
        gate = Gate(store)
        toolkit = wiring.Toolkit(config, environ=environ, providers={"local": gate})
        with _debug_log(self._home / "debug.log"), StandIn(log) as stand_in:
            self._change_key(stand_in, store)
            with toolkit, toolkit.broker() as broker:
                self._work(broker, stand_in, store, gate)
                ledger = toolkit.ledger()
                self.figures.generations = len(ledger.generations("claude"))
                report = ledger.verify()
                self.figures.audit_entries, self.figures.audit_intact = (
                    report.entries,
                    report.intact,
                )
        self.figures.source_calls, self.figures.source_failures = gate.calls, gate.failures
        self.figures.seconds = round(self._clock.monotonic() - started, 2)
        self._read_log(log)
        self.figures.leaks = self._count_leaks()
        self.figures.failed = sum(self._failures.values())
        self.figures.failures = dict(self._failures)
        return self.figures

    # -- the one who rotates ----------------------------------------------------------------------

    def _change_key(self, stand_in: StandIn, store: LocalProvider) -> None:
        """Issue a key, have it accepted, and store it: the order in which no caller can fail."""
        key = Secret("sk-ant-api03-" + secrets.token_urlsafe(69) + "AA")
        self._keys.append(key)
        stand_in.tell(do="accept", label=f"key-{len(self._keys)}", key=key.reveal())
        store.write(_REF, key)

    def _rotate(self, stand_in: StandIn, store: LocalProvider, gate: Gate) -> None:
        plan = self._plan
        pause = threading.Event()
        for number in range(1, plan.rotations + 1):
            pause.wait(plan.every.total_seconds())
            old = [f"key-{number}" for number in range(1, len(self._keys) + 1)]
            self._change_key(stand_in, store)
            if number == plan.rotations // 2:
                for label in old:  # without warning: whoever holds an old key gets a 401
                    stand_in.tell(do="refuse", label=label)
            else:
                seconds = plan.overlap.total_seconds()
                stand_in.tell(do="refuse_after", label=old[-1], seconds=seconds)
            self.figures.rotations = number
            self._report(number)
            if number == plan.rotations * 3 // 4:
                self._shut(gate, pause)
        pause.wait(plan.overlap.total_seconds())  # by then every old key is refused
        while not self._enough():
            pause.wait(0.05)

    def _shut(self, gate: Gate, pause: threading.Event) -> None:
        started = self._clock.monotonic()
        gate.shut.set()
        pause.wait(self._plan.outage.total_seconds())
        gate.shut.clear()
        self.figures.outage_seconds = round(self._clock.monotonic() - started, 2)

    def _enough(self) -> bool:
        done = self.figures
        return done.requests >= self._plan.requests and done.streams >= self._plan.streams

    # -- the callers ------------------------------------------------------------------------------

    def _work(self, broker: Broker, stand_in: StandIn, store: LocalProvider, gate: Gate) -> None:
        client = claude.connect("claude", broker=broker, base_url=stand_in.url)
        callers = [
            threading.Thread(target=self._call, args=(client,)) for _ in range(self._plan.threads)
        ]
        callers.append(
            threading.Thread(target=asyncio.run, args=(self._call_async(broker, stand_in),))
        )
        for caller in callers:
            caller.start()
        try:
            self._rotate(stand_in, store, gate)
        finally:
            self._done.set()
            for caller in callers:
                caller.join()
            client.close()

    def _call(self, client: _Client) -> None:
        turn = 0
        while not self._done.is_set():
            turn += 1
            streaming = turn % 8 == 0
            with self._counted(streaming=streaming):
                if streaming:
                    with client.messages.stream(**_ASK) as stream:
                        for _ in stream.text_stream:
                            pass
                else:
                    client.messages.create(**_ASK)

    async def _call_async(self, broker: Broker, stand_in: StandIn) -> None:
        async with claude.connect_async(
            "claude", broker=AsyncBroker(broker), base_url=stand_in.url
        ) as client:
            await asyncio.gather(*(self._task(client) for _ in range(self._plan.tasks)))

    async def _task(self, client: _Client) -> None:
        turn = 0
        while not self._done.is_set():
            turn += 1
            streaming = turn % 8 == 0
            with self._counted(streaming=streaming):
                if streaming:
                    async with client.messages.stream(**_ASK) as stream:
                        async for _ in stream.text_stream:
                            pass
                else:
                    await client.messages.create(**_ASK)

    @contextmanager
    def _counted(self, *, streaming: bool) -> Iterator[None]:
        started = self._clock.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a caller sees is a failure, and counted
            with self._lock:
                self._failures[type(error).__name__] += 1
            return
        waited = (self._clock.monotonic() - started) * 1000
        with self._lock:
            if streaming:
                self.figures.streams += 1
            else:
                self.figures.requests += 1
            self.figures.longest_wait_ms = max(self.figures.longest_wait_ms, round(waited, 1))

    # -- the counting -----------------------------------------------------------------------------

    def _read_log(self, log: Path) -> None:
        statuses = Counter(record.status for record in read_log(log))
        self.figures.served = statuses[200]
        self.figures.rejected_upstream = statuses[401]

    def _count_leaks(self) -> int:
        """Look for every key in every file of the run: logs, ledger, store, configuration."""
        files = [path for path in self._home.rglob("*") if path.is_file()]
        return sum(len(find(path.read_bytes(), self._keys)) for path in files)


@contextmanager
def _debug_log(file: Path) -> Iterator[None]:
    """Write down everything that any library logs, at the most talkative level, unredacted."""
    handler = logging.FileHandler(file)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


def rehearse(home: Path, *, plan: Plan, report: Callable[[int], None]) -> Figures:
    """Run the whole thing in ``home``; ``report`` is told the number of each rotation done."""
    return Rehearsal(home, plan=plan, report=report).run()
