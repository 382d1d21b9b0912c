"""Kept credentials: one asks, the others wait no longer than they may."""

from __future__ import annotations

import os
import threading
from datetime import timedelta

import pytest

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import ProviderTimeoutError
from secretkit.providers.aws.origin import Kept
from secretkit.testing import FakeClock

TIMEOUT = timedelta(seconds=10)


class Slow:
    """Gives credentials of one hour once it is let."""

    method = "slow"

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.asked = threading.Semaphore(0)
        self.let = threading.Event()
        self.count = 0

    def credentials(self, *, timeout: timedelta) -> AwsCredentials:
        self.count += 1
        self.asked.release()
        assert self.let.wait(10)
        end = self._clock.now() + timedelta(hours=1)
        return AwsCredentials(f"AKID{self.count}", Secret("k" * 20), None, end)


def test_twenty_threads_ask_once() -> None:
    clock = FakeClock()
    slow = Slow(clock)
    kept = Kept(slow, ref="r", clock=clock)
    found: list[AwsCredentials] = []
    threads = [
        threading.Thread(target=lambda: found.append(kept.credentials(timeout=TIMEOUT)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    slow.asked.acquire()
    slow.let.set()
    for thread in threads:
        thread.join(10)
    assert len(found) == 20
    assert slow.count == 1


# Python 3.12 warns that forking a threaded process may deadlock: that is what is tested here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_who_waits_ends_at_its_own_deadline_and_a_fork_asks_for_itself() -> None:
    clock = FakeClock()
    slow = Slow(clock)
    kept = Kept(slow, ref="aws:x", clock=clock)
    asking = threading.Thread(target=lambda: kept.credentials(timeout=TIMEOUT), daemon=True)
    asking.start()
    slow.asked.acquire()
    with pytest.raises(ProviderTimeoutError) as caught:
        kept.credentials(timeout=timedelta(milliseconds=50))
    assert caught.value.ref == "aws:x"
    child = os.fork()
    if not child:
        slow.let = threading.Event()
        slow.let.set()
        code = 1
        try:
            code = 0 if kept.credentials(timeout=TIMEOUT).access_key_id == "AKID2" else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    slow.let.set()
    asking.join(10)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_wall_clock_that_jumps_ahead_ends_what_is_kept() -> None:
    clock = FakeClock()
    slow = Slow(clock)
    slow.let.set()
    kept = Kept(slow, ref="r", clock=clock)
    kept.credentials(timeout=TIMEOUT)
    clock.jump_wall(timedelta(hours=2))
    kept.credentials(timeout=TIMEOUT)
    assert slow.count == 2
    clock.jump_wall(timedelta(hours=-3))
    clock.advance(timedelta(minutes=37))
    kept.credentials(timeout=TIMEOUT)
    assert slow.count == 3
