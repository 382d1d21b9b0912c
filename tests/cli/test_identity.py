"""``secretkit identity``: what it prints, what it writes, and that no token is in either."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from secretkit.testing.contract_identity import AUDIENCE, make_token
from secretkit.testing.workload import WorkloadStub

ISSUER = """
[identity.issuer]
issuer_url = "https://id.example.org"
signing_key = "local:issuer"
socket = "{socket}"
publish = "~/public"
workloads = [{{ uid = {uid}, subject = "host/batch" }}]

[identity.batch]
type = "issuer"
socket = "{socket}"
audience = "https://api.anthropic.com"
"""


@pytest.fixture
def short(tmp_path_factory):
    return tmp_path_factory.mktemp("i")


@pytest.fixture
def place(stocked, short):
    with stocked.config.open("a") as config:
        config.write(ISSUER.format(socket=f"unix://{short}/s", uid=os.getuid()))
    return stocked


@pytest.fixture
def running(place, short):
    with place.start("identity", "issuer", "--listen", "0") as process:
        first = process.stderr.readline().decode()
        assert first.startswith("public keys: http://127.0.0.1:"), first
        process.stderr.readline()
        yield process, first.split()[-1]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert not (short / "s").exists()


def test_show_prints_what_a_rule_must_match_and_no_token(place, running):
    code, out, err = place.run("--json", "identity", "show", "batch")
    assert (code, err) == (0, b"")
    (row,) = json.loads(out)["assertions"]
    assert row["issuer"] == "https://id.example.org"
    assert row["subject"] == "host/batch"
    assert row["audience"] == "https://api.anthropic.com"
    assert b"eyJ" not in out
    code, out, _ = place.run("identity", "show", "batch", "--audience", "vault")
    assert (code, out.split(b"\t")[1:4]) == (
        0,
        [b"https://id.example.org", b"host/batch", b"vault"],
    )
    code, out, _ = place.run("audit", "tail", "-n", "1")
    assert b"secret.read" in out


def test_the_issuer_publishes_the_keys_that_verify_its_tokens(place, running, short):
    _, url = running
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - the address it said
        served = json.load(reply)
    assert served == json.loads((place.path / "public/jwks.json").read_text())
    code, out, _ = place.run("identity", "jwks")
    assert (code, json.loads(out)) == (0, served)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{short}/s")
        line.sendall(b'{"audience": "one"}\n')
        token = json.loads(line.makefile().readline())["token"]
    claims = jwt.decode(token, KeySet.import_key_set(served), algorithms=["ES256"]).claims
    assert claims["aud"] == "one"


def test_a_second_issuer_at_the_same_place_does_not_start(place, running):
    code, _, err = place.run("identity", "issuer")
    assert code == 2
    assert b"another issuer answers" in err


def test_an_issuer_without_a_table_says_where_one_is(stocked):
    code, _, err = stocked.run("identity", "issuer")
    assert code == 2
    assert b"docs/identity.md" in err


def test_a_key_that_is_wrong_is_named_with_its_file(place):
    text = place.config.read_text().replace('"https://id.example.org"', '"http://id.example.org"')
    place.config.write_text(text)
    code, _, err = place.run("identity", "jwks")
    assert code == 2
    assert b"secretkit.toml: identity.issuer.issuer_url" in err


def test_a_port_that_is_none_is_a_usage_error(place):
    for port in ("http", "70000", "-1", "\N{ARABIC-INDIC DIGIT ONE}"):
        code, _, err = place.run("identity", "issuer", f"--listen={port}")
        assert code == 2, port
        assert b"a port was expected" in err


def test_a_token_for_somebody_else_is_told_and_not_shown(stocked):
    token = make_token(aud="vault")
    path = stocked.path / "id.jwt"
    path.write_text(token)
    with stocked.config.open("a") as config:
        config.write(f'[identity.ci]\ntype = "file"\npath = "{path}"\naudience = "{AUDIENCE}"\n')
    code, out, err = stocked.run("identity", "show", "ci")
    assert (code, out) == (4, b"")
    assert b"is meant for vault, not for https://api.example.org" in err
    assert token.split(".")[2].encode() not in err


def test_a_credential_s_own_identity_can_be_shown(stocked):
    path = stocked.path / "id.jwt"
    path.write_text(make_token(aud="https://api.anthropic.com", iss=None))
    with stocked.config.open("a") as config:
        config.write(
            "[credentials.claude-prod]\n"
            'kind = "anthropic-federation"\n'
            'federation_rule_id = "fdrl_1"\n'
            'organization_id = "00000000-0000-0000-0000-000000000000"\n'
            f'identity = {{ type = "file", path = "{path}" }}\n'
        )
    code, out, err = stocked.run("identity", "show", "claude-prod")
    assert code == 0
    assert out.split(b"\t")[1:3] == [b"-", b"spiffe://example.org/batch"]
    assert b"Claude takes no token without iss" in err


@pytest.mark.parametrize("name", ["nobody", "env", "claude"])
def test_what_is_no_identity_is_told(stocked, name):
    code, _, err = stocked.run("identity", "show", name)
    assert code == 2
    assert b"is no identity" in err


def test_svid_writes_the_files_and_watches_for_new_ones(stocked, short):
    folder = stocked.path / "svid"
    with WorkloadStub(short / "a") as agent:
        agent.register("spiffe://example.org/broker")
        code, out, err = stocked.run("identity", "svid", str(folder), "--socket", agent.url)
        assert (code, out) == (0, b"")
        assert err.startswith(b"spiffe://example.org/broker until 20")
        first = (folder / "svid.pem").read_bytes()
        assert b"PRIVATE KEY" in first
        stocked.environ["SPIFFE_ENDPOINT_SOCKET"] = agent.url
        with stocked.start("identity", "svid", str(folder), "--watch") as watching:
            watching.stderr.readline()
            assert (folder / "svid.pem").read_bytes() != first
            watching.send_signal(signal.SIGTERM)
            assert watching.communicate(timeout=30)[0] == b""
        assert watching.returncode == 0
        agent.forget()
        code, _, err = stocked.run("identity", "svid", str(folder))
        assert code == 3
        assert b"no registration entry" in err


def test_the_stand_in_for_an_agent_runs_as_a_program(stocked, short):
    command = [sys.executable, "-m", "secretkit.testing.workload", f"{short}/a"]
    with subprocess.Popen([*command, "spiffe://example.org/ci"], stdout=subprocess.PIPE) as agent:
        stocked.environ["SPIFFE_ENDPOINT_SOCKET"] = agent.stdout.readline().decode().strip()
        code, out, _ = stocked.run("identity", "show", "spiffe", "--audience", "vault")
        agent.terminate()
    assert code == 0
    assert out.split(b"\t")[2] == b"spiffe://example.org/ci"
