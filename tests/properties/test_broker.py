"""A broker under any order of events keeps its promises (scorecard B15).

Invariants: what is returned was valid when returned (I1); the generation never decreases (I5); a
valid lease is served whenever the source is merely away; a revoked lease does not come back; the
audit stays intact.
"""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.world import Source, World, pass_time_until, until
from secretkit.core.freshness import LeasePolicy
from secretkit.errors import (
    AccessDeniedError,
    ProviderUnavailableError,
    SecretkitError,
)
from secretkit.testing.clock import FakeClock

POLICY = LeasePolicy(ttl=timedelta(minutes=10), jitter=0.2, calls=100_000)


_NOBODY = SimpleNamespace(id="")


class Recording(Source):
    """A source that notes until when each value it gave may be served."""

    def __init__(self, clock) -> None:
        super().__init__()
        self.clock = clock
        self.valid_until: dict[str, float] = {}

    def acquire(self, *, timeout, refused):
        asked, now = self.clock.monotonic(), self.clock.now()
        acquired = super().acquire(timeout=timeout, refused=refused)
        life = POLICY.ttl
        if self.expires_at is not None:
            life = min(life, self.expires_at - now)
        self.valid_until[acquired.credential.secret.reveal()] = asked + life.total_seconds()
        return acquired


class BrokerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        clock = FakeClock()
        self.world = World(source=Recording(clock), clock=clock, policy=POLICY)
        self.issued = 1
        self.generation = 0
        self.revoked: set[str] = set()

    def settle(self) -> None:
        """Let background flights land: they are quick, the source does not block here."""
        until(
            lambda: all(s.flight is None for s in self.world.broker.engine._memory.states.values()),
            what="flights landed",
        )

    @rule()
    def change_the_secret(self) -> None:
        self.issued += 1
        self.world.source.value = f"key-{self.issued}"
        self.world.source.expires_at = None

    @rule(seconds=st.integers(1, 1200))
    def change_to_one_with_a_stated_end(self, seconds: int) -> None:
        self.change_the_secret()
        self.world.source.expires_at = self.world.clock.now() + timedelta(seconds=seconds)

    @rule(seconds=st.floats(0.001, 700))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))
        self.settle()

    @rule(hours=st.sampled_from([-1, 1, 24]))
    def the_wall_clock_jumps(self, hours: int) -> None:
        if self.world.source.expires_at is None:
            self.world.clock.jump_wall(timedelta(hours=hours))

    @rule()
    def the_source_goes_away(self) -> None:
        self.world.source.fail = ProviderUnavailableError("away")

    @rule()
    def the_source_denies(self) -> None:
        self.world.source.fail = AccessDeniedError("denied")

    @precondition(lambda self: self.world.source.fail is not None)
    @rule()
    def the_source_comes_back(self) -> None:
        self.world.source.fail = None

    @rule()
    def lease(self) -> None:
        held = self.world.broker.peek("claude")
        try:
            lease = self.world.broker.lease("claude")
        except SecretkitError:
            assert held is None, "a valid lease was withheld"
            return
        self.check(lease)

    @rule()
    def an_operator_revokes(self) -> None:
        lease = self.world.broker.peek("claude")
        if lease is None:
            return
        self.world.ledger.revoke(lease.id, at=self.world.clock.now(), holder="operator")
        self.revoked.add(lease.id)
        pass_time_until(
            self.world.clock,
            lambda: (self.world.broker.peek("claude") or _NOBODY).id != lease.id,
            what="dropped",
        )

    @rule(late=st.booleans())
    def a_request_is_refused(self, late: bool) -> None:
        seen = max(1, self.generation - 1) if late else max(1, self.generation)
        try:
            lease = self.world.broker.refresh("claude", seen=seen)
        except SecretkitError:
            return
        self.check(lease)

    def check(self, lease) -> None:
        now = self.world.clock.monotonic()
        value = lease.credential.secret.reveal()
        assert now <= self.world.source.valid_until[value] + 1e-6, "served past its end"
        assert lease.id not in self.revoked, "a revoked lease came back"
        assert lease.generation >= self.generation, "the generation decreased"
        self.generation = lease.generation

    @invariant()
    def the_audit_is_intact(self) -> None:
        assert self.world.ledger.verify().intact

    def teardown(self) -> None:
        self.world.broker.close()


BrokerMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, print_blob=True
)
TestBroker = BrokerMachine.TestCase
