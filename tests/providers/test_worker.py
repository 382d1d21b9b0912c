"""The worker: a job that hangs is abandoned, and its failure tells nothing."""

import os
import threading
from datetime import timedelta

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.providers.worker import Worker
from secretkit.testing.clock import FakeClock
from secretkit.testing.contract import assert_no_trace

VALUE = "canary-" + "w" * 30


def test_a_job_gives_what_it_returns() -> None:
    assert Worker[int](clock=SystemClock()).run(lambda: 7, seconds=20) == 7
    assert Worker[None](clock=SystemClock()).run(lambda: None, seconds=20) is None


def test_a_job_that_raises_tells_its_kind_only() -> None:
    def job() -> int:
        raise KeyError(VALUE)

    with pytest.raises(RuntimeError, match="raised KeyError") as caught:
        Worker[int](clock=SystemClock()).run(job, seconds=20)
    assert_no_trace(caught.value, VALUE)


def test_an_abandoned_job_makes_it_stuck_until_it_returns() -> None:
    clock = FakeClock()
    worker = Worker[int](clock=clock)
    gate = threading.Event()
    outcome: list[type[BaseException]] = []

    def ask() -> None:
        try:
            worker.run(lambda: (gate.wait(60) and 1) or 0, seconds=5)
        except TimeoutError as error:
            outcome.append(type(error))

    asking = threading.Thread(target=ask)
    asking.start()
    while not clock.waiting:
        threading.Event().wait(0.005)
    clock.advance(timedelta(seconds=5))
    asking.join(20)
    assert outcome == [TimeoutError]
    assert worker.stuck
    gate.set()
    for _ in range(400):
        if not worker.stuck:
            break
        threading.Event().wait(0.01)
    assert not worker.stuck


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_child_of_a_fork_is_not_stuck() -> None:
    worker = Worker[object](clock=SystemClock())
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        worker.run(lambda: gate.wait(60), seconds=0.05)
    assert worker.stuck
    pid = os.fork()
    if pid == 0:
        os._exit(1 if worker.stuck else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    gate.set()
