"""Timing: interleaved rounds, medians, a warm-up, no garbage collection while the clock runs.

Nothing here judges a figure. Subjects of one comparison take turns in every round, so that a noisy
moment hits them all, and a ratio is taken within each round before the median is.
"""

from __future__ import annotations

import gc
import math
import statistics
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator, Mapping, Sequence

_T = TypeVar("_T")

_NANO: Final = 1e9
_STACK: Final = 256 * 1024  # 1,000 threads with the usual 8 MiB would reserve 8 GB

# The call stands in the loop itself, as in timeit: a wrapper costs more than a cached lease.
_LOOP: Final = """\
def once():
    return {call}

def loop(times, clock):
    start = clock()
    for _ in times:
        {call}
    return clock() - start
"""
_ASYNC_LOOP: Final = """\
async def once():
    return await {call}

async def loop(times, clock):
    start = clock()
    for _ in times:
        await {call}
    return clock() - start
"""


@dataclass(frozen=True)
class Effort:
    """How much is done: all of it, or a quick look."""

    quick: bool

    def pick(self, full: int, quick: int) -> int:
        """Give the number for this effort."""
        return quick if self.quick else full


@dataclass
class Subject:
    """Something to be called, as a user would write it: ``call`` is source text over ``names``."""

    name: str
    call: str
    names: Mapping[str, object]
    coroutine: bool = False
    close: Callable[[], None] = lambda: None
    once: Callable[[], Any] = field(init=False, repr=False)
    loop: Callable[[Iterator[None], Callable[[], int]], Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        space: dict[str, Any] = dict(self.names)
        template = _ASYNC_LOOP if self.coroutine else _LOOP
        exec(template.format(call=self.call), space)  # noqa: S102 - our own text, as timeit does
        self.once = space["once"]
        self.loop = space["loop"]

    def nanoseconds(self, times: int, *, event_loop: AbstractEventLoop | None = None) -> float:
        """Give the mean time of one of ``times`` calls in a row."""
        if self.coroutine and event_loop is None:
            raise TypeError("a coroutine needs an event loop")
        taken = self.loop(repeat(None, times), time.perf_counter_ns)
        if event_loop is not None:
            taken = event_loop.run_until_complete(taken)
        return float(taken) / times


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that ``share`` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median_ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Give the median, over the rounds, of value / base of the same round."""
    return statistics.median(one / other for one, other in zip(values, base, strict=True))


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect garbage now, and not while the clock runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def settled() -> Iterator[None]:
    """Take what exists now out of collections: with all peers imported, each takes 0.1 s."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def calls_per_round(
    subject: Subject, *, seconds: float, event_loop: AbstractEventLoop | None = None
) -> int:
    """Give how many calls take about ``seconds``; warms the subject up on the way."""
    subject.nanoseconds(1, event_loop=event_loop)  # the first call imports, and may fetch
    times = 16
    while True:
        # The best of three: one pause of a busy machine would make every round too short.
        best = min(subject.nanoseconds(times, event_loop=event_loop) for _ in range(3))
        if best * times / _NANO >= seconds / 8:
            return max(1, round(seconds * _NANO / best))
        times *= 4


def interleaved(
    subjects: Sequence[Subject],
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
    event_loop: AbstractEventLoop | None = None,
) -> dict[str, list[float]]:
    """Give nanoseconds per call of each subject in each round, about ``seconds`` long."""
    times = {
        subject.name: calls_per_round(subject, seconds=seconds, event_loop=event_loop)
        for subject in subjects
    }
    found: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    with settled():
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for subject in turn(subjects, number):
                with no_collection():
                    taken = subject.nanoseconds(times[subject.name], event_loop=event_loop)
                found[subject.name].append(taken)
    return found


def turn(subjects: Sequence[_T], number: int) -> Sequence[_T]:
    """Start each round with another subject, so that none is always the one after the slowest."""
    first = number % len(subjects) if subjects else 0
    return [*subjects[first:], *subjects[:first]]


@contextmanager
def small_stacks() -> Iterator[None]:
    """Give threads a stack that lets a thousand of them exist."""
    before = threading.stack_size(_STACK)
    try:
        yield
    finally:
        threading.stack_size(before)


def in_threads(count: int, work: Callable[[], None]) -> float:
    """Run ``work`` in ``count`` threads that start together; give the seconds until all ended."""
    start = threading.Barrier(count + 1)

    def run() -> None:
        start.wait()
        work()

    with small_stacks():
        threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def threaded_nanoseconds(subject: Subject, *, threads: int, times: int) -> float:
    """Give wall-clock time per call while ``threads`` threads make ``times`` calls each."""

    def work() -> None:
        subject.loop(repeat(None, times), time.perf_counter_ns)

    with no_collection():
        return in_threads(threads, work) * _NANO / (threads * times)
