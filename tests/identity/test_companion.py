"""The programs beside us: how many, which outlive what, what a fork does. Linux's /proc tells."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.identity.companion import Companions
from secretkit.providers.deadline import Deadline
from secretkit.testing.workload import WorkloadStub

ID = "spiffe://example.org/broker"
LONG = 20.0
LATE = {"code": "DEADLINE_EXCEEDED"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def stub(tmp_path_factory):
    with WorkloadStub(tmp_path_factory.mktemp("w") / "a.sock") as made:
        made.register(ID)
        yield made


@pytest.fixture
def companions():
    made = Companions()
    made.before = running()  # those of other tests in this process
    yield made
    made.close()


def running(parent=None):
    """Give the numbers of the companions of a process that have not ended."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, owner = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            argv = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(owner) == (parent or os.getpid()) and state != "Z" and b"identity.agent" in argv:
            found.add(int(folder.name))
    return found


def ours(companions):
    return running() - companions.before


def asked(companions, stub, seconds=LONG):
    question = {"kind": "jwt", "socket": stub.url, "audience": "vault", "spiffe_id": ""}
    deadline = Deadline(timedelta(seconds=seconds), clock=SystemClock())
    return companions.ask(question, deadline=deadline)


def gone(number):
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        if not Path(f"/proc/{number}").exists():
            return True
        threading.Event().wait(0.02)
    return False


def test_one_program_answers_all_questions_one_after_the_other(companions, stub):
    assert len({asked(companions, stub)["token"] for _ in range(5)}) == 5
    assert len(ours(companions)) == 1


def test_nothing_of_a_question_or_an_answer_is_in_its_arguments_or_environment(companions, stub):
    token = asked(companions, stub)["token"]
    (number,) = ours(companions)
    for name in ("cmdline", "environ"):
        shown = Path(f"/proc/{number}/{name}").read_bytes()
        assert not [one for one in (token, stub.url, "vault\0") if one.encode() in shown]
    assert Path(f"/proc/{number}/environ").read_bytes().startswith(b"PYTHONPATH=")


def test_one_that_died_is_replaced_within_the_question(companions, stub):
    asked(companions, stub)
    (first,) = ours(companions)
    os.kill(first, signal.SIGKILL)
    assert "token" in asked(companions, stub)
    assert ours(companions).isdisjoint({first})


def test_one_that_overruns_the_deadline_is_killed_and_the_next_question_is_answered(
    companions, stub
):
    asked(companions, stub)
    (first,) = ours(companions)
    os.kill(first, signal.SIGSTOP)
    start = time.monotonic()
    assert asked(companions, stub, 0.3) == LATE
    assert time.monotonic() - start < 2
    assert gone(first)
    assert "token" in asked(companions, stub)


def test_an_agent_that_hangs_costs_the_deadline_and_the_program_lives_on(companions, stub):
    asked(companions, stub)
    before = ours(companions)
    with stub.stalled():
        assert asked(companions, stub, 1) == LATE
    assert "token" in asked(companions, stub)
    assert ours(companions) == before


def test_a_start_that_outlasts_a_deadline_goes_on_for_the_next_question(companions, stub):
    assert asked(companions, stub, 0.001) == LATE
    before = ours(companions)
    assert len(before) == 1
    assert "token" in asked(companions, stub)
    assert ours(companions) == before


def test_twenty_threads_at_an_agent_that_hangs_start_four_programs_at_most(companions, stub):
    found = []
    with stub.stalled():
        threads = [
            threading.Thread(target=lambda: found.append(asked(companions, stub, 2)))
            for _ in range(20)
        ]
        for one in threads:
            one.start()
        most = 0
        while any(one.is_alive() for one in threads):
            most = max(most, len(ours(companions)))
            threads[-1].join(0.05)
    assert found == [LATE] * 20
    assert 1 <= most <= 4
    assert "token" in asked(companions, stub)


def test_close_ends_what_is_idle_and_the_next_question_starts_it_again(companions, stub):
    asked(companions, stub)
    (first,) = ours(companions)
    companions.close()
    assert gone(first)
    companions.close()
    assert "token" in asked(companions, stub)


SCRIPT = """
import os, sys, threading
from datetime import timedelta
from secretkit.broker.clock import SystemClock
from secretkit.identity.companion import Companions
from secretkit.providers.deadline import Deadline

companions = Companions()

def ask():
    question = {"kind": "jwt", "socket": sys.argv[1], "audience": "vault", "spiffe_id": ""}
    deadline = Deadline(timedelta(seconds=20), clock=SystemClock())
    found = companions.ask(question, deadline=deadline)
    assert "token" in found, found

def say(text):
    print(text, flush=True)

"""
ORPHAN = """
ask()
if os.fork() == 0:
    say(os.getpid())
    sys.stdin.read()  # the child lives on, and does not ask
    os._exit(0)
sys.stdin.read()
"""
STORM = """
over = threading.Event()
wrong = []

def asking():
    while not over.is_set():
        try:
            ask()
        except AssertionError as error:
            wrong.append(error)

threads = [threading.Thread(target=asking) for _ in range(4)]
for one in threads:
    one.start()
children = []
for _ in range(6):
    child = os.fork()
    if child == 0:
        try:
            ask()
            ask()
        except BaseException:
            os._exit(1)
        companions.close()
        os._exit(0)
    children.append(os.waitpid(child, 0)[1])
ask()
over.set()
for one in threads:
    one.join()
say([children, wrong])
"""


def started(script, stub):
    argv = [sys.executable, "-W", "error", "-c", SCRIPT + script, stub.url]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", ["end", "kill"])
def test_it_ends_with_its_process_though_a_forked_child_lives_on(stub, how):
    with started(ORPHAN, stub) as program:
        child = int(program.stdout.readline())
        (number,) = running(program.pid)
        assert running(child) == set()
        program.kill() if how == "kill" else program.terminate()
        program.wait(LONG)
        assert gone(number)
        assert Path(f"/proc/{child}").exists()
        program.stdin.close()  # the child ends, too
        assert gone(child)


def test_forks_in_the_midst_of_questions_harm_neither_side(stub):
    with started(STORM, stub) as program:
        try:
            said, _ = program.communicate(timeout=60)
        finally:
            program.kill()
    assert (program.returncode, said) == (0, f"{[[0] * 6, []]}\n")
