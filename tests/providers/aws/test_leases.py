"""Leases over sessions of a role: one call for all, and signatures that are valid throughout."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from providers.aws.world import BROKER, READER, REGION, TIMEOUT, World
from secretkit.broker.blocking import Broker
from secretkit.broker.state import BrokerContext
from secretkit.core.credential import AwsCredentials
from secretkit.core.freshness import LeasePolicy
from secretkit.core.lease import Lease
from secretkit.errors import AccessDeniedError, SecretkitError
from secretkit.ledger import open as open_ledger
from secretkit.providers.aws.caller import Caller
from secretkit.providers.aws.service import open_service
from secretkit.providers.deadline import Deadline
from secretkit.redact import default
from secretkit.testing.aws import Fault

QUARTER = timedelta(minutes=15)
ASSUME = "sts:AssumeRole"


@contextmanager
def broker(world: World) -> Iterator[Broker]:
    ledger = open_ledger("sqlite://")
    context = BrokerContext(
        clock=world.clock,
        ledger=ledger,
        rng=lambda: 0.5,
        holder=lambda: f"test:{os.getpid()}",
        release=ledger.close,
        watch=default().watch,
    )
    source = world.open(assume_role={"role_arn": READER})
    with Broker({"bedrock": source}, context=context, policy=LeasePolicy(ttl=QUARTER)) as made:
        yield made


def who(world: World, credentials: AwsCredentials) -> str:
    """Sign a request with it, which the stand-in verifies."""
    endpoint = world.aws.url()
    service = open_service("sts", region=REGION, endpoint=endpoint, context=world.context())
    return Caller(service, "test").arn(credentials, deadline=Deadline(TIMEOUT, clock=world.clock))


def test_a_thousand_who_sign_ask_sts_once(world: World) -> None:
    with broker(world) as made:
        found: list[object] = []
        threads = [
            threading.Thread(
                target=lambda: found.extend(made.lease("bedrock").credential for _ in range(20))
            )
            for _ in range(50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(found) == 1000
        assert len({id(one) for one in found}) == 1
    assert world.aws.count(ASSUME) == 1


def renewed(world: World, made: Broker) -> Lease:
    """Give the lease once a renewal that is due is done: the fake clock waits for nobody."""
    for _ in range(1000):
        lease = made.lease("bedrock")
        if world.clock.now() - lease.granted_at < timedelta(minutes=9):
            return lease
        threading.Event().wait(0.01)
    pytest.fail("no renewal")


def test_sessions_of_900_seconds_sign_validly_over_an_hour(world: World) -> None:
    with broker(world) as made:
        for _ in range(60):
            lease = renewed(world, made)
            assert isinstance(lease.credential, AwsCredentials)
            assert "assumed-role/reader" in who(world, lease.credential)
            assert lease.expires_at - world.clock.now() <= QUARTER
            world.clock.advance(timedelta(minutes=1))
    refused = [call for call in world.aws.calls if call.code]
    assert refused == []
    assert 4 <= world.aws.count(ASSUME) <= 9  # 60 minutes, renewed at 0.6 of 15


def test_throttled_is_served_to_the_end_and_denied_is_dropped(world: World) -> None:
    with broker(world) as made:
        first = made.lease("bedrock")
        world.aws.faults.add(Fault(action=ASSUME, code="ThrottlingException", times=0))
        assert made.refresh("bedrock").credential is first.credential
        assert made.lease("bedrock").credential is first.credential
        world.aws.faults.clear()
        world.aws.deny(ASSUME, arn=BROKER)
        world.clock.advance(timedelta(minutes=6))
        with pytest.raises(AccessDeniedError) as caught:
            made.refresh("bedrock")
        assert caught.value.ref == "aws:bedrock"
        with pytest.raises(SecretkitError):
            made.lease("bedrock")


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=1)])
def test_a_clock_that_jumps_serves_nothing_past_its_end(world: World, jump: timedelta) -> None:
    """B02: the stand-in's clock jumps too, so that signing itself goes on."""
    with broker(world) as made:
        made.lease("bedrock")
        world.clock.jump_wall(jump)
        world.clock.advance(QUARTER)
        found = made.lease("bedrock").credential
        assert isinstance(found, AwsCredentials)
        assert "assumed-role/reader" in who(world, found)
    assert world.aws.count(ASSUME) <= 3
