"""How outcomes change what a broker remembers; no threads here."""

from __future__ import annotations

from datetime import timedelta

import pytest

from broker.world import MINUTE, POLICY, Source
from secretkit.broker.state import Held, State
from secretkit.core.credential import ApiKey
from secretkit.core.freshness import window
from secretkit.core.lease import Lease
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, LeaseExpiredError, ProviderError
from secretkit.testing.clock import FakeClock


def held(
    *, fingerprint: str = "f1", at: float = 0.0, life: timedelta = 10 * MINUTE, **more
) -> Held:
    start = FakeClock().now()
    lease = Lease(
        id="id",
        name="claude",
        credential=ApiKey(Secret("key-1")),
        generation=1,
        holder="me",
        ref="memory:claude",
        granted_at=start,
        expires_at=start + life,
    )
    placed = window(now=start, monotonic=at, expires_at=start + life, policy=POLICY, dice=0.0)
    return Held(
        lease, placed, fingerprint, life=life.total_seconds(), **({"stated_end": False} | more)
    )


def fresh_state() -> State:
    return State(name="claude", source=Source(), policy=POLICY)


def test_the_first_lease_is_renewed_at_its_share_of_life():
    assert fresh_state().accept(held(), distrusted=False, now=0.0, dice=0.0) == 360.0


def test_a_success_forgets_earlier_failures():
    state = fresh_state()
    state.fail(ProviderError("down"), now=0.0, dice=0.0)
    state.accept(held(), distrusted=False, now=1.0, dice=0.0)
    assert (state.failures, state.error, state.not_before) == (0, None, 0.0)


def test_pauses_double_and_are_bounded():
    state = fresh_state()
    pauses = []
    for _ in range(12):
        state.fail(ProviderError("down"), now=0.0, dice=1.0)
        pauses.append(state.not_before)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == 60.0


def test_a_refused_secret_may_ask_a_store_that_was_away_sooner_than_others():
    state = fresh_state()
    for _ in range(6):
        state.fail(ProviderError("down"), now=0.0, dice=1.0)
    assert (state.not_before, state.force_after) == (32.0, 1.0)


def test_a_throttling_or_denying_store_is_not_asked_sooner_by_anybody():
    for error in (ProviderError("slow", retry_after=MINUTE), AccessDeniedError("no")):
        state = fresh_state()
        for _ in range(3):
            state.fail(error, now=0.0, dice=1.0)
        assert state.force_after == state.not_before


def test_a_denial_drops_what_is_held_and_anything_else_keeps_it():
    state = fresh_state()
    first = held()
    state.accept(first, distrusted=False, now=0.0, dice=0.0)
    assert state.fail(ProviderError("down"), now=1.0, dice=0.0) is None
    assert state.held is first
    assert state.fail(AccessDeniedError("no"), now=2.0, dice=0.0) is first
    assert state.held is None


def test_after_the_end_the_error_says_so():
    state = fresh_state()
    state.accept(held(), distrusted=False, now=0.0, dice=0.0)
    state.fail(ProviderError("down", hint="look"), now=599.0, dice=0.0)
    assert isinstance(state.error, LeaseExpiredError)
    assert state.error.hint == "look"


@pytest.mark.parametrize("more", [{}, {"fingerprint": "f2", "suspect": True}])
def test_a_refused_secret_with_nothing_better_sets_a_growing_pause(more):
    state = fresh_state()
    state.accept(held(), distrusted=False, now=0.0, dice=1.0)
    state.accept(held(**more), distrusted=True, now=0.0, dice=1.0)
    state.accept(held(**more), distrusted=True, now=0.0, dice=1.0)
    assert state.force_after == 2.0


def test_the_same_ending_token_again_is_asked_for_less_and_less():
    state = fresh_state()
    state.accept(held(stated_end=True), distrusted=False, now=0.0, dice=1.0)
    moments = [
        state.accept(held(stated_end=True), distrusted=False, now=400.0, dice=1.0) for _ in range(3)
    ]
    assert moments == [460.0, 460.0, 460.0]
    longer = held(stated_end=True, at=400.0)
    assert state.accept(longer, distrusted=False, now=400.0, dice=1.0) == 760.0


def test_what_is_shown_has_no_value():
    state = fresh_state()
    state.accept(held(), distrusted=False, now=0.0, dice=0.0)
    assert "key-1" not in repr(state.show())
    assert state.show().generation == 1
