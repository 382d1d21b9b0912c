"""Every source that asks over HTTP against a server that fails in every way.

For each: a typed error within the deadline, what is still valid is served, what has ended is not,
and no value is in anything that is seen.
"""

from __future__ import annotations

import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from certified import Authority
from faults.exchange import EXCHANGES, JSON, LIFE, Leaping, World
from secretkit.broker import Broker
from secretkit.broker.state import BrokerContext
from secretkit.core.credential import secrets_of
from secretkit.core.freshness import LeasePolicy
from secretkit.core.message import Reply
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderUnavailableError,
    SecretkitError,
)
from secretkit.ledger import open as open_ledger
from secretkit.redact import default
from secretkit.testing import FaultServer
from secretkit.testing.aws import AwsStub
from secretkit.testing.fault import FAULTS, GARBAGE, answer, ok, status
from secretkit.testing.leaks import find
from secretkit.testing.trace import assert_no_trace

PATIENCE = timedelta(seconds=0.5)
SLACK = 0.5  # seconds over the deadline
LONG = timedelta(seconds=20)
FEW = [one for one in EXCHANGES if one.name in {"federation", "assume-role", "vault-kv"}]
HOUR = timedelta(hours=1)


def named(one) -> str:
    return one.name


@pytest.fixture
def server():
    with FaultServer() as made:
        yield made


@pytest.fixture
def world(tmp_path, server):
    return World(folder=tmp_path, url=server.url, clock=Leaping())


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


@contextmanager
def broker_of(source, clock, *, patience=PATIENCE):
    ledger = open_ledger("sqlite://")
    context = BrokerContext(
        clock=clock,
        ledger=ledger,
        rng=lambda: 0.5,
        holder=lambda: f"test:{os.getpid()}",
        release=ledger.close,
        watch=default().watch,
    )
    policy = LeasePolicy(ttl=LIFE, fetch_timeout=patience)
    with Broker({"app": source}, context=context, policy=policy) as made:
        yield made


def refused(ask, *, patience=PATIENCE) -> SecretkitError:
    """Give the error, which came in time, and says what to do."""
    start = time.monotonic()
    with pytest.raises(SecretkitError) as caught:
        ask()
    assert time.monotonic() - start < patience.total_seconds() + SLACK
    assert caught.value.hint
    return caught.value


def nothing_seen(world, logged, *errors) -> None:
    """Look for every value in the errors, what hangs from them, and what was logged."""
    hidden = [Secret(one) for one in world.hidden]
    assert hidden
    for error in errors:
        for one in world.hidden:
            assert_no_trace(error, one)
        told = f"{error} {error.hint} {error!r} {vars(error)}"
        assert find(told.encode(), hidden) == []
    lines = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in logged.records)
    assert find(lines.encode(), hidden) == []


def acquired(source, timeout=LONG):
    return source.acquire(timeout=timeout, refused=lambda _: False)


def outcome(source):
    """Give what is acquired, or the error."""
    try:
        return acquired(source)
    except ProviderError as error:
        return error


@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_without_a_fault_it_gives_a_credential(exchange, world, server, logged):
    exchange.play(world, server)
    found = acquired(exchange.open(world))
    shown = {one.reveal() for one in secrets_of(found.credential)}
    assert any(hidden in one for one in shown for hidden in world.hidden)
    assert any(seen.path.startswith(exchange.path) for seen in server.requests)
    nothing_seen(world, logged)


@pytest.mark.parametrize("fault", FAULTS, ids=named)
@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_a_fault_is_a_clear_error_in_time_and_costs_no_credential_in_hand(
    exchange, fault, world, server, logged
):
    exchange.play(world, server)
    with broker_of(exchange.open(world), world.clock) as broker:
        held = broker.lease("app")
        spoilt = exchange.open(world)  # so that the mount and the login are asked for again, too
        server.play(fault, path="" if fault.deaf else exchange.path)
        world.rewrite()
        with ThreadPoolExecutor(1) as pool:
            again = pool.submit(broker.refresh, "app")
            first = refused(lambda: acquired(spoilt, PATIENCE))
            assert again.result(SLACK).credential == held.credential
        assert isinstance(first, ProviderError)
        assert not isinstance(first, AccessDeniedError)
        assert first.ref
        assert broker.lease("app").credential == held.credential
        nothing_seen(world, logged, first)
        server.play(ok())  # so that what was leased can be given back
        exchange.play(world, server)


@pytest.mark.parametrize("exchange", FEW, ids=named)
def test_what_has_ended_is_not_given_while_its_source_is_away(exchange, world, server, logged):
    exchange.play(world, server)
    with broker_of(exchange.open(world), world.clock) as broker:
        held = broker.lease("app")
        server.play(status(503), path=exchange.path)
        world.clock.advance(held.expires_at - world.clock.now() - timedelta(minutes=1))
        assert broker.refresh("app").id == held.id
        world.clock.advance(timedelta(minutes=1))
        with pytest.raises(SecretkitError) as caught:
            broker.lease("app")
        assert caught.value.retryable
        assert broker.peek("app") is None
        nothing_seen(world, logged, caught.value)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_a_refusal_is_asked_for_once_and_drops_what_is_held(exchange, world, server, logged):
    denial = Reply(status=403, headers=JSON, body=exchange.denial)
    exchange.play(world, server)
    with broker_of(exchange.open(world), world.clock) as broker:
        broker.lease("app")
        server.play(answer(denial), path=exchange.path)
        before = len(server.requests)
        spoilt = exchange.open(world)
        error = refused(lambda: acquired(spoilt))
        asked = [one.path for one in server.requests[before:] if one.path.startswith(exchange.path)]
        assert len(asked) == 1
        assert isinstance(error, AccessDeniedError) == exchange.decides
        nothing_seen(world, logged, error)
        world.rewrite()
        if exchange.is_asked_each_time and exchange.decides:
            refused(lambda: broker.refresh("app"))
            assert broker.peek("app") is None
        else:
            assert broker.refresh("app")


@pytest.mark.parametrize("asked_for", ["5", "1e9", "-1", "99999999999999999999", "soon", ""])
@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_a_silly_retry_after_is_kept_within_bounds(exchange, asked_for, world, server):
    exchange.play(world, server)
    source = exchange.open(world)
    server.play(status(429, headers={"retry-after": asked_for}), path=exchange.path)
    error = refused(lambda: acquired(source, PATIENCE))
    assert isinstance(error, ProviderError)
    if error.retry_after is not None:
        assert timedelta() <= error.retry_after <= HOUR  # the broker waits 5 minutes of it at most


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_nothing_follows_a_redirect(exchange, code, world, server, logged):
    exchange.play(world, server)
    source = exchange.open(world)
    with FaultServer() as elsewhere:
        exchange.play(world, elsewhere)
        place = {"location": f"{elsewhere.url}{exchange.path}"}
        server.play(status(code, headers=place), path=exchange.path)
        error = refused(lambda: acquired(source, PATIENCE))
        assert elsewhere.connections == 0
    nothing_seen(world, logged, error)


@pytest.mark.parametrize("exchange", [one for one in EXCHANGES if one.twice], ids=named)
def test_an_answer_with_a_key_given_twice_is_refused(exchange, world, server, logged):
    exchange.play(world, server)
    source = exchange.open(world)
    server.play(answer(exchange.doubled(world)), path=exchange.path)
    error = refused(lambda: acquired(source, PATIENCE))
    assert isinstance(error, ProviderError)
    nothing_seen(world, logged, error)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_a_server_that_nobody_vouches_for_hears_nothing(exchange, tmp_path, logged):
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    with FaultServer(tls=theirs.server()) as server:
        for bundle, heard in ((ours, False), (theirs, True)):
            world = World(
                folder=tmp_path, url=server.url, clock=Leaping(), ca_bundle=str(bundle.bundle)
            )
            exchange.play(world, server)
            source = exchange.open(world)
            if heard:
                acquired(source)
            else:
                with pytest.raises(ProviderUnavailableError) as caught:
                    acquired(source)
                nothing_seen(world, logged, caught.value)
            assert bool(server.requests) == heard


@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_the_environment_sends_nothing_elsewhere(exchange, world, server, monkeypatch):
    with FaultServer() as evil:
        evil.play(GARBAGE)
        for name in (
            *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            *(
                "AWS_ENDPOINT_URL_SSM",
                "VAULT_ADDR",
                "BAO_ADDR",
                "VAULT_AGENT_ADDR",
                "VAULT_PROXY_ADDR",
            ),
            *("ANTHROPIC_BASE_URL", "GCE_METADATA_HOST", "GCE_METADATA_IP", "MSI_ENDPOINT"),
            *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
        ):
            monkeypatch.setenv(name, evil.url)
            world.environ[name] = evil.url
        for name in ("VAULT_TOKEN", "BAO_TOKEN", "AWS_SECRET_ACCESS_KEY", "ANTHROPIC_API_KEY"):
            monkeypatch.setenv(name, "not" + "-ours")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
        monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere.pem")
        exchange.play(world, server)
        acquired(exchange.open(world))
        assert evil.connections == 0
        assert server.requests
        sent = "".join(f"{one.headers}{one.body!r}" for one in server.requests)
        assert "not" + "-ours" not in sent


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_a_clock_that_is_an_hour_off_gives_an_error_that_says_so_or_nothing_too_long(
    exchange, off, tmp_path, server, logged
):
    """What stands in an answer is the right time's; ours is an hour ahead of it, or behind."""
    right, ours = Leaping(), Leaping(off=off)
    world = World(folder=tmp_path, url=server.url, clock=ours, issuing=right)
    rights = World(folder=tmp_path, url=server.url, clock=right)
    exchange.play(world, server)
    if exchange.path == "/":
        exchange.play(rights, server)
    world.hidden += rights.hidden
    found = outcome(exchange.open(world))
    if isinstance(found, ProviderError):
        assert "clock" in f"{found} {found.hint}"
        nothing_seen(world, logged, found)
        return
    ends_at = found.credential.expires_at
    if ends_at is not None:  # counted on our clock, it lasts no longer than it really does
        assert ends_at - ours.now() <= LIFE


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
@pytest.mark.parametrize("name", ["assume-role", "secrets-manager", "parameter-store"])
def test_aws_refuses_what_a_wrong_clock_signed_and_the_error_says_so(name, off, tmp_path, logged):
    exchange = next(one for one in EXCHANGES if one.name == name)
    with AwsStub() as aws:
        world = World(folder=tmp_path, url=aws.url(), clock=Leaping(off=off))
        key = aws.accounts.add_user("broker")
        source = exchange.open(world)
        pair = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret.reveal()}
        world.kept("pair", json.dumps(pair))
        world.hidden.append(key.secret.reveal())
        error = outcome(source)
        assert isinstance(error, ProviderError)
        assert not isinstance(error, AccessDeniedError)
        assert "clock" in error.hint
        assert len(aws.calls) == 1
        assert aws.calls[0].status >= 400
    nothing_seen(world, logged, error)
