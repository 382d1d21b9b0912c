"""An agent of SPIFFE that fails: what is held is served, and nothing unfit is sent to Claude."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta

import pytest

from faults.exchange import AUDIENCE, TOKEN_PATH, Leaping, World, claude, federated
from faults.test_sources import SLACK, acquired, broker_of, logged, nothing_seen, refused
from secretkit.errors import AccessDeniedError, ProviderError
from secretkit.testing import FaultServer
from secretkit.testing.fault import answer
from secretkit.testing.workload import WorkloadStub

__all__ = ["logged"]

ME = "spiffe://example.org/app"
MINUTE = timedelta(minutes=1)
SHORT = timedelta(seconds=1.5)  # the program that asks the agent has to start
WAIT = timedelta(seconds=20)  # nothing here hangs


def unsigned(agent) -> str:
    """Give a token that says it needs no signature."""
    token = agent.domain.jwt(ME, [AUDIENCE], life=MINUTE)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    return ".".join([head, *token.split(".")[1:]])


def in_an_hour() -> int:
    return int(Leaping().now().timestamp()) + 3600


FAULTS = {
    "unavailable": lambda agent: agent.fail("UNAVAILABLE"),
    "internal": lambda agent: agent.fail("INTERNAL"),
    "header dropped": lambda agent: agent.fail("INVALID_ARGUMENT"),
    "not registered": lambda agent: agent.forget(),
    "no token": lambda agent: agent.answer("no.token"),
    "html": lambda agent: agent.answer("<html>"),
    "huge": lambda agent: agent.answer("x" * 1_000_000),
    "unsigned": lambda agent: agent.answer(unsigned(agent)),
    "expired": lambda agent: agent.answer(agent.domain.jwt(ME, [AUDIENCE], life=-MINUTE)),
    "for another": lambda agent: agent.answer(
        agent.domain.jwt(ME, ["https://elsewhere.example"], life=MINUTE)
    ),
    "early": lambda agent: agent.answer(
        agent.domain.jwt(ME, [AUDIENCE], life=MINUTE, iat=in_an_hour())
    ),
}


@pytest.fixture
def agent(tmp_path):
    with WorkloadStub(tmp_path / "agent.sock") as made:
        made.register(ME)
        yield made


@pytest.fixture
def server():
    with FaultServer() as made:
        yield made


@pytest.fixture
def world(tmp_path, server):
    made = World(folder=tmp_path, url=server.url, clock=Leaping())
    server.play(answer(claude(made)), path=TOKEN_PATH)
    return made


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_agent_is_an_error_in_time_and_nothing_is_sent(
    name, agent, world, server, logged
):
    source = federated(world, {"type": "spiffe", "socket": agent.url})
    with broker_of(source, world.clock, patience=WAIT) as broker:
        held = broker.lease("app")
        FAULTS[name](agent)
        sent = len(server.requests)
        error = refused(lambda: acquired(source, WAIT), patience=WAIT)
        assert isinstance(error, ProviderError)
        assert not isinstance(error, AccessDeniedError)  # Claude has not said no
        assert "spiffe" in str(error)
        assert broker.refresh("app").credential == held.credential
        assert len(server.requests) == sent
    nothing_seen(world, logged, error)


def test_an_agent_that_hangs_costs_the_deadline_and_no_more(agent, world, logged):
    source = federated(world, {"type": "spiffe", "socket": agent.url})
    with broker_of(source, world.clock, patience=SHORT) as broker:
        held = broker.lease("app")
        with agent.stalled():
            error = refused(lambda: acquired(source, SHORT), patience=SHORT)
            start = time.monotonic()
            assert broker.refresh("app").credential == held.credential
            assert time.monotonic() - start < SHORT.total_seconds() + SLACK
    nothing_seen(world, logged, error)
