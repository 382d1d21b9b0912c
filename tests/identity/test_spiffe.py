"""SVIDs from a Workload API: errors told apart, forks, and both kinds."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from secretkit.broker.clock import SystemClock
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from secretkit.identity import open_identity, read_claims
from secretkit.identity.spiffe import WorkloadApi
from secretkit.testing.context import provider_context
from secretkit.testing.trustdomain import TrustDomain
from secretkit.testing.workload import WorkloadStub

ID = "spiffe://example.org/broker"
LIMIT = timedelta(seconds=10)


@pytest.fixture
def agent(tmp_path_factory):
    with WorkloadStub(tmp_path_factory.mktemp("w") / "a.sock") as stub:
        stub.register(ID)
        yield stub


def opened(agent, **options):
    table = {"type": "spiffe", "socket": agent.url, **options}
    return open_identity(table, audience="vault", context=provider_context())


def test_each_assertion_is_a_svid_of_its_own_that_the_trust_domain_takes(agent):
    identity = opened(agent)
    found = [identity.assertion(timeout=LIMIT) for _ in range(3)]
    said = [agent.domain.verify(one.secret.reveal(), audience="vault") for one in found]
    assert len({one["jti"] for one in said}) == 3
    assert {one.subject for one in found} == {ID}
    assert {one.issuer for one in found} == {"https://example.org"}
    assert agent.calls == ["FetchJWTSVID"] * 3


def test_a_svid_is_signed_by_the_new_key_right_after_a_rotation(agent):
    identity = opened(agent)
    identity.assertion(timeout=LIMIT)
    agent.rotate()
    agent.domain.retire()
    token = identity.assertion(timeout=LIMIT).secret
    assert agent.domain.verify(token.reveal(), audience="vault")


def test_one_of_several_identities_is_asked_for_by_its_name(agent):
    agent.register("spiffe://example.org/second")
    found = opened(agent, spiffe_id="spiffe://example.org/second").assertion(timeout=LIMIT)
    assert found.subject == "spiffe://example.org/second"
    with pytest.raises(AccessDeniedError):
        opened(agent, spiffe_id="spiffe://example.org/third").assertion(timeout=LIMIT)


def test_without_a_registration_entry_the_error_says_so(agent):
    agent.forget()
    with pytest.raises(AccessDeniedError, match="no registration entry") as caught:
        opened(agent).assertion(timeout=LIMIT)
    assert caught.value.ref == "spiffe"
    assert "entry create" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "kind", "text", "again"),
    [
        ("INVALID_ARGUMENT", ProviderError, "INVALID_ARGUMENT", False),
        ("UNAVAILABLE", ProviderUnavailableError, "nobody answers", True),
        ("DEADLINE_EXCEEDED", ProviderTimeoutError, "in time", True),
        ("UNIMPLEMENTED", ProviderError, "does not issue", False),
        ("INTERNAL", ProviderError, "INTERNAL", True),
    ],
)
def test_what_the_agent_answers_is_told_apart(agent, code, kind, text, again):
    agent.fail(code)
    with pytest.raises(ProviderError, match=text) as caught:
        opened(agent).assertion(timeout=LIMIT)
    assert type(caught.value) is kind
    assert caught.value.retryable is again
    assert caught.value.hint
    with pytest.raises(ProviderError, match=text):
        WorkloadApi(agent.url, context=provider_context()).x509(timeout=LIMIT)


def test_a_socket_that_is_not_there_or_not_named_is_one_clear_error(tmp_path):
    context = provider_context(environ={"SPIFFE_ENDPOINT_SOCKET": f"unix://{tmp_path}/none"})
    for table, world, text in (
        ({"socket": f"{tmp_path}/none.sock"}, provider_context(), "no Workload API at unix:///"),
        ({}, context, "no Workload API at"),
        ({}, provider_context(), "nothing says where"),
    ):
        identity = open_identity({"type": "spiffe", **table}, audience="vault", context=world)
        with pytest.raises(ProviderUnavailableError, match=text) as caught:
            identity.assertion(timeout=LIMIT)
        assert caught.value.hint


def test_the_environment_names_the_socket_where_the_table_does_not(agent):
    context = provider_context(environ={"SPIFFE_ENDPOINT_SOCKET": agent.url})
    identity = open_identity({"type": "spiffe"}, audience="vault", context=context)
    assert identity.assertion(timeout=LIMIT).subject == ID


@pytest.mark.parametrize(
    "options",
    [{"socket": "tcp://127.0.0.1:1"}, {"socket": "agent.sock"}, {"spiffe_id": "broker"}],
    ids=str,
)
def test_an_option_that_cannot_be_meant_is_refused(options):
    with pytest.raises(ConfigError) as caught:
        open_identity({"type": "spiffe", **options}, audience="a", context=provider_context())
    assert caught.value.key_path in options


def test_claude_wants_an_issuer_which_a_svid_need_not_have(tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "a.sock"
    with WorkloadStub(path, domain=TrustDomain(issuer="")) as agent:
        agent.register(ID)
        found = opened(agent).assertion(timeout=LIMIT)
        assert found.issuer == ""
        with pytest.raises(ProviderError, match="no claim 'iss'") as caught:
            read_claims(
                found.secret,
                ref="spiffe",
                audience="vault",
                now=SystemClock().now(),
                needs=("iss", "iat"),
            )
        assert "jwt_issuer" in caught.value.hint


def test_an_x509_svid_comes_with_its_key_and_the_authorities(agent):
    found = WorkloadApi(agent.url, context=provider_context()).x509(timeout=LIMIT)
    (leaf,) = x509.load_pem_x509_certificates(found.chain.encode())
    (authority,) = x509.load_pem_x509_certificates(found.authorities.encode())
    leaf.verify_directly_issued_by(authority)
    key = load_pem_private_key(found.key.reveal().encode(), None)
    assert key.public_key() == leaf.public_key()
    assert found.subject == ID
    assert found.expires_at == leaf.not_valid_after_utc
    assert "PRIVATE" not in repr(found)


FORK = """
import os, sys, threading
from datetime import timedelta
from secretkit.errors import ProviderUnavailableError
from secretkit.identity import open_identity
from secretkit.testing.context import provider_context

table = {"type": "spiffe", "socket": sys.argv[1]}
identity = open_identity(table, audience="vault", context=provider_context())

def ask():
    return identity.assertion(timeout=timedelta(seconds=10)).subject

assert ask() == ask()
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if ask() and ask() else 1)
    assert os.waitpid(child, 0)[1] == 0
print(ask())
"""


def test_a_forked_child_and_its_parent_can_both_ask(agent):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, agent.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{ID}\n"), done.stderr


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\n\r\n" * 100], ids=["nothing", "HTTP/1"])
def test_what_is_no_agent_costs_the_deadline(tmp_path_factory, says):
    path = tmp_path_factory.mktemp("w") / "a.sock"
    over = threading.Event()

    def speak():
        while not over.is_set():
            try:
                line, _ = door.accept()
            except TimeoutError:
                continue
            with line, suppress(OSError):
                line.sendall(says)
                over.wait(5)

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        door.settimeout(0.05)
        thread = threading.Thread(target=speak)
        thread.start()
        try:
            table = {"type": "spiffe", "socket": str(path)}
            identity = open_identity(table, audience="vault", context=provider_context())
            start = time.monotonic()
            with pytest.raises((ProviderTimeoutError, ProviderUnavailableError)) as caught:
                identity.assertion(timeout=timedelta(seconds=0.3))
            assert time.monotonic() - start < 0.8
            assert caught.value.hint
        finally:
            over.set()
            thread.join(10)
