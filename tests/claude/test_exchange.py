"""The exchange against the stand-in, which checks signature, issuer, audience, rule and jti."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import anthropic
import pytest

from claude.federated import HELLO, ME, REF, TOKEN_PATH, Federated
from secretkit import claude
from secretkit.broker import SystemClock
from secretkit.claude.exchange import open_source
from secretkit.core.message import Reply
from secretkit.core.record import replace
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    LeaseExpiredError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from secretkit.ports import Probing
from secretkit.testing import ClaudeStub
from secretkit.testing.context import provider_context
from secretkit.testing.trace import assert_no_trace
from secretkit.wiring import load

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def world():
    clock = SystemClock()
    with ClaudeStub(clock=clock) as stub:
        made = Federated(stub, clock)
        yield made
        made.close()


@pytest.fixture
def still(fake_clock):
    """The same in a time that moves only when it is told to."""
    with ClaudeStub(clock=fake_clock) as stub:
        made = Federated(stub, fake_clock)
        yield made
        made.close()


class Answering:
    """A transport that gives each reply in turn, and keeps nothing."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.calls = 0

    def send(self, request, *, ref, timeout):
        self.calls += 1
        given = self.replies.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


def test_a_token_is_exchanged_for_and_works_through_connect(world):
    with claude.connect("claude", broker=world.broker(), base_url=world.stub.url) as client:
        for _ in range(3):
            assert client.messages.create(**HELLO).content
    assert world.exchanges == [200]
    assert world.stub.count(path="/v1/messages", key="token-1", status=200) == 3


def test_it_works_through_credentials_of_the_sdk(world):
    provider = claude.TokenProvider("claude", broker=world.broker(), base_url=world.stub.url)
    with anthropic.Anthropic(credentials=provider, base_url=world.stub.url) as client:
        assert client.messages.create(**HELLO).content
        world.stub.keys.refuse("token-1")
        assert client.messages.create(**HELLO).content
    assert world.exchanges == [200, 200]


def test_a_token_ends_when_it_says_counted_from_the_question(still):
    asked_at = still.clock.now()
    acquired = still.acquire()
    assert acquired.ref == REF
    assert acquired.credential.kind == "anthropic-access-token"
    assert acquired.credential.expires_at == asked_at + 10 * MINUTE  # twice the assertion's five


def test_each_attempt_has_an_assertion_of_its_own_and_all_make_one_lease(world):
    world.stub.next(path=TOKEN_PATH, status=429, retry_after=0, times=2)
    world.broker().lease("claude")
    assert world.exchanges == [429, 429, 200]
    assert len({token.reveal() for token in world.identity.given}) == 3
    assert world.stub.keys.states()["token-3"] == "accepted"


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
def test_it_gives_up_after_three_attempts(world, status):
    world.stub.next(path=TOKEN_PATH, status=status, times=3)
    with pytest.raises(ProviderError) as caught:
        world.acquire()
    assert (caught.value.ref, caught.value.retryable) == (REF, True)
    assert not isinstance(caught.value, AccessDeniedError)
    assert world.exchanges == [status] * 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_asked_for_once_and_drops_the_token_in_hand(still, status):
    broker = still.broker()
    broker.lease("claude")
    still.stub.next(path=TOKEN_PATH, status=status)
    with pytest.raises(AccessDeniedError) as caught:
        broker.refresh("claude")
    assert caught.value.ref == REF
    assert broker.peek("claude") is None
    assert still.exchanges == [200, status]


def test_a_token_in_hand_is_served_to_its_end_while_the_endpoint_is_away(still):
    broker = still.broker()
    first = broker.lease("claude")
    still.stub.next(path=TOKEN_PATH, status=503, times=1000)
    still.clock.advance(9 * MINUTE)
    assert broker.refresh("claude").id == broker.lease("claude").id == first.id
    still.clock.advance(2 * MINUTE)
    with pytest.raises((LeaseExpiredError, ProviderError)) as caught:
        broker.lease("claude")
    assert caught.value.retryable
    assert set(still.exchanges[1:]) == {503}


def test_two_hundred_waiters_make_one_exchange(world):
    broker = world.broker()
    gate = threading.Barrier(200)

    def ask(_):
        gate.wait(20)
        return broker.lease("claude").id

    with ThreadPoolExecutor(200) as pool:
        ids = set(pool.map(ask, range(200)))
    assert len(ids) == 1
    assert world.exchanges == [200]


@pytest.mark.parametrize("life", [20, 60])
def test_a_short_token_is_renewed_ahead_of_its_end(still, life):
    still.stub.tokens.ttl = timedelta(seconds=life)
    broker = still.broker()
    for number in range(1, 4):
        lease = broker.lease("claude")
        assert lease.expires_at == still.clock.now() + timedelta(seconds=life)
        assert len(still.exchanges) == number
        still.clock.advance(timedelta(seconds=life * 0.3))
        assert broker.lease("claude").generation == lease.generation  # no exchange a request
        still.clock.advance(timedelta(seconds=life * 0.7))


def test_a_token_that_the_service_refuses_is_replaced_by_one_exchange(world):
    broker = world.broker()
    with claude.connect("claude", broker=broker, base_url=world.stub.url) as client:
        client.messages.create(**HELLO)
        world.stub.keys.refuse("token-1")
        assert client.messages.create(**HELLO).content
    assert world.exchanges == [200, 200]


# -- single-use assertions -------------------------------------------------------------------------


def test_an_assertion_that_may_be_spent_is_not_sent_again(world):
    world.identity.gives = world.issuer.token(ME)
    world.stub.next(path=TOKEN_PATH, status=503)
    with pytest.raises(ProviderError, match="503"):
        world.acquire()
    assert world.exchanges == [503]


def test_a_spent_assertion_says_nothing_of_the_token_in_hand(still):
    still.identity.gives = still.issuer.token(ME)
    broker = still.broker()
    first = broker.lease("claude")
    assert broker.refresh("claude").id == first.id
    assert broker.peek("claude") is not None
    with pytest.raises(ProviderError, match="the same token as before") as caught:
        still.acquire()
    assert not isinstance(caught.value, AccessDeniedError)
    assert "check_jti = false" in caught.value.hint
    assert still.exchanges == [200, 401, 401]


def test_a_denial_is_one_where_the_issuer_takes_an_assertion_again(world):
    class Claude:
        """Takes the same assertion twice, fails, takes it, and then archives the rule."""

        answers = [answered(200, GOOD)] * 2 + [answered(503), answered(200, GOOD), answered(403)]

        def send(self, request, *, ref, timeout):
            return self.answers.pop(0)

    world.identity.gives = world.issuer.token(ME)
    source = world.source_for(transport=Claude())
    for _ in range(3):
        world.acquire(source)
    with pytest.raises(AccessDeniedError, match="403"):
        world.acquire(source)
    assert not Claude.answers


def test_an_assertion_without_jti_may_be_sent_again(world):
    world.identity.gives = world.issuer.token(ME, jti=...)
    world.stub.next(path=TOKEN_PATH, status=503)
    world.acquire()
    world.acquire()
    assert world.exchanges == [503, 200, 200]


# -- waits -----------------------------------------------------------------------------------------


def answered(status=200, body=b"{}", **headers):
    return Reply(status=status, headers=headers, body=body)


GOOD = b'{"access_token":"%s","token_type":"bearer","expires_in":600}' % (b"sk-ant-" + b"oat01-x")


def throttled(retry_after):
    return Reply(status=429, headers={"retry-after": retry_after})


def test_a_wait_that_fits_is_kept(still):
    transport = Answering(throttled("3"), answered(body=GOOD))
    source = still.source_for(transport=transport)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(still.acquire, source)
        while not still.clock.waiting:
            pass
        still.clock.advance(2 * SECOND)
        assert transport.calls == 1
        still.clock.advance(SECOND)
        asked.result(10)
    assert transport.calls == 2


def test_a_wait_that_does_not_fit_is_passed_on(still):
    transport = Answering(throttled("1000000000"))
    with pytest.raises(ProviderError) as caught:
        still.acquire(still.source_for(transport=transport))
    assert caught.value.retry_after == HOUR  # the broker makes five minutes of it
    assert transport.calls == 1


@pytest.mark.parametrize("retry_after", ["-5", "soon", "", "1e9", "NaN", "Thu, 99 Foo"])
def test_a_wait_that_cannot_be_read_is_ignored(still, retry_after):
    transport = Answering(throttled(retry_after), answered(body=GOOD))
    still.acquire(still.source_for(transport=transport))
    assert transport.calls == 2


def test_the_pauses_double_and_are_random(still):
    waits = []

    class Noting:
        now, monotonic = still.clock.now, still.clock.monotonic

        def wait(self, event, timeout):
            waits.append(timeout)
            return False

    replies = [answered(status=500)] * 3
    source = still.source_for(transport=Answering(*replies), rng=lambda: 0.5)
    source._clock = Noting()
    with pytest.raises(ProviderError):
        still.acquire(source)
    assert waits == [0.25, 0.5]


def test_a_service_that_hangs_costs_the_deadline_and_no_more(world):
    world.stub.next(path=TOKEN_PATH, delay=timedelta(seconds=5))
    began = world.clock.monotonic()
    with pytest.raises(ProviderTimeoutError) as caught:
        world.acquire(seconds=0.4)
    assert world.clock.monotonic() - began < 0.9
    assert caught.value.ref == REF


def test_a_service_that_is_away_is_not_a_refusal(world):
    world.stub.down()
    with pytest.raises(ProviderUnavailableError) as caught:
        world.acquire()
    assert len(world.identity.given) == 3
    assert caught.value.ref == REF


# -- what cannot be used ---------------------------------------------------------------------------

TOKEN = "sk-ant-" + "oat01-canary"
ANSWERS = {
    "HTML": b"<html><body>sign in</body></html>",
    "nothing": b"",
    "a list": b"[]",
    "a key twice": b'{"token_type":"Bearer","token_type":"Bearer"}',
    "no token": b'{"token_type":"Bearer","expires_in":60}',
    "an empty token": b'{"access_token":"","token_type":"Bearer","expires_in":60}',
    "a token with a line end": b'{"access_token":"a\\nb","token_type":"Bearer","expires_in":60}',
    "another type": b'{"access_token":"%b","token_type":"mac","expires_in":60}',
    "no type": b'{"access_token":"%b","expires_in":60}',
    "no life": b'{"access_token":"%b","token_type":"Bearer"}',
    "a life of 0": b'{"access_token":"%b","token_type":"Bearer","expires_in":0}',
    "a life below 0": b'{"access_token":"%b","token_type":"Bearer","expires_in":-1}',
    "a life in text": b'{"access_token":"%b","token_type":"Bearer","expires_in":"60"}',
    "a broken life": b'{"access_token":"%b","token_type":"Bearer","expires_in":59.5}',
    "a truth value as life": b'{"access_token":"%b","token_type":"Bearer","expires_in":true}',
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_token_is_an_error_of_the_store(still, name):
    body = ANSWERS[name].replace(b"%b", TOKEN.encode())
    transport = Answering(answered(body=body, **{"content-type": "text/html"}))
    with pytest.raises(ProviderError) as caught:
        still.acquire(still.source_for(transport=transport))
    assert type(caught.value) is ProviderError
    assert (caught.value.ref, transport.calls) == (REF, 1)
    assert_no_trace(caught.value, TOKEN)


def test_a_life_of_years_counts_as_a_day(still):
    body = GOOD.replace(b"600", b"999999999999")
    acquired = still.acquire(still.source_for(transport=Answering(answered(body=body))))
    assert acquired.credential.expires_at == still.clock.now() + timedelta(days=1)


def test_a_redirect_is_not_followed_and_not_asked_for_again(still):
    transport = Answering(answered(status=307, location="https://elsewhere.example.org"))
    with pytest.raises(ProviderError, match="redirect"):
        still.acquire(still.source_for(transport=transport))
    assert transport.calls == 1


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_request_that_cannot_be_read_is_an_error_of_the_configuration(world, status):
    world.stub.next(path=TOKEN_PATH, status=status)
    with pytest.raises(ConfigError) as caught:
        world.acquire()
    assert "federation_rule_id" in caught.value.hint
    assert world.exchanges == [status]


def test_invalid_grant_is_a_refusal_with_status_400_too(still):
    transport = Answering(answered(status=400, body=b'{"error":"invalid_grant"}'))
    with pytest.raises(AccessDeniedError, match="invalid_grant"):
        still.acquire(still.source_for(transport=transport))


def test_a_refusal_names_what_was_sent_and_by_which_rule(world):
    world.identity.gives = token = world.issuer.token("spiffe://example.org/other")
    with pytest.raises(AccessDeniedError) as caught:
        world.acquire()
    for part in (
        world.ids.federation_rule_id,
        world.ids.service_account_id,
        "iss https://id.example.org",
        "sub spiffe://example.org/other",
        "aud https://api.anthropic.com",
        "workspace_id",
        "Workload identity",
    ):
        assert part in caught.value.hint
    assert "invalid_grant, req_" in str(caught.value)
    assert "\n" not in caught.value.hint
    assert_no_trace(caught.value, token.reveal())
    assert_no_trace(caught.value, token.reveal().rpartition(".")[2])


def test_a_code_that_is_no_code_is_not_shown(still):
    body = b'{"error":"' + b"a" * 50 + b'","error_description":"eyJ"}'
    with pytest.raises(AccessDeniedError) as caught:
        still.acquire(still.source_for(transport=Answering(answered(status=401, body=body))))
    assert "aaa" not in str(caught.value)
    assert "eyJ" not in str(caught.value)


# -- identities ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AccessDeniedError, ProviderUnavailableError])
def test_an_identity_that_gives_nothing_leaves_the_token_in_hand(still, kind):
    broker = still.broker()
    first = broker.lease("claude")
    still.identity.gives = kind("test: no entry", ref="test", hint="register it")
    assert broker.refresh("claude").id == first.id
    assert broker.peek("claude") is not None
    with pytest.raises(ProviderUnavailableError) as caught:
        still.acquire()
    assert (caught.value.ref, caught.value.hint) == (REF, "register it")
    assert "test: no entry" in str(caught.value)
    assert still.exchanges == [200]


def test_an_identity_that_is_late_is_a_timeout(still):
    still.identity.gives = ProviderTimeoutError("test: late", ref="test")
    with pytest.raises(ProviderTimeoutError) as caught:
        still.acquire()
    assert caught.value.ref == REF


UNFIT = {
    "no iat": {"iat": ...},
    "no iss": {"iss": ...},
    "neither": {"iat": ..., "iss": ...},
    "17 KiB": {"more": "x" * 17_000},
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_token_that_claude_takes_from_nobody_is_not_sent(world, name):
    world.identity.gives = world.issuer.token(ME, **UNFIT[name])
    with pytest.raises(ProviderUnavailableError) as caught:
        world.acquire()
    assert "jwt_issuer" in caught.value.hint
    assert not caught.value.retryable
    assert world.exchanges == []


def test_a_probe_says_as_whom_until_when_and_why_not_longer(still):
    assert isinstance(still.source, Probing)
    probe = still.source.probe(timeout=10 * SECOND)
    assert probe.reached == still.stub.url.removeprefix("http://")
    assert probe.identity == f"{still.ids.service_account_id} for {ME} of https://id.example.org"
    assert probe.expires_at == still.clock.now() + 10 * MINUTE
    assert probe.lacks == (
        "live longer than 600 s: twice what was left of the identity's own token",
    )
    still.identity.life = HOUR
    assert still.source.probe(timeout=10 * SECOND).lacks == ()


# -- the table in the configuration ----------------------------------------------------------------

TABLE = {
    "identity": {"type": "test"},
    "federation_rule_id": "fdrl_01abc",
    "organization_id": "00000000-0000-0000-0000-000000000000",
    "service_account_id": "svac_01abc",
}


def opened(world, **changes):
    asked = []

    def identity(table, audience):
        asked.append((table, audience))
        return world.identity

    context = replace(
        provider_context(), identity=identity, transport=lambda: Answering(answered(body=GOOD))
    )
    table = {name: value for name, value in (TABLE | changes).items() if value is not ...}
    source = open_source(table, ref=REF, context=context)
    assert asked == [({"type": "test"}, "https://api.anthropic.com")]
    return source


def test_a_table_opens_without_asking_anybody(still):
    source = opened(still, workspace_id="default")
    assert (source.ref, still.identity.given) == (REF, [])
    assert source.grant.base_url == "https://api.anthropic.com"
    assert still.acquire(source).credential.expires_at


WRONG = {
    "no rule": ({"federation_rule_id": ...}, "federation_rule_id"),
    "a rule of another shape": ({"federation_rule_id": "rule"}, "federation_rule_id"),
    "no organization": ({"organization_id": ...}, "organization_id"),
    "an organization that is no UUID": ({"organization_id": "org_1"}, "organization_id"),
    "a service account of another shape": ({"service_account_id": "me"}, "service_account_id"),
    "a workspace of another shape": ({"workspace_id": "main"}, "workspace_id"),
    "http elsewhere": ({"base_url": "http://api.example.org"}, "base_url"),
    "http to the metadata service": ({"base_url": "http://169.254.169.254"}, "base_url"),
    "a URL with a query": ({"base_url": "https://example.org/?a=b"}, "base_url"),
    "a URL with a fragment": ({"base_url": "https://example.org/#a"}, "base_url"),
    "a URL with a password": ({"base_url": "https://a:b@example.org"}, "base_url"),
    "an unknown key": ({"rule": "x"}, "rule"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_table_that_cannot_be_used_names_its_key(still, name):
    changes, key = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        opened(still, **changes)
    assert caught.value.key_path == key
    assert caught.value.hint


def test_what_is_wrong_with_the_identity_is_placed_in_its_table():
    def identity(table, audience):
        raise ConfigError("no such file", key_path="path", hint="write it")

    context = replace(provider_context(), identity=identity, transport=Answering)
    with pytest.raises(ConfigError, match="no such file") as caught:
        open_source(TABLE, ref=REF, context=context)
    assert (caught.value.key_path, caught.value.hint) == ("identity.path", "write it")


def test_a_rule_that_is_still_to_be_made_is_said_when_it_is_used(still):
    source = opened(still, federation_rule_id="pending")
    with pytest.raises(ConfigError) as caught:
        still.acquire(source)
    assert "secretkit federation plan claude" in caught.value.hint


def test_an_exchange_needs_no_sdk():
    code = (
        "import sys; import secretkit.claude.exchange; "
        "print([m for m in ('anthropic', 'httpx2', 'httpx', 'boto3') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"


# -- a configuration with an identity of kind file -------------------------------------------------


def test_a_file_that_somebody_replaces_is_the_identity(world, tmp_path):
    token_file = tmp_path / "id.jwt"
    token_file.touch(0o600)
    config = tmp_path / "secretkit.toml"
    config.write_text(
        f"""
        [ledger]
        url = "sqlite://"
        [credentials.claude]
        kind = "anthropic-federation"
        identity = {{ type = "file", path = "{token_file}" }}
        federation_rule_id = "{world.ids.federation_rule_id}"
        organization_id = "{world.ids.organization_id}"
        service_account_id = "{world.ids.service_account_id}"
        base_url = "{world.stub.url}"
        """
    )
    config.chmod(0o600)
    with load(config, environ={"HOME": str(tmp_path)}, cwd=tmp_path) as toolkit:
        broker = toolkit.broker()
        for number in (1, 2):
            token_file.write_text(world.issuer.token(ME).reveal())
            lease = broker.refresh("claude") if number > 1 else broker.lease("claude")
            assert (lease.generation, lease.ref) == (number, REF)
        with claude.connect("claude", broker=broker, base_url=world.stub.url) as client:
            assert client.messages.create(**HELLO).content
        assert broker.target("claude").base_url == world.stub.url
    assert world.exchanges == [200, 200]
