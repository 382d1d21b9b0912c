"""Flights under bad circumstances: what a hostile reviewer of the broker found, and more."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta

import pytest

from broker.world import MINUTE, POLICY, SECOND, Source, World, pass_time_until, until
from secretkit.broker.blocking import Broker
from secretkit.broker.state import BrokerContext
from secretkit.core.freshness import LeasePolicy
from secretkit.errors import (
    AccessDeniedError,
    LeaseExpiredError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretNotFoundError,
)
from secretkit.ledger import open as open_ledger
from secretkit.testing.clock import FakeClock


def background(act):
    """Run ``act`` in a thread; give the thread and the list its outcome will be in."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(act())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def ended(thread: threading.Thread) -> bool:
    thread.join(10)
    return not thread.is_alive()


# -- waiters always wake ---------------------------------------------------------------------------


def test_an_error_that_breaks_our_own_bookkeeping_still_wakes_the_waiter(world):
    error = ProviderError("busy")
    error.retry_after = 5  # seconds, where a timedelta belongs: a third party's mistake
    world.source.fail = error
    thread, outcome = background(lambda: world.broker.lease("claude"))
    assert ended(thread)
    assert isinstance(outcome[0], ProviderError | LeaseExpiredError | ProviderTimeoutError)


def test_a_401_that_waits_its_turn_wakes_too_when_our_bookkeeping_breaks(world):
    world.broker.lease("claude")
    world.source.gate.clear()
    world.clock.advance(7 * MINUTE)
    until(lambda: world.source.calls == 2, what="the renewal is under way")
    thread, outcome = background(lambda: world.broker.refresh("claude", seen=1))
    state = world.broker.engine._memory.states["claude"]
    until(lambda: state.follow, what="it waits its turn")
    error = ProviderError("busy")
    error.retry_after = 5  # seconds, where a timedelta belongs
    world.source.fail = error
    world.source.gate.set()
    assert ended(thread)
    assert outcome[0].generation == 1  # what is still valid


def test_a_store_that_does_not_take_a_lease_back_holds_up_nobody(world):
    gate = threading.Event()
    world.source.handle = "lease/1"
    world.source.revoke = lambda handle, timeout: gate.wait()
    world.broker.lease("claude")
    world.source.fail = AccessDeniedError("no")
    thread, outcome = background(lambda: world.broker.refresh("claude", seen=1))
    assert ended(thread)
    assert isinstance(outcome[0], AccessDeniedError)
    gate.set()


def test_a_callback_that_needs_the_callers_lock_does_not_deadlock(world):
    lock = threading.Lock()
    told = []

    def callback(change):
        with lock:
            told.append(change.generation)

    world.broker.on_change("claude", callback)

    def caller():
        with lock:
            return world.broker.lease("claude")

    thread, _ = background(caller)
    assert ended(thread)
    until(lambda: told == [1], what="told afterwards")


def test_a_process_limit_that_passes_does_not_stop_the_broker():
    """Threads cannot be started for a while: errors, and then all is as before."""
    script = textwrap.dedent(
        """
        import resource, sys, threading
        sys.path.insert(0, "tests")
        from broker.world import World, POLICY
        from secretkit.broker.clock import SystemClock
        from secretkit.errors import ProviderUnavailableError

        world = World(system_clock=SystemClock())
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), resource.RLIM_INFINITY))
        refused = 0
        for _ in range(100):
            try:
                world.broker.lease("claude")
            except ProviderUnavailableError:
                refused += 1
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        print(refused, world.value())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "100 key-1\n", done.stderr


# -- late calls, revocation ------------------------------------------------------------------------


def test_a_call_that_comes_back_late_leaves_the_lease_that_is_served_alone(world):
    lease = world.broker.lease("claude")
    world.source.gate.clear()
    world.clock.advance(7 * MINUTE)
    until(lambda: world.source.calls == 2, what="the renewal hangs")
    until(lambda: world.clock.waiting, what="the schedule waits for the deadline")
    world.clock.advance(11 * SECOND)
    until(lambda: world.broker.status()[0].failures == 1, what="written off")
    world.source.gate.set()
    state = world.broker.engine._memory.states["claude"]
    until(lambda: state.hung == 0, what="it came back")
    assert world.broker.peek("claude").id == lease.id
    assert world.ledger.lease(lease.id).ended_at is None
    world.ledger.revoke(lease.id, at=world.clock.now(), holder="operator")
    pass_time_until(
        world.clock,
        lambda: state.held is None or state.held.lease.id != lease.id,
        what="revoked after all",
    )


class RacingLedger:
    """A real ledger that lets something happen between writing a lease down and answering."""

    def __init__(self) -> None:
        self.inner = open_ledger("sqlite://")
        self.after_issue = lambda: None

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def issue(self, grant):
        generation = self.inner.issue(grant)
        self.after_issue()
        return generation


def test_a_lease_revoked_while_it_is_renewed_does_not_come_back():
    world = World(ledger=RacingLedger())
    lease = world.broker.lease("claude")
    refresher = world.broker.engine._refresher

    def revoke_now():
        world.ledger.after_issue = lambda: None
        world.ledger.revoke(lease.id, at=world.clock.now(), holder="operator")
        refresher._looked(frozenset({lease.id}))

    world.ledger.after_issue = revoke_now
    with pytest.raises(LeaseExpiredError, match="revoked"):
        world.broker.refresh("claude")
    assert world.broker.lease("claude").id != lease.id
    world.broker.close()


def two_credentials(**more):
    a, b = Source("key-a"), Source("key-b")
    b.ref = "memory:b"
    clock, ledger = FakeClock(), open_ledger("sqlite://")
    context = BrokerContext(
        clock=clock,
        ledger=ledger,
        rng=lambda: 0.5,
        holder=lambda: "me",
        release=ledger.close,
        watch=lambda _: None,
    )
    return a, b, clock, ledger, Broker({"a": a, "b": b}, context=context, policy=POLICY, **more)


def test_one_store_that_hangs_on_revoking_does_not_hide_other_revocations():
    a, _, clock, ledger, broker = two_credentials()
    gate = threading.Event()
    a.handle = "lease/a"
    a.revoke = lambda handle, timeout: gate.wait()
    first, second = broker.lease("a"), broker.lease("b")
    for lease in (first, second):
        ledger.revoke(lease.id, at=clock.now(), holder="operator")
        pass_time_until(clock, lambda lease=lease: broker.peek(lease.name) is None, what="dropped")
    gate.set()
    broker.close()


def test_one_hung_source_takes_no_other_one_down():
    a, b, clock, _, broker = two_credentials()
    a.gate.clear()
    for _ in range(10):
        thread, outcome = background(lambda: broker.lease("a"))
        until(lambda heard=outcome: clock.waiting or heard, what="it waits, or was refused")
        clock.advance(11 * SECOND)
        assert ended(thread)
        assert isinstance(outcome[0], ProviderTimeoutError | ProviderUnavailableError)
        clock.advance(2 * MINUTE)
    assert a.calls == 2, "more than two calls of one source hang"
    assert broker.get("b").reveal() == "key-b"
    assert b.calls == 1
    a.gate.set()
    until(lambda: broker.engine._memory.states["a"].hung == 0, what="they came back")
    clock.advance(2 * MINUTE)
    assert broker.get("a").reveal() == "key-a"
    broker.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_drops_what_was_revoked_in_its_parent(world):
    lease = world.broker.lease("claude")
    pid = os.fork()
    if pid == 0:
        until(lambda: world.clock.waiting, what="the child's own schedule waits")
        world.ledger.revoke(lease.id, at=world.clock.now(), holder="operator")
        pass_time_until(world.clock, lambda: world.broker.peek("claude") is None, what="dropped")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert world.broker.peek("claude") is lease


# -- refused secrets -------------------------------------------------------------------------------


def test_a_service_that_refuses_every_new_token_does_not_use_up_the_budget(world):
    generation = world.broker.lease("claude").generation
    for number in range(200):
        world.source.value = f"token-{number}"
        generation = world.broker.refresh("claude", seen=generation).generation
    assert world.source.calls <= 4


def test_a_401_that_meets_a_renewal_under_way_gets_what_the_store_has_now(world):
    world.broker.lease("claude")
    entered, gate = threading.Event(), threading.Event()
    acquire = world.source.acquire

    def slow(*, timeout, refused):
        found = acquire(timeout=timeout, refused=refused)  # reads the old key
        entered.set()
        gate.wait()
        return found

    world.source.acquire = slow
    world.clock.advance(7 * MINUTE)
    assert entered.wait(10)
    world.source.value = "key-2"
    world.source.acquire = acquire
    thread, outcome = background(lambda: world.broker.refresh("claude", seen=1))
    until(lambda: world.broker.engine._memory.states["claude"].follow, what="it waits its turn")
    gate.set()
    assert ended(thread)
    assert outcome[0].credential.secret.reveal() == "key-2"


def test_a_repaired_store_is_noticed_within_seconds_however_long_it_was_broken(world):
    world.broker.lease("claude")
    for _ in range(100):
        world.broker.refresh("claude", seen=1)
        world.clock.advance(SECOND)
    world.source.value = "key-2"
    for _ in range(20):
        until(lambda: world.clock.waiting, what="the schedule waits")
        world.clock.advance(SECOND)
    until(lambda: world.broker.lease("claude").generation == 2, what="noticed without a 401")


def test_a_late_401_does_not_condemn_a_newer_secret_whose_lease_has_lapsed(world):
    world.source.others = ["key-b"]
    world.broker.lease("claude")
    world.source.value = "key-2"
    world.broker.refresh("claude", seen=1)
    world.clock.advance(11 * MINUTE)
    assert world.broker.refresh("claude", seen=1).credential.secret.reveal() == "key-2"


def test_a_denial_by_another_member_of_the_pool_drops_nothing(world):
    world.broker.lease("claude")
    world.source.fail = SecretNotFoundError("gone", ref="memory:other")
    world.clock.advance(7 * MINUTE)
    until(lambda: world.broker.status()[0].failures, what="a renewal failed")
    assert world.value() == "key-1"


# -- stores that lease -----------------------------------------------------------------------------


def test_what_was_replaced_is_given_back_after_a_grace(world):
    world.source.handle = "lease/1"
    world.broker.lease("claude")
    world.source.value, world.source.handle = "key-2", "lease/2"
    world.broker.refresh("claude", seen=1)
    assert world.source.revoked == []
    until(lambda: world.clock.waiting, what="the schedule waits")
    world.clock.advance(MINUTE + SECOND)
    until(lambda: world.source.revoked == ["lease/1"], what="given back")
    world.broker.close()
    assert world.source.revoked == ["lease/1", "lease/2"]


def test_what_was_replaced_is_given_back_at_the_latest_on_closing(world):
    world.source.handle = "lease/1"
    world.broker.lease("claude")
    world.source.value, world.source.handle = "key-2", "lease/2"
    world.broker.refresh("claude", seen=1)
    world.broker.close()
    assert sorted(world.source.revoked) == ["lease/1", "lease/2"]


def test_a_renewed_lease_that_could_not_be_written_down_is_still_served_and_not_given_back(world):
    world.source.handle = "lease/1"
    world.broker.lease("claude")
    world.source.expires_at = world.clock.now() - SECOND
    world.broker.refresh("claude", seen=1)
    assert world.broker.status()[0].failures == 1
    assert world.value() == "key-1"
    assert world.source.revoked == []
    world.broker.close()
    assert world.source.revoked == ["lease/1"]


def test_what_could_not_be_written_down_goes_back_to_its_store(world):
    world.source.handle = "lease/1"
    world.source.expires_at = world.clock.now() - SECOND
    with pytest.raises(ProviderError, match="already ended"):
        world.broker.lease("claude")
    assert world.source.revoked == ["lease/1"]


# -- clocks and misuse -----------------------------------------------------------------------------


def test_a_stated_end_that_a_corrected_clock_shows_to_be_past_is_not_served(world):
    world.source.expires_at = world.clock.now() + 5 * MINUTE
    world.broker.lease("claude")
    world.clock.jump_wall(timedelta(days=1))
    pass_time_until(
        world.clock, lambda: not world.broker.engine.fresh, what="noticed at the next look"
    )
    with pytest.raises((ProviderError, LeaseExpiredError), match="already ended"):
        world.broker.lease("claude")


def test_a_lapse_is_as_retryable_as_its_cause(world):
    world.broker.lease("claude")
    world.source.fail = ProviderUnavailableError("down")
    world.clock.advance(11 * MINUTE)
    with pytest.raises(LeaseExpiredError) as caught:
        world.broker.lease("claude")
    assert caught.value.retryable


def test_misuse_is_one_clear_error_and_changes_nothing(world):
    world.broker.lease("claude")
    with pytest.raises(TypeError, match="function"):
        world.broker.on_change("claude", None)
    with pytest.raises(AttributeError):
        world.broker.close(timeout=5)
    assert world.value() == "key-1"


def test_a_policy_of_short_leases_still_renews_ahead():
    world = World(policy=LeasePolicy(ttl=SECOND * 2, renew_at=0.5, jitter=0.0, calls=10_000))
    world.broker.lease("claude")
    until(lambda: world.clock.waiting, what="the schedule waits")
    world.clock.advance(timedelta(seconds=1.1))
    until(lambda: world.source.calls == 2, what="renewed")
    world.broker.close()
