"""The eleven behaviours of a broker, on a fake clock."""

from __future__ import annotations

import gc
import threading
import weakref
from datetime import timedelta

import pytest

from broker.world import MINUTE, POLICY, SECOND, Source, World, pass_time_until, until
from secretkit.core.freshness import LeasePolicy
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    GrantError,
    LeaseExpiredError,
    LedgerError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretNotFoundError,
)
from secretkit.ports import Event


def events(world: World) -> list[str]:
    return [entry.event.event for entry in world.ledger.audit()]


def test_a_hit_gives_the_same_lease_without_asking_the_source(world):
    first = world.broker.lease("claude")
    assert all(world.broker.lease("claude") is first for _ in range(100))
    assert world.source.calls == 1


def test_a_lease_says_what_it_is(world):
    lease = world.broker.lease("claude")
    assert lease.name == "claude"
    assert lease.credential.secret.reveal() == "key-1"
    assert lease.generation == 1
    assert lease.ref == "memory:claude"
    assert lease.expires_at - lease.granted_at == 10 * MINUTE
    with lease as same:
        assert same is lease


def test_an_unknown_name_is_refused_with_the_nearest_one(world):
    with pytest.raises(ConfigError) as caught:
        world.broker.lease("cluade")
    assert "claude" in caught.value.hint


def test_a_lease_is_renewed_ahead_without_any_caller(world):
    world.broker.lease("claude")
    world.source.value = "key-2"
    until(lambda: world.clock.waiting, what="the schedule waits")
    world.clock.advance(6 * MINUTE + SECOND)
    until(lambda: world.source.calls == 2, what="renewed in the background")
    until(lambda: world.broker.lease("claude").generation == 2, what="served")
    assert world.value() == "key-2"


def test_callers_are_served_while_the_renewal_is_under_way(world):
    world.broker.lease("claude")
    world.source.gate.clear()
    world.source.value = "key-2"
    world.clock.advance(7 * MINUTE)
    until(lambda: world.source.calls == 2, what="the renewal started")
    assert world.value() == "key-1"
    world.source.gate.set()
    until(lambda: world.value() == "key-2", what="the new one is served")
    assert world.source.calls == 2


def test_renewing_the_same_secret_keeps_generation_and_lease(world):
    first = world.broker.lease("claude")
    world.clock.advance(7 * MINUTE)
    until(lambda: world.broker.lease("claude") is not first, what="renewed")
    second = world.broker.lease("claude")
    assert (second.id, second.generation) == (first.id, 1)
    assert second.expires_at > first.expires_at
    assert [record.id for record in world.ledger.leases(now=world.clock.now())] == [first.id]


def test_five_hundred_threads_on_an_expired_lease_make_one_call(world):
    world.broker.lease("claude")
    world.source.value = "key-2"
    world.source.gate.clear()
    world.clock.advance(11 * MINUTE)
    got: list[str] = []
    barrier = threading.Barrier(501)

    def caller():
        barrier.wait()
        got.append(world.value())

    threads = [threading.Thread(target=caller) for _ in range(500)]
    for thread in threads:
        thread.start()
    barrier.wait()
    until(lambda: world.source.calls == 2, what="the one call")
    world.source.gate.set()
    for thread in threads:
        thread.join()
    assert got == ["key-2"] * 500
    assert world.source.calls == 2


def test_a_failure_is_shared_by_all_who_wait_each_with_an_error_of_its_own(world):
    world.source.gate.clear()
    world.source.fail = ProviderUnavailableError("down", ref="memory:claude")
    caught: list[BaseException] = []

    def caller():
        try:
            world.broker.lease("claude")
        except ProviderUnavailableError as error:
            caught.append(error)

    threads = [threading.Thread(target=caller) for _ in range(200)]
    for thread in threads:
        thread.start()
    until(lambda: world.source.calls == 1, what="the one call")
    world.source.gate.set()
    for thread in threads:
        thread.join()
    assert len(caught) == 200
    assert len({id(error) for error in caught}) == 200
    assert all(error.__cause__ is None and error.__context__ is None for error in caught)
    assert world.source.calls == 1


def test_between_attempts_stands_a_pause_in_which_nobody_asks(world):
    world.source.fail = ProviderUnavailableError("down")
    for _ in range(50):
        with pytest.raises(ProviderUnavailableError):
            world.broker.lease("claude")
    assert world.source.calls == 1
    world.clock.advance(SECOND)
    world.source.fail = None
    assert world.value() == "key-1"
    assert world.source.calls == 2


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        (timedelta(seconds=5), timedelta(seconds=5)),
        (timedelta(seconds=1e9), POLICY.retry_after_most),
        (timedelta(seconds=-3), timedelta(seconds=0.75)),
    ],
)
def test_a_throttling_source_is_obeyed_within_reason(world, asked, pause):
    world.source.fail = ProviderError("slow down", retry_after=asked)
    with pytest.raises(ProviderError):
        world.broker.lease("claude")
    world.clock.advance(pause - timedelta(milliseconds=10))
    with pytest.raises(ProviderError):
        world.broker.lease("claude")
    assert world.source.calls == 1
    world.clock.advance(timedelta(milliseconds=20))
    with pytest.raises(ProviderError):
        world.broker.lease("claude")
    assert world.source.calls == 2


def test_an_unreachable_source_costs_nothing_until_the_lease_ends(world):
    world.broker.lease("claude")
    world.source.fail = ProviderUnavailableError("down")
    for _ in range(9):
        world.clock.advance(MINUTE)
        assert world.value() == "key-1"
    until(lambda: world.broker.status()[0].failures, what="a renewal was tried")
    world.clock.advance(MINUTE)
    with pytest.raises(LeaseExpiredError) as caught:
        world.broker.lease("claude")
    assert "ended at" in str(caught.value)
    assert "down" in str(caught.value)
    assert caught.value.ended_at == world.clock.now()


@pytest.mark.parametrize("denial", [AccessDeniedError("403"), SecretNotFoundError("gone")])
def test_a_denial_drops_the_lease_at_once_and_is_not_retried(world, denial):
    world.broker.lease("claude")
    world.source.fail = denial
    world.clock.advance(7 * MINUTE)
    until(lambda: world.broker.peek("claude") is None, what="dropped")
    for _ in range(20):
        with pytest.raises(type(denial)):
            world.broker.lease("claude")
    assert world.source.calls == 2
    assert Event.FETCH_DENIED in events(world)
    until(lambda: not world.ledger.leases(now=world.clock.now()), what="given back")


def test_a_hung_source_ends_at_the_deadline_and_the_lease_is_still_served(world):
    world.broker.lease("claude")
    world.source.gate.clear()
    world.clock.advance(7 * MINUTE)
    until(lambda: world.source.calls == 2, what="the renewal hangs")
    until(lambda: world.clock.waiting, what="the schedule waits for the deadline")
    world.clock.advance(11 * SECOND)
    until(lambda: world.broker.status()[0].failures == 1, what="written off")
    assert world.value() == "key-1"
    assert "ProviderTimeoutError" in world.broker.status()[0].last_error


def test_a_caller_with_nothing_valid_waits_no_longer_than_the_deadline(world):
    world.source.gate.clear()
    outcome: list[BaseException] = []

    def caller():
        try:
            world.broker.lease("claude")
        except ProviderTimeoutError as error:
            outcome.append(error)

    thread = threading.Thread(target=caller)
    thread.start()
    until(lambda: world.source.calls == 1 and world.clock.waiting, what="it hangs")
    world.clock.advance(10 * SECOND)
    thread.join(10)
    assert len(outcome) == 1


def test_what_a_hung_call_brings_late_is_given_back_and_not_served(world):
    world.source.gate.clear()
    world.source.handle = "lease/late"

    def caller():
        with pytest.raises(ProviderError):
            world.value()

    thread = threading.Thread(target=caller)
    thread.start()
    until(lambda: world.source.calls == 1 and world.clock.waiting, what="it hangs")
    world.clock.advance(10 * SECOND)
    thread.join(10)
    world.source.gate.set()
    until(lambda: world.source.revoked == ["lease/late"], what="given back")
    assert world.broker.peek("claude") is None


def test_refresh_after_a_401_asks_once_for_all_who_saw_the_same_generation(world):
    seen = world.broker.lease("claude").generation
    world.source.value = "key-2"
    leases = [world.broker.refresh("claude", seen=seen) for _ in range(30)]
    assert {lease.generation for lease in leases} == {2}
    assert world.source.calls == 2


def test_a_late_401_about_an_old_generation_does_not_refresh_the_new_one(world):
    world.broker.lease("claude")
    world.source.value = "key-2"
    world.broker.refresh("claude", seen=1)
    assert world.broker.refresh("claude", seen=1).generation == 2
    assert world.source.calls == 2


def test_a_dead_key_without_a_newer_one_costs_few_calls_however_many_requests_fail(world):
    lease = world.broker.lease("claude")
    for _ in range(100):
        assert world.broker.refresh("claude", seen=lease.generation).generation == 1
    assert world.source.calls == 2
    world.clock.advance(SECOND)
    world.broker.refresh("claude", seen=1)
    assert world.source.calls == 3


def test_refresh_serves_what_is_valid_when_the_source_is_away(world):
    world.broker.lease("claude")
    world.source.fail = ProviderUnavailableError("down")
    assert world.broker.refresh("claude", seen=1).generation == 1


def test_refresh_reports_a_denial(world):
    world.broker.lease("claude")
    world.source.fail = AccessDeniedError("no")
    with pytest.raises(AccessDeniedError):
        world.broker.refresh("claude", seen=1)
    assert world.broker.peek("claude") is None


def test_in_a_pool_the_next_key_is_promoted_when_one_is_refused(world):
    world.source.others = ["key-b"]
    first = world.broker.lease("claude")
    second = world.broker.refresh("claude", seen=first.generation)
    assert (second.credential.secret.reveal(), second.generation) == ("key-b", 2)
    assert Event.GENERATION_REFUSED in events(world)


def test_a_refused_key_stays_out_for_a_while_and_not_for_ever(world):
    world.source.others = ["key-b"]
    world.broker.lease("claude")
    world.broker.refresh("claude", seen=1)
    world.clock.advance(11 * MINUTE)
    assert world.value() == "key-1"


def test_a_pool_whose_keys_are_all_refused_does_not_spin(world):
    world.source.others = ["key-b"]
    generation = world.broker.lease("claude").generation
    for _ in range(50):
        generation = world.broker.refresh("claude", seen=generation).generation
    assert world.source.calls <= 4


def test_a_source_that_gives_the_same_ending_token_again_is_not_asked_in_a_loop(world):
    world.source.expires_at = world.clock.now() + 10 * MINUTE
    world.broker.lease("claude")
    for _ in range(590):
        world.clock.advance(SECOND)
        world.broker.peek("claude")
        if world.clock.now() < world.source.expires_at - 31 * SECOND:
            assert world.value() == "key-1"
    assert world.source.calls < 20


def test_a_credential_is_never_served_past_its_stated_end(world):
    world.source.expires_at = world.clock.now() + MINUTE
    lease = world.broker.lease("claude")
    assert lease.expires_at == world.source.expires_at
    world.clock.advance(MINUTE)
    with pytest.raises((LeaseExpiredError, ProviderError), match="already ended"):
        world.broker.lease("claude")


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=1)])
def test_a_wall_clock_that_jumps_serves_nothing_expired(world, jump):
    world.broker.lease("claude")
    world.clock.jump_wall(jump)
    for _ in range(9):
        world.clock.advance(MINUTE)
        world.value()
    assert world.source.calls <= 3
    calls = world.source.calls
    world.source.fail = ProviderUnavailableError("down")
    world.clock.advance(11 * MINUTE)
    with pytest.raises(LeaseExpiredError):
        world.broker.lease("claude")
    assert world.source.calls <= calls + 3


def test_what_the_ledger_cannot_write_down_is_not_issued(world):
    world.ledger.close()
    with pytest.raises(LedgerError):
        world.broker.lease("claude")
    assert world.broker.peek("claude") is None
    assert "LedgerError" in world.broker.status()[0].last_error


def test_calls_to_a_source_are_counted_across_restarts():
    source, ledger = Source(), World().ledger
    source.fail = ProviderUnavailableError("down")
    policy = LeasePolicy(ttl=10 * MINUTE, calls=12, per=timedelta(hours=1))
    for _ in range(20):  # a crash loop: each start is a new broker on the same ledger
        world = World(source=source, ledger=ledger, policy=policy)
        with pytest.raises((ProviderUnavailableError, GrantError)):
            world.broker.lease("claude")
    assert source.calls == 12


def test_the_audit_tells_the_story_without_the_value(world):
    world.broker.lease("claude")
    world.source.value = "key-2"
    world.broker.refresh("claude", seen=1)
    story = events(world)
    assert story.count(Event.LEASE_GRANTED) == 2
    assert story.count(Event.GENERATION_NEW) == 2
    assert "key-" not in repr(list(world.ledger.audit()))
    assert world.ledger.verify().intact


def test_every_secret_is_made_known_to_the_redactor_before_it_is_handed_out(world):
    secret = world.broker.get("claude")
    assert [watched is secret for watched in world.watched] == [True]


def test_on_change_is_called_once_a_generation_and_can_be_stopped(world):
    changes = []
    stop = world.broker.on_change("claude", changes.append)
    world.broker.lease("claude")
    world.source.value = "key-2"
    world.broker.refresh("claude", seen=1)
    until(lambda: len(changes) == 2, what="told after those who waited")
    stop()
    world.source.value = "key-3"
    world.broker.refresh("claude", seen=2)
    assert [(change.previous, change.generation) for change in changes] == [(None, 1), (1, 2)]


def test_a_callback_that_raises_harms_nobody_and_its_text_is_not_logged(world, caplog):
    def bad(change):
        raise ValueError("text-of-the-users-error")

    world.broker.on_change("claude", bad)
    assert world.value() == "key-1"
    until(lambda: "ValueError" in caplog.text, what="logged by class name")
    assert "text-of-the-users-error" not in caplog.text


def test_a_foreign_exception_from_a_source_keeps_its_text_to_itself(world):
    world.source.fail = ValueError("the value is key-1")
    with pytest.raises(ProviderError) as caught:
        world.broker.lease("claude")
    assert "key-1" not in str(caught.value)
    assert "ValueError" in str(caught.value)


def test_a_lease_revoked_in_the_ledger_is_dropped_and_a_new_one_can_be_had(world):
    lease = world.broker.lease("claude")
    until(lambda: world.clock.waiting, what="the schedule waits")
    world.ledger.revoke(lease.id, at=world.clock.now(), holder="operator")
    pass_time_until(world.clock, lambda: world.broker.peek("claude") is None, what="dropped")
    assert world.broker.lease("claude").id != lease.id


def test_closing_gives_everything_back_and_serves_nothing_any_more(world):
    world.source.handle = "lease/1"
    world.broker.lease("claude")
    world.broker.close()
    assert world.source.revoked == ["lease/1"]
    with pytest.raises(LeaseExpiredError, match="closed") as caught:
        world.broker.lease("claude")
    assert not caught.value.retryable
    world.broker.close()


def test_closing_wakes_those_who_wait(world):
    world.source.gate.clear()
    outcome = []

    def caller():
        try:
            world.broker.lease("claude")
        except LeaseExpiredError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=caller)
    thread.start()
    until(lambda: world.source.calls == 1, what="waiting")
    world.broker.close()
    thread.join(10)
    assert outcome == ["this broker is closed"]


def test_a_broker_that_nobody_holds_is_collected_with_its_thread():
    world = World()
    world.broker.lease("claude")
    before = weakref.ref(world.broker.engine)
    del world
    gc.collect()
    assert before() is None


def test_status_says_what_is_wrong_and_what_to_do(world):
    world.source.fail = AccessDeniedError("no", hint="ask the owner")
    with pytest.raises(AccessDeniedError):
        world.broker.lease("claude")
    status = world.broker.status()[0]
    assert (status.name, status.generation, status.failures) == ("claude", None, 1)
    assert status.hint == "ask the owner"
