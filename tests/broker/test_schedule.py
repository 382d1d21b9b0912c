"""Timers on one thread."""

from __future__ import annotations

import gc
import threading
from datetime import timedelta

from broker.world import until
from secretkit.broker.clock import SystemClock
from secretkit.broker.schedule import Schedule
from secretkit.testing.clock import FakeClock

SECOND = timedelta(seconds=1)


class Bell:
    def __init__(self) -> None:
        self.rung: list[object] = []

    def ring(self, *args: object) -> None:
        self.rung.extend(args)


def test_callbacks_run_in_the_order_of_their_moments():
    clock, bell = FakeClock(), Bell()
    schedule = Schedule(clock)
    now = clock.monotonic()
    for seconds in (3, 1, 2):
        schedule.at(now + seconds, bell.ring, seconds)
    clock.advance(2 * SECOND)
    until(lambda: bell.rung == [1, 2], what="two are due")
    clock.advance(SECOND)
    until(lambda: bell.rung == [1, 2, 3], what="all")
    schedule.close()


def test_a_nearer_moment_added_later_comes_first_on_the_real_clock():
    clock, bell = SystemClock(), Bell()
    schedule = Schedule(clock)
    schedule.at(clock.monotonic() + 60, bell.ring, "late")
    schedule.at(clock.monotonic() + 0.01, bell.ring, "soon")
    until(lambda: bell.rung == ["soon"], what="the nearer one")
    schedule.close()


def test_what_is_scheduled_does_not_keep_its_owner_alive():
    clock, bell = FakeClock(), Bell()
    schedule = Schedule(clock)
    rung = bell.rung
    schedule.at(clock.monotonic() + 1, bell.ring, "x")
    del bell
    gc.collect()
    clock.advance(2 * SECOND)
    other = Bell()
    schedule.at(clock.monotonic(), other.ring, "y")
    until(lambda: other.rung == ["y"], what="the schedule still runs")
    assert rung == []
    schedule.close()


def test_closing_ends_the_thread_and_drops_what_was_due():
    clock, bell = SystemClock(), Bell()
    schedule = Schedule(clock)
    schedule.at(clock.monotonic() + 60, bell.ring, "never")
    thread = schedule._thread
    assert isinstance(thread, threading.Thread)
    schedule.close()
    thread.join(5)
    assert not thread.is_alive()
    schedule.at(clock.monotonic(), bell.ring, "after")
    assert bell.rung == []
