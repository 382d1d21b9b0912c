"""A server that misbehaves in every way that the fault server knows; the deadline holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.message import Reply
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ProviderError, SecretkitError, SecretNotFoundError
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.fault import FAULTS, FaultServer, answer, ok, redirect, status
from secretkit.testing.trace import assert_no_trace
from vaulted import bao, opened, world

__all__ = ["bao"]

WAIT = timedelta(seconds=10)
READ = SecretRef.parse("vault:kv/app#key")
LEASE = SecretRef.parse("vault:database/creds/app")
CANARY = "hvs.canary-" + "k3" * 12


def made(server, **options):
    auth = {"method": "token", "token": "memory:token"}
    table = {"address": server.url, "auth": auth, **options}
    return VaultProvider.open(table, world({"token": CANARY}))


@pytest.fixture
def server():
    with FaultServer() as one:
        one.play(ok(json=b'{"data":{"ttl":0}}'), path="/v1/auth/token/lookup-self")
        mount = {"path": "database/", "type": "database", "options": None}
        one.play(ok(json=json.dumps({"data": mount}).encode()), path="/v1/sys/internal")
        yield one


@pytest.mark.parametrize(
    "path", ["/v1/kv/data/app", "/v1/auth/token/lookup-self", "/v1/sys/internal"]
)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_each_fault_is_one_typed_error_within_the_deadline(server, fault, path):
    server.play(fault, path="" if fault.deaf else path)
    provider = made(server, **({} if path == "/v1/sys/internal" else {"kv_version": "2"}))
    clock = SystemClock()
    began = clock.monotonic()
    with pytest.raises(ProviderError) as caught:
        provider.fetch(READ, timeout=timedelta(seconds=0.4))
    assert clock.monotonic() - began < 0.9
    assert caught.value.ref == str(READ)
    assert caught.value.hint
    assert caught.value.retryable
    assert not isinstance(caught.value, (AccessDeniedError, SecretNotFoundError))
    assert_no_trace(caught.value, CANARY)


def test_a_redirect_to_another_host_does_not_take_the_token_there():
    with FaultServer() as server, FaultServer() as elsewhere:
        server.play(redirect(elsewhere.url))
        with pytest.raises(ProviderError):
            made(server, kv_version="2").fetch(READ, timeout=WAIT)
        assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "given",
    [
        b'{"data":null}',
        b'{"data":{"data":null,"metadata":{"version":1}}}',
        b'{"data":{"data":{"key":"v"},"metadata":{}}}',
        b'{"data":{"data":[1],"metadata":{"version":1}}}',
    ],
)
def test_an_answer_that_is_no_document_of_kv_is_one_clear_error(server, given):
    server.play(ok(json=given), path="/v1/kv/data/app")
    with pytest.raises(ProviderError, match="not a document") as caught:
        made(server, kv_version="2").fetch(READ, timeout=WAIT)
    assert caught.value.hint


@pytest.mark.parametrize(
    "given",
    [
        {"data": None},
        {"data": {}},
        {"data": {"a": "b"}, "lease_id": 7},
        {"data": {"a": "b"}, "lease_id": "a\nb"},
        {"data": {"a": "b"}, "lease_id": "x" * 300},
    ],
    ids=str,
)
def test_an_answer_that_is_no_lease_is_one_clear_error(server, given):
    server.play(ok(json=json.dumps(given).encode()), path="/v1/database/creds/app")
    with pytest.raises(ProviderError) as caught:
        made(server).fetch(LEASE, timeout=WAIT)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("life", "seconds"), [(60, 60), (0, None), (-5, None), (10**18, 315_360_000), (True, None)]
)
def test_a_lease_of_an_odd_life_ends_where_a_date_can_say_it(server, life, seconds):
    given = {"data": {"a": "b"}, "lease_id": "database/creds/app/1", "lease_duration": life}
    server.play(ok(json=json.dumps(given).encode()), path="/v1/database/creds/app")
    before = SystemClock().now()
    found = made(server).fetch(LEASE, timeout=WAIT)
    if seconds is None:
        assert found.expires_at is None
    else:
        left = (found.expires_at - before).total_seconds()
        assert seconds <= left < seconds + 5


@pytest.mark.parametrize("code", [412, 500, 502, 504])
def test_a_server_that_fails_has_not_refused(server, code):
    server.play(status(code), path="/v1/kv/data/app")
    with pytest.raises(ProviderError) as caught:
        made(server, kv_version="2").fetch(READ, timeout=WAIT)
    assert not isinstance(caught.value, AccessDeniedError)
    assert caught.value.hint


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405])
@pytest.mark.parametrize(
    "path", ["/v1/kv/data/app", "/v1/auth/token/lookup-self", "/v1/sys/internal"]
)
def test_a_page_of_a_proxy_is_no_refusal_whatever_its_status(server, path, code):
    page = {"content-type": "text/html"}
    reply = Reply(status=code, headers={**page, "content-length": "3"}, body=b"<p>")
    server.play(answer(reply), path=path)
    provider = made(server, **({} if path == "/v1/sys/internal" else {"kv_version": "2"}))
    with pytest.raises(ProviderError, match="is not Vault") as caught:
        provider.fetch(READ, timeout=WAIT)
    assert caught.value.retryable
    assert not isinstance(caught.value, (AccessDeniedError, SecretNotFoundError))


def test_a_mount_that_is_being_upgraded_is_worth_another_try(server):
    said = b'{"errors":["Upgrading from non-versioned to versioned data. This backend will be"]}'
    head = {"content-type": "application/json", "content-length": str(len(said))}
    server.play(answer(Reply(status=400, headers=head, body=said)), path="/v1/kv/data/app")
    with pytest.raises(ProviderError, match="being made version 2") as caught:
        made(server, kv_version="2").fetch(READ, timeout=WAIT)
    assert caught.value.retryable


def test_the_environment_is_not_looked_into(bao, server):
    """Other addresses, tokens, proxies and certificates there change nothing."""
    bao.write("kv/data/quiet", data={"key": "the-value"})
    script = """
import sys
from datetime import timedelta
sys.path.insert(0, "tests")
from secretkit.core.ref import SecretRef
from secretkit.providers.vault.provider import VaultProvider
from vaulted import world
address, token = sys.stdin.read().split()
auth = {"method": "token", "token": "memory:token"}
made = VaultProvider.open({"address": address, "auth": auth}, world({"token": token}))
found = made.fetch(SecretRef.parse("vault:kv/quiet#key"), timeout=timedelta(seconds=10))
print(found.secret.reveal() == "the-value")
"""
    environ = {
        "PATH": os.environ["PATH"],  # noqa: TID251 - a child of the test's own
        "VAULT_ADDR": server.url,
        "VAULT_TOKEN": "another",
        "VAULT_NAMESPACE": "another",
        "VAULT_CACERT": "/does/not/exist",
        "VAULT_CLIENT_CERT": "/does/not/exist",
        "VAULT_CLIENT_KEY": "/does/not/exist",
        "BAO_ADDR": server.url,
        "HTTP_PROXY": server.url,
        "http_proxy": server.url,
        "ALL_PROXY": server.url,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=f"{bao.url}\n{bao.root.reveal()}",
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "True", done.stderr
    assert server.connections == 0


def test_without_hvac_the_extra_is_named():
    script = """
import sys
from datetime import timedelta
sys.modules["hvac"] = None
sys.path.insert(0, "tests")
from secretkit.core.ref import SecretRef
from secretkit.errors import ProviderUnavailableError
from secretkit.providers.vault.provider import VaultProvider
from vaulted import world
auth = {"method": "token", "token": "memory:token"}
made = VaultProvider.open({"address": "https://127.0.0.1:1", "auth": auth}, world({"token": "x"}))
try:
    made.fetch(SecretRef.parse("vault:kv/a#b"), timeout=timedelta(seconds=10))
except ProviderUnavailableError as error:
    print(error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == 'pip install "secretkit[vault]"', done.stderr


def test_a_value_too_large_for_a_request_is_refused_without_a_trace_of_it(bao):
    large = CANARY + "\\" * (1024 * 1024 - 100)
    with pytest.raises(Exception, match="too large") as caught:
        opened(bao).write(SecretRef.parse("vault:kv/large#key"), Secret(large))
    assert_no_trace(caught.value, CANARY)


@pytest.mark.parametrize("ref", [READ, LEASE], ids=["kv", "lease"])
def test_a_document_too_large_for_a_secret_is_refused_without_a_trace_of_it(server, ref):
    large = {"key": CANARY, "other": "\N{SNOWMAN}" * 200_000}  # JSON escapes double its size
    body = {"data": {"data": large, "metadata": {"version": 1}} if ref == READ else large}
    given = ok(json=json.dumps(body, ensure_ascii=False).encode())
    server.play(given, path="/v1/kv/data/app")
    server.play(given, path="/v1/database/creds/app")
    provider = made(server, **({"kv_version": "2"} if ref == READ else {}))
    with pytest.raises(ProviderError, match="too large") as caught:
        provider.fetch(ref, timeout=WAIT)
    assert_no_trace(caught.value, CANARY)


JUNK = (
    *({"data": one} for one in (None, [], "x", 7, {"keys": 7}, {"secret": []})),
    *({"data": {"data": {"k": "v"}, "metadata": one}} for one in ([], None, {"version": []})),
    *({"data": {"current_version": 1, "versions": one}} for one in ([], {"1": 7}, {"1": []})),
    *({"data": {"path": "kv/", "type": "kv", "options": one}} for one in ([], 7, {"version": 2})),
    *({"auth": one, "lease_duration": one} for one in ([], "x", {"lease_duration": "x"})),
    {"data": {"ttl": "x", "policies": 7, "expiration": 10**30}, "lease_id": []},
    {"data": {"keys": [7, "", "/", "a/b"], "current_version": True}},
    {"data": {"version": [], "created_time": "yesterday", "plaintext": 7}},
)


@pytest.mark.parametrize("junk", JUNK, ids=str)
def test_an_answer_of_another_shape_is_never_an_error_of_another_kind(junk):
    with FaultServer() as server:
        server.play(ok(json=json.dumps(junk).encode()))
        for options in ({}, {"kv_version": "2"}, {"kv_version": "1"}):
            provider = made(server, **options)
            steps = [
                lambda p=provider: p.fetch(READ, timeout=WAIT),
                lambda p=provider: p.fetch(LEASE, timeout=WAIT),
                lambda p=provider: p.fetch(replace(READ, path="transit/decrypt/a"), timeout=WAIT),
                lambda p=provider: p.write(READ, Secret("v")),
                lambda p=provider: p.delete(READ),
                lambda p=provider: p.renew("1:database/creds/app/1", timeout=WAIT),
                lambda p=provider: p.revoke("1:database/creds/app/1", timeout=WAIT),
                lambda p=provider: p.probe(timeout=WAIT),
                provider.close,
            ]
            if options != {"kv_version": "1"}:
                steps += [provider.names, lambda p=provider: p.version(READ, timeout=WAIT)]
            for step in steps:
                with suppress(SecretkitError):
                    step()
