"""A forked child gets a working broker, whatever other threads did at that moment."""

from __future__ import annotations

import os
import threading
from datetime import timedelta

import pytest

from broker.world import World, until
from secretkit.broker.clock import SystemClock
from secretkit.core.freshness import LeasePolicy

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    # Python 3.12 warns that forking a threaded process may deadlock: that is what is tested here.
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


def in_child(act) -> int:
    """Run ``act`` in a forked child; give its exit code: 0 if it returned True, 99 if it hung."""
    pid = os.fork()
    if pid == 0:
        code = 1
        done = []
        thread = threading.Thread(target=lambda: done.append(act()), daemon=True)
        thread.start()
        thread.join(10)
        code = 99 if not done else int(done[0] is not True)
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def real():
    """A world on the machine's clock, with short leases."""
    made = World(
        system_clock=SystemClock(),
        policy=LeasePolicy(ttl=timedelta(seconds=30), fetch_timeout=timedelta(seconds=5)),
    )
    yield made
    made.source.gate.set()
    made.broker.close()


def test_a_child_forked_during_a_refresh_does_not_hang(real):
    real.broker.lease("claude")
    real.source.gate.clear()
    refreshing = threading.Thread(target=lambda: real.broker.refresh("claude", seen=1))
    refreshing.start()
    until(lambda: real.source.calls == 2, what="the refresh is under way")

    def child():
        real.source.gate = threading.Event()
        real.source.gate.set()
        real.source.value = "key-child"
        return real.broker.refresh("claude", seen=1).credential.secret.reveal() == "key-child"

    assert in_child(child) == 0
    real.source.gate.set()
    refreshing.join(10)
    assert real.value() == "key-1"


def test_a_child_forked_while_many_threads_read_and_refresh_does_not_hang(real):
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            real.broker.lease("claude")
            real.broker.refresh("claude")

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        codes = [in_child(lambda: real.value() == "key-1") for _ in range(20)]
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert codes == [0] * 20


def test_a_child_serves_what_its_parent_leased_without_asking_again(real):
    parent = real.broker.lease("claude")
    assert in_child(lambda: real.broker.lease("claude") is parent and real.source.calls == 1) == 0


def test_a_child_has_a_name_of_its_own_and_ends_only_its_own_leases(real):
    real.source.handle = "lease/parent"
    parent = real.broker.lease("claude")
    names = iter(["child"])
    real.broker.engine._refresher.fetching._name_holder = lambda: next(names)

    def child():
        real.source.handle = "lease/child"
        mine = real.broker.refresh("claude")
        other = mine.holder == "child" and mine.id != parent.id
        real.broker.close()
        return other and real.source.revoked == ["lease/child"]

    assert in_child(child) == 0
    assert real.broker.lease("claude") is parent
    assert real.source.revoked == []


def test_closing_in_a_child_does_not_end_the_parents_lease(real):
    real.source.handle = "lease/parent"
    real.broker.lease("claude")

    def child():
        real.broker.close()
        return real.source.revoked == []

    assert in_child(child) == 0
    assert real.value() == "key-1"
