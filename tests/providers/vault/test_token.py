"""The token keeper: one login for all threads, renewed in time, and no storm after a failure."""

from __future__ import annotations

import json
import os
import threading
from datetime import timedelta

import pytest

from secretkit.core.message import Reply
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ProviderError, ProviderUnavailableError
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.clock import FakeClock
from secretkit.testing.contract_hooks import in_threads
from secretkit.testing.fault import HANG, FaultServer, answer, ok, status
from vaulted import bao, fresh, world

__all__ = ["bao"]

WAIT = timedelta(seconds=10)
SECOND = timedelta(seconds=1)
READ = SecretRef.parse("vault:kv/app#key")
LOGIN = "/v1/auth/userpass/login/u"
RENEW = "/v1/auth/token/renew-self"
LOOKUP = "/v1/auth/token/lookup-self"
REVOKE = "/v1/auth/token/revoke-self"
DATA = "/v1/kv/data/app"
SHOWN = "pass-" + "word"


def granting(seconds, *, renewable=True, token="token-1"):  # noqa: S107 - a made-up one
    auth = {"client_token": token, "lease_duration": seconds, "renewable": renewable}
    return ok(json=json.dumps({"auth": auth}).encode())


class Stand:
    """A server that says what a test wants, and a provider that logs in there by userpass."""

    def __init__(self):
        self.clock = FakeClock()
        self.server = FaultServer()
        self.server.play(granting(5), path=LOGIN)
        self.server.play(granting(5), path=RENEW)
        self.server.play(ok(json=b'{"data":{"ttl":5}}'), path=LOOKUP)
        document = {"data": {"data": {"key": "value"}, "metadata": {"version": 1}}}
        self.server.play(ok(json=json.dumps(document).encode()), path=DATA)
        auth = {"method": "userpass", "username": "u", "password": "memory:password"}
        self.provider = VaultProvider.open(
            {"address": self.server.url, "auth": auth, "kv_version": "2"},
            world({"password": SHOWN}, clock=self.clock),
        )

    def fetch(self):
        return self.provider.fetch(READ, timeout=WAIT)

    def count(self, path):
        return sum(one.path == path for one in self.server.requests)

    def tokens(self):
        """The token that each read was asked with, in order."""
        return [one.headers["x-vault-token"] for one in self.server.requests if one.path == DATA]


@pytest.fixture
def stand():
    made = Stand()
    yield made
    made.server.close()


def test_twenty_threads_that_need_a_token_log_in_once(stand):
    assert {one.secret == Secret("value") for one in in_threads(lambda _: stand.fetch())} == {True}
    assert stand.count(LOGIN) == 1


def test_a_token_of_five_seconds_lives_a_minute_on_one_login_and_few_renewals(stand):
    for _ in range(240):
        stand.fetch()
        stand.clock.advance(SECOND / 4)
    assert stand.count(LOGIN) == 1
    assert 15 <= stand.count(RENEW) <= 60 / 3.3 + 2


def test_a_token_is_replaced_ahead_of_the_end_of_what_renewals_grant(stand):
    stand.fetch()
    stand.server.play(granting(2), path=RENEW)  # what is left of max_ttl
    stand.server.play(granting(5, token="token-2"), path=LOGIN)
    stand.clock.advance(4 * SECOND)
    stand.fetch()
    assert (stand.count(RENEW), stand.count(LOGIN)) == (1, 2)
    assert stand.tokens() == ["token-1", "token-2"]


def test_a_token_that_cannot_be_renewed_is_replaced_at_two_thirds(stand):
    stand.server.play(granting(6, renewable=False), path=LOGIN)
    stand.fetch()
    stand.clock.advance(3 * SECOND)
    stand.fetch()
    assert stand.count(LOGIN) == 1
    stand.clock.advance(SECOND * 1.5)
    stand.fetch()
    assert (stand.count(RENEW), stand.count(LOGIN)) == (0, 2)


@pytest.mark.parametrize("fault", [status(503), status(502), status(429)], ids=lambda one: one.name)
def test_a_renewal_that_fails_leaves_the_token_to_its_end_and_is_not_repeated_at_once(stand, fault):
    stand.fetch()
    stand.server.play(fault, path=RENEW)
    stand.clock.advance(SECOND * 3.5)
    for _ in range(10):
        stand.fetch()
    assert (stand.count(RENEW), stand.count(LOGIN)) == (1, 1)
    stand.clock.advance(SECOND * 2)
    stand.fetch()  # it has ended: the failed renewal does not delay the login
    assert (stand.count(RENEW), stand.count(LOGIN)) == (1, 2)


def test_a_renewal_past_max_ttl_which_openbao_answers_with_500_is_a_new_login(stand):
    stand.fetch()
    stand.server.play(status(500), path=RENEW)
    stand.clock.advance(SECOND * 3.5)
    stand.fetch()
    assert (stand.count(RENEW), stand.count(LOGIN)) == (1, 2)


@pytest.mark.parametrize(("end", "asked"), [("2026-11-24T00:00:00Z", 2), (None, 1)])
def test_a_token_in_its_last_second_is_not_taken_for_one_without_an_end(end, asked):
    clock = FakeClock()
    document = {"data": {"data": {"key": "value"}, "metadata": {"version": 1}}}
    with FaultServer() as server:
        looked = {"data": {"ttl": 0, "renewable": False, "expire_time": end}}
        server.play(ok(json=json.dumps(looked).encode()), path=LOOKUP)
        server.play(ok(json=json.dumps(document).encode()), path=DATA)
        provider = VaultProvider.open(
            {
                "address": server.url,
                "auth": {"method": "token", "token": "memory:token"},
                "kv_version": "2",
            },
            world({"token": SHOWN}, clock=clock),
        )
        for _ in range(2):
            provider.fetch(READ, timeout=WAIT)
            clock.advance(SECOND)
        assert sum(one.path == LOOKUP for one in server.requests) == asked


def test_after_a_failed_login_nobody_asks_until_a_pause_that_doubles_is_over(stand):
    stand.server.play(status(500), path=LOGIN)
    for _ in range(600):
        with pytest.raises(ProviderError):
            stand.fetch()
        stand.clock.advance(SECOND / 10)
    assert 5 <= stand.count(LOGIN) <= 8  # 0.5, 1, 2, 4, 8, 16, 30 s
    stand.server.play(granting(5), path=LOGIN)
    stand.clock.advance(31 * SECOND)
    assert stand.fetch().secret == Secret("value")


def test_twenty_threads_share_a_failed_login_each_with_its_own_reference(stand):
    stand.server.play(status(403), path=LOGIN)

    def ask(number):
        ref = SecretRef("vault", f"kv/app{number}", field="key")
        with pytest.raises(AccessDeniedError) as caught:
            stand.provider.fetch(ref, timeout=WAIT)
        return caught.value.ref == str(ref) and str(ref) in str(caught.value)

    assert set(in_threads(ask)) == {True}
    assert stand.count(LOGIN) == 1


@pytest.mark.parametrize("wait", ["1e9", "-5", "0", "1000000000"])
def test_a_silly_retry_after_delays_a_login_by_half_a_minute_at_most(stand, wait):
    stand.server.play(status(429, headers={"retry-after": wait}), path=LOGIN)
    with pytest.raises(ProviderError):
        stand.fetch()
    stand.server.play(granting(5), path=LOGIN)
    stand.clock.advance(31 * SECOND)
    assert stand.fetch().secret == Secret("value")


def test_a_dead_token_is_replaced_once_and_the_request_sent_again(stand):
    stand.fetch()
    stand.server.play(status(403), path=DATA)
    stand.server.play(status(403), path=LOOKUP)
    stand.server.play(granting(5, token="token-2"), path=LOGIN)
    with pytest.raises(AccessDeniedError):
        stand.fetch()
    assert stand.tokens() == ["token-1", "token-1", "token-2"]
    assert stand.count(LOGIN) == 2
    for _ in range(5):  # a token that may not look itself up is not taken for dead again
        with pytest.raises(AccessDeniedError):
            stand.fetch()
    assert stand.count(LOGIN) == 2


def test_a_token_that_cannot_see_itself_and_is_refused_is_replaced_each_half_minute_at_most(stand):
    for path in (LOGIN, RENEW):
        stand.server.play(granting(36_000), path=path)
    for path in (DATA, LOOKUP):
        stand.server.play(status(403), path=path)
    for _ in range(120):
        with pytest.raises(AccessDeniedError):
            stand.fetch()
        stand.clock.advance(SECOND)
    assert 4 <= stand.count(LOGIN) <= 6


def test_a_refusal_by_policy_costs_no_login(stand):
    stand.fetch()
    stand.server.play(status(403), path=DATA)
    for _ in range(5):
        with pytest.raises(AccessDeniedError):
            stand.fetch()
    assert (stand.count(LOGIN), stand.count(LOOKUP)) == (1, 5)


def test_a_jump_of_the_wall_clock_costs_no_login_and_no_renewal(stand):
    stand.fetch()
    for hours in (-1, 25):
        stand.clock.jump_wall(timedelta(hours=hours))
        stand.fetch()
    assert (stand.count(LOGIN), stand.count(RENEW)) == (1, 0)


def test_a_login_that_hangs_holds_nobody_past_the_deadline(stand):
    from secretkit.broker.clock import SystemClock

    stand.server.play(HANG, path=LOGIN)
    auth = {"method": "userpass", "username": "u", "password": "memory:password"}
    provider = VaultProvider.open(
        {"address": stand.server.url, "auth": auth, "kv_version": "2"}, world({"password": SHOWN})
    )
    clock = SystemClock()

    def ask(_):
        began = clock.monotonic()
        with pytest.raises(ProviderError):
            provider.fetch(READ, timeout=SECOND / 2)
        return clock.monotonic() - began

    assert max(in_threads(ask)) < 1.5


def test_closing_revokes_the_token_and_a_later_fetch_logs_in_again(stand):
    stand.fetch()
    stand.provider.close()
    stand.provider.close()
    assert stand.count(REVOKE) == 1
    stand.fetch()
    assert stand.count(LOGIN) == 2


def test_a_forked_child_logs_in_for_itself_and_ends_only_its_own_token(stand):
    stand.fetch()
    stand.server.play(granting(5, token="token-child"), path=LOGIN)
    child = os.fork()
    if not child:
        code = 1
        try:
            stand.fetch()
            stand.provider.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    stand.fetch()
    assert stand.tokens() == ["token-1", "token-child", "token-1"]
    ended = [r.headers["x-vault-token"] for r in stand.server.requests if r.path == REVOKE]
    assert ended == ["token-child"]


def test_a_forked_child_is_not_held_by_a_login_of_the_parents(stand):
    stand.server.play(HANG, path=LOGIN)

    def ask():
        with pytest.raises(ProviderError):
            stand.fetch()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    waiting = threading.Event()
    for _ in range(500):
        if stand.count(LOGIN):
            break
        waiting.wait(0.01)
    stand.server.play(granting(5), path=LOGIN)
    child = os.fork()
    if not child:
        code = 1
        try:
            stand.fetch()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    stand.server.close()
    thread.join(10)


# -- a real server ---------------------------------------------------------------------------------


def test_on_a_real_server_a_short_token_outlives_its_max_ttl_by_new_logins(bao):
    name = fresh("short")
    bao.policy(name, 'path "kv/data/short" { capabilities = ["read"] }')
    bao.write("kv/data/short", data={"key": "value"})
    if "userpass/" not in bao.read("sys/auth")["data"]:
        bao.write("sys/auth/userpass", type="userpass")
    bao.write(
        f"auth/userpass/users/{name}",
        password=SHOWN,
        token_policies=name,
        token_ttl="2s",
        token_max_ttl="4s",
    )
    auth = {"method": "userpass", "username": name, "password": "memory:password"}
    provider = VaultProvider.open({"address": bao.url, "auth": auth}, world({"password": SHOWN}))
    ref = SecretRef.parse("vault:kv/short#key")
    waiting = threading.Event()
    for _ in range(60):
        assert provider.fetch(ref, timeout=WAIT).secret == Secret("value")
        waiting.wait(0.1)


def test_a_revoked_token_on_a_real_server_is_replaced_within_the_same_fetch(bao):
    name = fresh("revoked")
    bao.policy(name, 'path "kv/data/revoked" { capabilities = ["read"] }')
    bao.write("kv/data/revoked", data={"key": "value"})
    if "userpass/" not in bao.read("sys/auth")["data"]:
        bao.write("sys/auth/userpass", type="userpass")
    bao.write(f"auth/userpass/users/{name}", password=SHOWN, token_policies=name)
    auth = {"method": "userpass", "username": name, "password": "memory:password"}
    provider = VaultProvider.open({"address": bao.url, "auth": auth}, world({"password": SHOWN}))
    ref = SecretRef.parse("vault:kv/revoked#key")
    provider.fetch(ref, timeout=WAIT)
    bao.ask("PUT", "sys/leases/revoke-prefix/auth/userpass/login/" + name)
    assert provider.fetch(ref, timeout=WAIT).secret == Secret("value")
    with pytest.raises(AccessDeniedError):
        provider.fetch(SecretRef.parse("vault:kv/other#key"), timeout=WAIT)


# -- what an answer means --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (503, "Vault is sealed"),
        (501, "Vault is not initialised"),
        (429, "a standby"),
        (473, "a standby"),
        (200, "cannot answer now"),
    ],
)
def test_a_503_is_explained_by_the_servers_health(stand, health, said):
    stand.fetch()
    stand.server.play(status(503), path=DATA)
    stand.server.play(status(health), path="/v1/sys/health")
    with pytest.raises(ProviderError, match=said) as caught:
        stand.fetch()
    assert caught.value.retryable
    assert caught.value.hint
    assert not isinstance(caught.value, AccessDeniedError)
    assert isinstance(caught.value, ProviderUnavailableError) == (health != 200)
    (seen,) = [one for one in stand.server.requests if one.path == "/v1/sys/health"]
    assert "x-vault-token" not in seen.headers


def test_a_standby_that_redirects_is_not_followed_with_the_token(stand):
    stand.fetch()
    with FaultServer() as elsewhere:
        reply = Reply(status=307, headers={"location": elsewhere.url + DATA})
        stand.server.play(answer(reply), path=DATA)
        with pytest.raises(ProviderUnavailableError, match="standby"):
            stand.fetch()
        assert elsewhere.connections == 0
