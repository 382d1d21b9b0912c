"""No program outlives the process that started it, and a fork ends nobody else's."""

import os
import subprocess
import threading
from contextlib import suppress

import pytest

from secretkit.providers.running import Running

ENV = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def running():
    made = Running()
    yield made
    made.end()


def closed(program: subprocess.Popen) -> int:
    """Wait for it, close its pipes, and give its exit code."""
    with program:
        return program.wait(20)


def test_what_still_runs_is_ended_with_its_group(running):
    program = running.start(["sh", "-c", "sleep 60 & echo; wait"], cwd="/", env=ENV)
    assert program.stdout.read(1) == b"\n"  # now there is a grandchild
    running.end()
    assert program.stdout.read() == b""  # it held this pipe
    assert closed(program) == -9


def test_what_has_ended_is_left_alone(running):
    program = running.start(["true"], cwd="/", env=ENV)
    assert closed(program) == 0
    running.ended(program)
    running.end()


def test_nothing_starts_once_it_is_over(running):
    running.end()
    with pytest.raises(OSError, match="ending"):
        running.start(["true"], cwd="/", env=ENV)


def test_a_program_that_cannot_start_holds_nobody_up(running):
    with pytest.raises(FileNotFoundError):
        running.start(["/no/such/program"], cwd="/", env=ENV)
    ending = threading.Thread(target=running.end)
    ending.start()
    ending.join(0.8)  # it would wait 1 s for a program that is being started
    assert not ending.is_alive()


def test_a_forked_child_does_not_end_its_parents_programs(running):
    program = running.start(["sleep", "60"], cwd="/", env=ENV)
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            running.end()
        os._exit(0)
    os.waitpid(child, 0)
    assert program.poll() is None
    running.end()
    assert closed(program) == -9
