from __future__ import annotations

import threading
import time
from datetime import UTC, timedelta

import pytest

from secretkit.broker.clock import SystemClock


def test_the_wall_clock_is_aware_and_in_utc():
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert now.utcoffset() == timedelta()
    assert now.timestamp() == pytest.approx(time.clock_gettime(time.CLOCK_REALTIME), abs=5)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no BOOTTIME")
def test_the_monotonic_clock_counts_a_suspended_machine():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    read = SystemClock().monotonic()
    assert before <= read <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_the_monotonic_clock_never_goes_back():
    monotonic = SystemClock().monotonic
    readings = [monotonic() for _ in range(1_000)]
    assert readings == sorted(readings)


def test_waiting_ends_at_once_when_it_happened_and_says_so():
    happened = threading.Event()
    happened.set()
    assert SystemClock().wait(happened, 60.0) is True
    assert SystemClock().wait(happened) is True


def test_waiting_ends_after_the_timeout_and_says_that_nothing_happened():
    clock = SystemClock()
    before = clock.monotonic()
    assert clock.wait(threading.Event(), 0.02) is False
    assert clock.monotonic() - before >= 0.019
    assert clock.wait(threading.Event(), 0.0) is False


def test_waiting_ends_when_another_thread_lets_it_happen():
    event = threading.Event()
    thread = threading.Thread(target=event.set)
    thread.start()
    assert SystemClock().wait(event, 30.0) is True
    thread.join()


def test_waiting_until_a_moment_in_the_past_does_not_wait():
    clock = SystemClock()
    assert clock.wait_until(threading.Event(), clock.monotonic() - 5) is False
    happened = threading.Event()
    happened.set()
    assert clock.wait_until(happened, clock.monotonic() - 5) is True


def test_waiting_until_a_moment_ends_at_it():
    clock = SystemClock()
    moment = clock.monotonic() + 0.02
    assert clock.wait_until(threading.Event(), moment) is False
    assert clock.monotonic() >= moment - 0.001


def test_a_clock_has_no_state_of_its_own():
    with pytest.raises(AttributeError):
        SystemClock().other = 1
