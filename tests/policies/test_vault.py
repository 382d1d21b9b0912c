"""Each Vault policy is enough for its job on a real OpenBao, and has no part to spare.

The broker, KV and transit jobs are done by VaultProvider itself. What no code of ours does yet
(destroying a version, secret ids, static roles) are the requests of the rotation design.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from policies import hcl
from policies.bench import TIMEOUT
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.testing.bao import find_bao

FOLDER = Path(__file__).parents[2] / "policies/vault"
KV, ROTATED = "secret/data/secretkit", "secret/data/secretkit/rotated"
ROLE = "auth/approle/role/secretkit"


def renewed(worker, ref):
    """Use the token again after two thirds of its life; then it is renewed first."""
    worker.fetch(ref)
    worker.pass_time()
    worker.fetch(ref)


def broker(worker):
    worker.fetch("vault:secret/secretkit/claude#key")
    ref = SecretRef.parse("vault:secret/secretkit/claude")
    worker.provider.version(ref, timeout=TIMEOUT)
    worker.provider.probe(timeout=TIMEOUT)
    leased = worker.fetch("vault:database/creds/secretkit")
    worker.provider.renew(leased.handle, timeout=TIMEOUT)
    worker.provider.revoke(leased.handle, timeout=TIMEOUT)
    renewed(worker, "vault:secret/secretkit/claude#key")


def rotator_kv(worker):
    ref = SecretRef.parse("vault:secret/secretkit/rotated/claude#key")
    before = worker.provider.version(ref, timeout=TIMEOUT)
    pending = SecretRef.parse("vault:secret/secretkit/rotated/claude-pending#key")
    worker.provider.write(pending, Secret("next"), expected_version="0")
    after = worker.provider.write(ref, Secret("next"), expected_version=before)
    assert worker.fetch(str(ref)).secret == Secret("next")
    assert after.version != before
    worker.ask("POST", "secret/destroy/secretkit/rotated/claude", versions=[int(before)])
    worker.ask("POST", "secret/destroy/secretkit/rotated/claude-pending", versions=[1])
    renewed(worker, str(ref))


def rotator_approle(worker):
    worker.ask("GET", f"{ROLE}/role-id")
    old = worker.ask("POST", f"{ROLE}/secret-id")["secret_id_accessor"]
    worker.ask("POST", f"{ROLE}/secret-id")
    assert old in worker.ask("LIST", f"{ROLE}/secret-id")["keys"]
    worker.ask("POST", f"{ROLE}/secret-id-accessor/lookup", secret_id_accessor=old)
    worker.ask("POST", f"{ROLE}/secret-id-accessor/destroy", secret_id_accessor=old)
    assert old not in worker.ask("LIST", f"{ROLE}/secret-id")["keys"]
    worker.ask("POST", "auth/token/renew-self")
    worker.ask("POST", "auth/token/revoke-self")


def rotator_database(worker):
    before = worker.ask("GET", "database/static-creds/secretkit-rotated")["password"]
    worker.ask("POST", "database/rotate-role/secretkit-rotated")
    assert worker.ask("GET", "database/static-creds/secretkit-rotated")["password"] != before
    worker.ask("POST", "auth/token/renew-self")
    worker.ask("POST", "auth/token/revoke-self")


def transit(worker):
    text = base64.b64encode(b"a key to wrap").decode()
    sealed = worker.ask("POST", "transit/encrypt/secretkit", plaintext=text)["ciphertext"]
    assert worker.ask("GET", "transit/keys/secretkit")["latest_version"] >= 1
    again = worker.ask("POST", "transit/rewrap/secretkit", ciphertext=sealed)["ciphertext"]
    renewed(worker, f"vault:transit/decrypt/secretkit#{again}")
    assert worker.fetch(f"vault:transit/decrypt/secretkit#{again}").secret == Secret(
        "a key to wrap"
    )


JOBS = {
    "broker": broker,
    "rotator-kv": rotator_kv,
    "rotator-approle": rotator_approle,
    "rotator-database": rotator_database,
    "transit": transit,
}

# What no policy here may do, whatever its job.
NEVER = [
    ("GET", "sys/policies/acl/under-test", {}),
    ("POST", "sys/policies/acl/under-test", {"policy": 'path "*" { capabilities = ["sudo"] }'}),
    ("POST", "auth/token/create", {}),
    ("POST", "auth/approle/role/job", {"token_policies": ["root"]}),
    ("LIST", "auth/token/accessors", {}),
    ("POST", "auth/token/revoke", {"token": "x"}),
    ("POST", "auth/token/lookup", {"token": "x"}),
    ("POST", "sys/leases/lookup", {"lease_id": "database/creds/other/x"}),
    ("POST", "sys/leases/renew", {"lease_id": "database/creds/other/x"}),
    ("POST", "sys/leases/revoke", {"lease_id": "database/creds/other/x"}),
    ("POST", "sys/leases/revoke", {"lease_id": "auth/approle/login/x"}),
    ("POST", "sys/leases/revoke/database/creds/other/x", {}),
    ("POST", "sys/leases/revoke-prefix/database", {}),
    ("POST", "sys/capabilities", {"paths": ["x"]}),
    ("GET", "sys/mounts", {}),
    ("POST", "sys/seal", {}),
    ("GET", "secret/data/payroll/claude", {}),
    ("GET", "secret/data/secretkit-x/claude", {}),
    ("GET", "secret/data/secretkit", {}),
    ("GET", "secret/metadata/payroll/claude", {}),
    ("GET", "secret/metadata/secretkit-x/claude", {}),
    ("LIST", "secret/metadata/secretkit", {}),
    ("GET", "secret/config", {}),
    ("GET", "database/creds/other", {}),
    ("GET", "database/static-creds/other-rotated", {}),
    ("GET", "database/config/postgres", {}),
    ("POST", "transit/encrypt/other", {"plaintext": "eA=="}),
    ("POST", "transit/decrypt/other", {"ciphertext": "vault:v1:x"}),
    ("POST", "transit/keys/secretkit/rotate", {}),
    ("GET", "transit/export/encryption-key/secretkit", {}),
    ("GET", "auth/approle/role/other/role-id", {}),
]
# Where a job may read below secretkit/, this is the neighbour of its own part.
ROTATORS = [
    ("GET", f"{KV}/claude", {}),
    ("GET", f"{KV}/rotated-x/claude", {}),
    ("POST", f"{KV}/rotated-x/claude", {"data": {}}),
    ("GET", "secret/metadata/secretkit/rotated-x/claude", {}),
    ("POST", "secret/destroy/secretkit/rotated-x/claude", {"versions": [1]}),
    ("POST", "secret/destroy/secretkit/claude", {"versions": [1]}),
    ("GET", "secret/metadata/secretkit/claude", {}),
    ("POST", "database/rotate-role/other-rotated", {}),
    ("POST", "database/rotate-root/postgres", {}),
    ("GET", "database/creds/secretkit", {}),
    ("GET", ROLE, {}),
    ("POST", ROLE, {"token_policies": ["root"]}),
    ("POST", f"{ROLE}/custom-secret-id", {"secret_id": "chosen"}),
    ("POST", "auth/approle/role/other/secret-id", {}),
    ("LIST", "auth/approle/role/other/secret-id", {}),
    ("POST", f"{ROLE}/secret-id/destroy", {"secret_id": "x"}),
]
BROKER = [
    ("POST", f"{KV}/claude", {"data": {"key": "changed"}}),
    ("GET", "database/static-creds/secretkit-rotated", {}),
    ("POST", "database/rotate-role/secretkit-rotated", {}),
    ("POST", f"{ROLE}/secret-id", {}),
]
METHODS = {"read": "GET", "list": "LIST", "delete": "DELETE", "patch": "PATCH"}


def policy(name):
    return hcl.read((FOLDER / f"{name}.hcl").read_text())


def cases(name):
    """What has to be refused: what is not said of its own paths, what is beside them, the rest."""
    own = [
        (METHODS.get(one, "POST"), block.sample, {})
        for block in policy(name)
        for one in hcl.CAPABILITIES
        if one not in block.can and not (one == "create" and "update" in block.can)
    ]
    beside = [
        (METHODS.get(one, "POST"), f"{block.head}/beside", {})
        for block in policy(name)
        for one in block.can
    ]
    return [*own, *beside, *NEVER, *(BROKER if name == "broker" else ROTATORS)]


@pytest.fixture
def ready(bench):
    """The secrets that the jobs are about, as new."""

    def write():
        for name in ("claude", "rotated/claude", "rotated-x/claude"):
            bench.bao.write(f"{KV}/{name}", data={"key": "first"})
        bench.bao.ask("DELETE", "secret/metadata/secretkit/rotated/claude-pending")
        return bench

    return write


def test_every_policy_has_a_job():
    assert {path.stem for path in FOLDER.glob("*.hcl")} == JOBS.keys()


@pytest.mark.parametrize("name", JOBS)
def test_the_job_runs_under_its_policy_alone(name, ready):
    assert ready().refused(hcl.text(policy(name)), JOBS[name]) == []


@pytest.mark.parametrize("name", JOBS)
def test_without_any_one_capability_the_job_is_refused_something(name, ready):
    mutants = dict(hcl.narrowed(policy(name)))
    for mutant, changed in mutants.items():
        refused = ready().refused(changed, JOBS[name])
        assert refused, f"{name}: the job needs no {mutant}"
        print(f"{mutant} -> refused: {' '.join(refused[0])}")


@pytest.mark.parametrize("name", JOBS)
def test_what_is_not_its_job_is_refused(name, bench):
    tried = cases(name)
    assert len(tried) >= 10
    assert bench.passed(hcl.text(policy(name)), tried) == []


@pytest.mark.parametrize("name", JOBS)
def test_with_any_one_path_widened_something_else_is_let_through(name, ready):
    mutants = dict(hcl.widened(policy(name)))
    for mutant, changed in mutants.items():
        passed = ready().passed(changed, cases(name))
        assert passed, f"{name}: no case notices {mutant}"
        print(f"{mutant} -> lets through {passed[0]}")


@pytest.mark.parametrize("name", JOBS)
def test_the_server_says_the_same_of_its_capabilities(name, bench):
    blocks = policy(name)
    expected = {block.sample: set(block.can) for block in blocks}
    expected |= {"sys/policies/acl/under-test": {"deny"}, "secret/data/payroll/x": {"deny"}}
    assert bench.capabilities(hcl.text(blocks), list(expected)) == expected


@pytest.mark.parametrize("name", JOBS)
def test_it_is_written_as_the_server_would_write_it(name, bench, tmp_path):
    copy = tmp_path / f"{name}.hcl"
    shutil.copy(FOLDER / copy.name, copy)
    subprocess.run([find_bao(), "policy", "fmt", str(copy)], check=True, capture_output=True)
    assert copy.read_text() == (FOLDER / copy.name).read_text()


@pytest.mark.parametrize("name", JOBS)
def test_no_path_is_made_of_what_people_choose(name):
    for block in policy(name):
        assert "{{" not in block.path
        assert "+" not in block.path
        assert "*" not in block.path.removesuffix("/*")
