from __future__ import annotations

import re
import signal
import threading
import time

import pytest

from secretkit.scan.deadline import DeadlineError, deadline, deadlines


def test_work_that_is_quick_is_left_alone():
    with deadline(size=0):
        result = 1 + 1
    assert result == 2


@pytest.fixture
def alarm():
    theirs = signal.setitimer(signal.ITIMER_PROF, 0)
    yield
    signal.setitimer(signal.ITIMER_PROF, *theirs)


def test_no_timer_is_left_running(alarm):
    with deadline(size=0):
        pass
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_a_timer_of_others_runs_on(alarm):
    signal.setitimer(signal.ITIMER_PROF, 50, 7)
    with deadline(size=0):
        threading.Event().wait(0.1)
    left, interval = signal.setitimer(signal.ITIMER_PROF, 0)
    assert 40 < left < 51  # the kernel rounds up to its tick
    assert interval == 7


def test_an_expression_that_runs_away_is_ended():
    evil = re.compile(rb"(?:a|a)*b")
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="too long"), deadline(size=0):
        evil.search(b"a" * 40)
    assert time.monotonic() - started < 10


def test_the_handler_of_others_is_put_back():
    before = signal.getsignal(signal.SIGPROF)
    with deadline(size=10):
        assert signal.getsignal(signal.SIGPROF) is not before
    assert signal.getsignal(signal.SIGPROF) is before


def test_a_larger_piece_has_more_time():
    with deadline(size=8 << 20):
        left, _ = signal.getitimer(signal.ITIMER_PROF)
    assert 6 < left < 6.5


def test_beside_the_main_thread_there_is_none(alarm):
    seen = []

    def work():
        with deadline(size=0):
            seen.append(signal.getitimer(signal.ITIMER_PROF))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(0, 0)]


def test_several_deadlines_share_a_handler_and_each_ends_its_work():
    before = signal.getsignal(signal.SIGPROF)
    evil = re.compile(rb"(?:a|a)*b")
    with deadlines():
        for _ in range(2):
            with pytest.raises(DeadlineError), deadline(size=0):
                evil.search(b"a" * 40)
            assert signal.getsignal(signal.SIGPROF) is not before
    assert signal.getsignal(signal.SIGPROF) is before


def test_a_timer_of_others_stands_still_while_several_deadlines_run(alarm):
    signal.setitimer(signal.ITIMER_PROF, 50, 7)
    with deadlines(), deadline(size=0):
        pass
    left, interval = signal.setitimer(signal.ITIMER_PROF, 0)
    assert 40 < left < 51
    assert interval == 7
