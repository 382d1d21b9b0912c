from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from secretkit.testing.clock import FakeClock


class Waiter:
    """A thread in ``wait``, and what it came back with."""

    def __init__(self, clock: FakeClock, timeout: float | None) -> None:
        self.event = threading.Event()
        self.answers: list[bool] = []
        self._clock = clock
        self._thread = threading.Thread(target=self._run, args=(timeout,))
        there = clock.waiting + 1
        self._thread.start()
        while timeout is not None and self._thread.is_alive() and clock.waiting < there:
            self._thread.join(0.001)

    def _run(self, timeout: float | None) -> None:
        self.answers.append(self._clock.wait(self.event, timeout))

    def answer(self) -> bool:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.answers[0]

    @property
    def asleep(self) -> bool:
        self._thread.join(0.02)
        return self._thread.is_alive()


def test_time_stands_still():
    clock = FakeClock()
    assert clock.now() == clock.now() == datetime(2030, 1, 1, tzinfo=UTC)
    assert clock.monotonic() == clock.monotonic()


def test_it_starts_where_it_is_told_to():
    start = datetime(2031, 5, 1, tzinfo=UTC)
    assert FakeClock(start).now() == start


def test_advance_moves_both_clocks():
    clock = FakeClock()
    wall, ticks = clock.now(), clock.monotonic()
    clock.advance(timedelta(minutes=9, milliseconds=500))
    assert clock.now() - wall == timedelta(minutes=9, milliseconds=500)
    assert clock.monotonic() - ticks == 540.5


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=1)])
def test_a_jump_moves_the_wall_clock_alone_both_ways(step):
    clock = FakeClock()
    wall, ticks = clock.now(), clock.monotonic()
    clock.jump_wall(step)
    assert clock.now() - wall == step
    assert clock.monotonic() == ticks


def test_time_does_not_go_back():
    clock = FakeClock()
    with pytest.raises(ValueError, match="jump_wall"):
        clock.advance(timedelta(microseconds=-1))
    clock.advance(timedelta())


def test_a_waiting_thread_wakes_when_its_time_has_come_and_not_before():
    clock = FakeClock()
    waiter = Waiter(clock, 10.0)
    assert clock.waiting == 1
    clock.advance(timedelta(seconds=9.999))
    assert waiter.asleep
    clock.advance(timedelta(seconds=0.001))
    assert waiter.answer() is False
    assert clock.waiting == 0


def test_a_waiting_thread_wakes_when_the_event_happens():
    clock = FakeClock()
    waiter = Waiter(clock, 10.0)
    waiter.event.set()
    assert waiter.answer() is True
    assert clock.waiting == 0


def test_only_the_threads_whose_time_has_come_wake():
    clock = FakeClock()
    waiters = [Waiter(clock, seconds) for seconds in (1.0, 2.0, 3.0)]
    clock.advance(timedelta(seconds=2))
    assert [waiter.answer() for waiter in waiters[:2]] == [False, False]
    assert waiters[2].asleep
    assert clock.waiting == 1
    clock.advance(timedelta(days=1))
    assert waiters[2].answer() is False


def test_a_jump_of_the_wall_clock_wakes_no_one():
    clock = FakeClock()
    waiter = Waiter(clock, 1.0)
    clock.jump_wall(timedelta(days=1))
    assert waiter.asleep
    clock.advance(timedelta(seconds=1))
    assert waiter.answer() is False


def test_an_event_that_happened_is_not_waited_for():
    clock = FakeClock()
    happened = threading.Event()
    happened.set()
    assert clock.wait(happened, 10.0) is True
    assert clock.wait(happened, 0.0) is True
    assert clock.wait(happened) is True
    assert clock.waiting == 0


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_no_time_left_is_not_waited_for(timeout):
    clock = FakeClock()
    assert clock.wait(threading.Event(), timeout) is False
    assert clock.waiting == 0


def test_without_a_timeout_only_the_event_ends_the_wait():
    clock = FakeClock()
    waiter = Waiter(clock, None)
    clock.advance(timedelta(days=400))
    assert waiter.asleep
    waiter.event.set()
    assert waiter.answer() is True


def test_waiting_until_a_moment_ends_when_the_clock_reads_it():
    clock = FakeClock()
    assert clock.wait_until(threading.Event(), clock.monotonic()) is False
    event, answers = threading.Event(), []
    moment = clock.monotonic() + 5
    thread = threading.Thread(target=lambda: answers.append(clock.wait_until(event, moment)))
    thread.start()
    while not clock.waiting:
        thread.join(0.001)
    clock.advance(timedelta(seconds=5))
    thread.join(10)
    assert answers == [False]


def test_many_threads_may_move_and_read_it_at_once():
    clock = FakeClock()
    ticks = clock.monotonic()
    threads = [
        threading.Thread(target=lambda: [clock.advance(timedelta(seconds=1)) for _ in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic() - ticks == 800
    assert clock.now() == datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=800)
