"""Daemon threads for calls: bounded, replaced when one hangs, gone when idle."""

from __future__ import annotations

import threading

from broker.world import until
from secretkit.broker.worker import Workers


def fetch_threads() -> int:
    return sum(thread.name == "secretkit-fetch" for thread in threading.enumerate())


def test_no_more_than_so_many_run_at_once_and_all_get_done():
    workers = Workers(at_once=3)
    running, most, done = [], [], threading.Semaphore(0)
    lock = threading.Lock()

    def job(number):
        def work():
            with lock:
                running.append(number)
                most.append(len(running))
            threading.Event().wait(0.002)
            with lock:
                running.remove(number)
            done.release()

        return work

    for number in range(30):
        workers.submit(job(number))
    for _ in range(30):
        assert done.acquire(timeout=5)
    assert max(most) <= 3


def test_threads_end_when_there_is_nothing_to_do():
    before = fetch_threads()
    workers = Workers()
    done = threading.Event()
    workers.submit(done.set)
    assert done.wait(5)
    until(lambda: fetch_threads() == before, what="the thread ended")


def test_a_hung_job_is_replaced_and_one_that_comes_back_changes_nothing():
    workers = Workers(at_once=1)
    gate, done = threading.Event(), threading.Event()
    hung = gate.wait
    workers.submit(hung)
    workers.submit(done.set)
    until(lambda: hung in workers._running, what="it runs")
    assert not done.is_set()
    assert workers.abandon(hung) is True
    assert done.wait(5)
    gate.set()
    again = threading.Event()
    workers.submit(again.set)
    assert again.wait(5)
    until(lambda: workers._threads == 0, what="every thread is accounted for")


def test_a_job_that_raises_costs_no_thread():
    workers = Workers(at_once=1)

    def bad():
        raise ValueError

    for _ in range(3):
        workers.submit(bad)
    done = threading.Event()
    workers.submit(done.set)
    assert done.wait(5)
    until(lambda: workers._threads == 0, what="every thread is accounted for")


def test_a_job_that_never_started_is_forgotten_when_abandoned():
    workers = Workers(at_once=1)
    gate, ran = threading.Event(), threading.Event()
    workers.submit(gate.wait)
    late = ran.set
    workers.submit(late)
    assert workers.abandon(late) is False
    gate.set()
    last = threading.Event()
    workers.submit(last.set)
    assert last.wait(5)
    assert not ran.is_set()
