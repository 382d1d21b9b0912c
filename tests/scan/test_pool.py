from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from secretkit.errors import ScanError
from secretkit.scan.pool import spread


def names(folder):
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_every_task_is_done_once(workers, count):
    results = list(spread(range(count), lambda task: {"square": task * task}, workers=workers))
    assert sorted(one["square"] for one in results) == [task * task for task in range(count)]


def test_more_tasks_than_the_queue_has_numbers_are_all_done():
    results = list(spread(range(20_001), lambda task: task, workers=2))
    assert sorted(results) == list(range(20_001))


def test_the_work_is_done_in_other_processes():
    assert os.getpid() not in set(spread(range(50), lambda _: os.getpid(), workers=2))


def test_a_large_result_comes_through_whole():
    text = "x" * 3_000_000
    assert list(spread([1, 2, 3], lambda task: f"{task}{text}", workers=2)).count(f"2{text}") == 1


def test_a_process_that_is_killed_fails_the_whole():
    def work(task):
        if task == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    with pytest.raises(ScanError, match="ended early") as caught:
        list(spread(range(40), work, workers=2))
    assert caught.value.hint


def test_an_error_in_a_process_fails_the_whole_and_shows_no_value():
    secret = "hunter" + "2!"

    def work(task):
        raise ValueError(secret)

    with pytest.raises(ScanError, match="ValueError") as caught:
        list(spread(range(40), work, workers=2))
    assert secret not in str(caught.value)


def children():
    """The processes that this one has started: other tests may have some too."""
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def test_no_process_and_no_descriptor_is_left():
    before, kin = names("/proc/self/fd"), children()
    results = spread(range(1000), lambda task: task, workers=3)
    next(results)
    assert len(children() - kin) == 3
    results.close()
    assert names("/proc/self/fd") == before
    assert children() <= kin
