"""secretkit aws: AWS's own SDKs take what it prints and serves."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.conftest import BIN, Home
from integration.test_node_sdk import absent
from secretkit.testing.aws import ACCOUNT, AwsStub, SigningKey, Trust

READER = f"arn:aws:iam::{ACCOUNT}:role/reader"
CONFIG = """
[credentials.bedrock]
kind = "aws"
region = "us-east-1"
endpoint = "{url}"
source = "file:{pair}"
ttl = "1h"
assume_role = {{ role_arn = "{role}", duration = "1h" }}

[credentials.plain]
kind = "opaque"
source = "file:{pair}"

[credentials.denied]
kind = "aws"
region = "us-east-1"
endpoint = "{url}"
source = "file:{pair}"
assume_role = {{ role_arn = "{role}-of-others" }}
"""
WHO = """
import sys, boto3
from botocore.config import Config
config = Config(ignore_configured_endpoint_urls=True)
sts = boto3.client("sts", region_name="us-east-1", endpoint_url=sys.argv[1], config=config)
print(sts.get_caller_identity()["Arn"])
sts.close()
"""
NODE = ("credential-provider-http@3.972.86", "credential-provider-process@3.972.84")
CACHE = Path.home() / ".cache" / "secretkit-tests" / "node-aws-3.972"
SCRIPT = """
import { fromHttp } from "@aws-sdk/credential-provider-http";
import { fromProcess } from "@aws-sdk/credential-provider-process";
const out = {};
for (const [name, provider] of Object.entries({ http: fromHttp(), process: fromProcess() })) {
  const one = await provider();
  out[name] = [one.accessKeyId, one.sessionToken.length > 100, one.expiration.toISOString()];
}
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def aws():
    with AwsStub() as stub:
        base = stub.accounts.add_user("broker")
        trust = Trust(principals=(f"arn:aws:iam::{ACCOUNT}:user/broker",))
        stub.accounts.add_role(READER, trust=trust)
        stub.base = base
        yield stub


@pytest.fixture
def wired(home, aws, tmp_path):
    """A home whose configuration names the stand-in."""
    pair = tmp_path / "pair.json"
    pair.write_text(
        json.dumps(
            {
                "AccessKeyId": aws.base.access_key_id,
                "SecretAccessKey": aws.base.secret.reveal(),
            }
        )
    )
    pair.chmod(0o600)
    home.config.parent.mkdir(parents=True, mode=0o700)
    home.config.write_text(CONFIG.format(url=aws.url(), pair=pair, role=READER))
    home.config.chmod(0o600)
    return home


def serving(home: Home, *words: str) -> tuple[subprocess.Popen, dict[str, str]]:
    process = home.start("aws", "serve", "bedrock", *words)
    lines = [process.stdout.readline().decode().strip() for _ in range(2)]
    return process, dict(line.split("=", 1) for line in lines)


def test_a_credential_process_prints_what_sdks_read(wired, aws):
    code, out, err = wired.run("aws", "credential-process", "bedrock")
    assert (code, err) == (0, b"")
    found = json.loads(out)
    assert found["Version"] == 1
    holder = aws.accounts.find(found["AccessKeyId"])
    assert holder.credentials.secret.reveal() == found["SecretAccessKey"]
    assert holder.credentials.session_token.reveal() == found["SessionToken"]
    end = datetime.fromisoformat(found["Expiration"])
    assert timedelta(minutes=58) < end - datetime.now(UTC) <= timedelta(hours=1)  # noqa: TID251


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("denied", 3, b"access denied"),
        ("plain", 2, b"kind 'opaque'"),
        ("nobody", 2, b"no credential of this name"),
    ],
)
def test_on_failure_nothing_stands_on_stdout(wired, name, code, word):
    got, out, err = wired.run("aws", "credential-process", name)
    assert (got, out) == (code, b"")
    assert word in err
    assert b"hint: " in err


def test_an_identity_in_a_file_becomes_a_session(wired, aws):
    issuer, key = "https://issuer.example", SigningKey("ES384")
    aws.sts.issuers[issuer] = {"keys": [key.jwk()]}
    role = f"arn:aws:iam::{ACCOUNT}:role/ci"
    trust = Trust(issuer=issuer, audience="sts.amazonaws.com", subject="job")
    aws.accounts.add_role(role, trust=trust)
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the program reads the real clock
    claims = {"iss": issuer, "sub": "job", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 300}
    token = wired.path / "token.jwt"
    token.write_text(key.sign(claims))
    token.chmod(0o600)
    with wired.config.open("a") as file:
        file.write(
            f'\n[credentials.ci]\nkind = "aws"\nregion = "us-east-1"\nendpoint = "{aws.url()}"\n'
            f'identity = {{ type = "file", path = "{token}" }}\n'
            f'assume_role = {{ role_arn = "{role}" }}\n'
        )
    code, out, err = wired.run("aws", "credential-process", "ci")
    assert code == 0, err
    assert aws.accounts.find(json.loads(out)["AccessKeyId"]).role == role
    token.write_text(key.sign(claims | {"aud": "https://elsewhere.example"}))
    code, out, err = wired.run("aws", "credential-process", "ci")
    assert (code, out) != (0, b"")
    assert b"hint: " in err


def test_boto3_runs_it(wired, aws):
    config = wired.path / "aws-config"
    program = Path(sys.executable).parent / "secretkit"
    config.write_text(f"[default]\ncredential_process = {program} aws credential-process bedrock\n")
    said = subprocess.run(
        [sys.executable, "-c", WHO, aws.url()],
        env={k: v for k, v in wired.environ.items() if k != "KEY"}
        | {"AWS_CONFIG_FILE": str(config), "AWS_EC2_METADATA_DISABLED": "true"},
        cwd=wired.cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.strip() == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/secretkit", said


def test_a_profile_that_leads_back_to_itself_ends_at_once(wired):
    config = wired.path / "aws-config"
    program = Path(sys.executable).parent / "secretkit"
    config.write_text(f"[default]\ncredential_process = {program} aws credential-process round\n")
    with wired.config.open("a") as file:
        file.write('\n[credentials.round]\nkind = "aws"\n')
    wired.environ |= {"AWS_CONFIG_FILE": str(config), "AWS_EC2_METADATA_DISABLED": "true"}
    code, out, err = wired.run("aws", "credential-process", "round")
    assert (code, out) == (4, b"")
    assert b"default" in err
    wired.environ["SECRETKIT_CREDENTIAL_PROCESS"] = "round"
    code, out, err = wired.run("aws", "credential-process", "round")
    assert (code, out) == (2, b"")
    assert b"whose credential_process is this command" in err


def test_boto3_asks_the_endpoint_and_the_session_is_from_memory(wired, aws):
    before = aws.count("sts:AssumeRole")
    process, variables = serving(wired)
    file = Path(variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert not file.read_text().endswith("\n")
    environ = {k: v for k, v in wired.environ.items() if k != "KEY"} | variables
    for _ in range(3):
        said = subprocess.run(
            [sys.executable, "-c", WHO, aws.url()],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.stdout.strip().endswith(":assumed-role/reader/secretkit"), said.stderr
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert not file.exists()
    assert aws.count("sts:AssumeRole") == before + 1


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.0.0.1:80", ":80", "127.0.0.1:x"])
def test_another_address_than_this_machine_s_is_refused(wired, listen):
    """G21."""
    code, out, err = wired.run("aws", "serve", "bedrock", "--listen", listen)
    assert (code, out) == (2, b"")
    assert b"--listen takes" in err


def test_a_token_file_of_ones_own_is_used_and_kept(wired):
    """S01: made under umask 000 it is still 0600."""
    file = wired.path / "token"
    process = wired.start(
        "aws", "serve", "bedrock", "--token-file", str(file), preexec_fn=lambda: os.umask(0)
    )
    assert process.stdout.readline().startswith(b"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.")
    assert process.stdout.readline().decode().strip().endswith(f"={file}")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    process, _ = serving(wired, "--token-file", str(file))
    process.terminate()
    process.communicate(timeout=20)
    assert file.read_text() == before


@pytest.mark.parametrize("bad", ["mode", "link", "line end", "short"])
def test_a_token_file_others_could_read_or_no_header_can_carry_is_refused(wired, bad):
    """S02."""
    file = wired.path / "token"
    target = wired.path / "target"
    text = {"line end": "t" * 40 + "\n", "short": "t" * 19}.get(bad, "t" * 40)
    target.write_text(text)
    target.chmod(0o644 if bad == "mode" else 0o600)
    if bad == "link":
        file.symlink_to(target)
    else:
        target.rename(file)
    code, out, _ = wired.run("aws", "serve", "bedrock", "--token-file", str(file))
    assert code in {2, 3}
    assert out == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_quietly_while_clients_are_connected(wired, number):
    process, variables = serving(wired)
    parts = urlsplit(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    with contextlib.ExitStack() as clients:
        for _ in range(50):
            client = socket.create_connection((parts.hostname, parts.port), timeout=10)
            clients.enter_context(client)
            client.sendall(b"GET /cred")
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert not Path(variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).exists()


def test_a_port_that_is_taken_is_said(wired):
    process, variables = serving(wired)
    port = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].split(":")[2].split("/")[0]
    code, out, err = wired.run("aws", "serve", "bedrock", "--listen", f"127.0.0.1:{port}")
    process.terminate()
    process.communicate(timeout=20)
    assert (code, out) == (4, b"")
    assert b"choose another port" in err


def test_run_gives_the_three_variables_and_masks_them(wired, aws):
    wired.environ |= {"AWS_PROFILE": "other", "AWS_BEARER_TOKEN_BEDROCK": "made-up"}
    script = 'echo "$AWS_ACCESS_KEY_ID ${AWS_PROFILE:-none} ${AWS_BEARER_TOKEN_BEDROCK:-none}"'
    script += (
        '; echo "$AWS_SECRET_ACCESS_KEY"; echo "$AWS_SESSION_TOKEN"; echo ${#AWS_SESSION_TOKEN}'
    )
    code, out, err = wired.run("run", "--env", "bedrock", "--", "sh", "-c", script)
    assert code == 0, err
    first, secret, token, length = out.decode().split("\n")[:4]
    key_id, profile, bearer = first.split()
    holder = aws.accounts.find(key_id)
    assert (profile, bearer) == ("none", "none")
    assert (secret, token) == ("[redacted]", "[redacted]")
    assert int(length) == len(holder.credentials.session_token.reveal())
    assert b"not passed on: AWS_BEARER_TOKEN_BEDROCK, AWS_PROFILE" in err


@pytest.mark.parametrize(
    "words", [["--env", "X=bedrock"], ["--file", "X=bedrock"], ["--", "cat", "{file:bedrock}"]]
)
def test_run_does_not_hand_out_a_third_of_it(wired, words):
    command = [] if "--" in words else ["--", "true"]
    code, _, err = wired.run("run", *words, *command)
    assert code == 125
    assert b"secretkit run --env bedrock" in err


def test_provider_test_says_as_whom_and_how(wired):
    code, out, _ = wired.run("provider", "test", "bedrock", "--json")
    assert code == 0
    (row,) = json.loads(out)["sources"]
    assert row["identity"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/secretkit (by")


def test_a_code_is_asked_for_at_the_terminal_and_nowhere_else(wired, aws):
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/ada"
    aws.accounts.add_device(serial, codes=("246810",))
    with wired.config.open("a") as file:
        file.write(
            f'\n[credentials.mfa]\nkind = "aws"\nregion = "us-east-1"\nendpoint = "{aws.url()}"\n'
            f'source = "file:{wired.path}/pair.json"\nmfa_serial = "{serial}"\n'
            f'assume_role = {{ role_arn = "{READER}" }}\n'
        )
    words = ["provider", "test", "mfa", "--timeout", "30s", "--json"]
    code, out, _ = wired.run(*words, given=b"246810\n")
    assert code == 1
    assert b"nobody is there to be asked" in out
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(wired.cwd)
        os.execve(str(BIN / "secretkit"), ["secretkit", *words], wired.environ)  # noqa: S606
    shown = b""
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 4096):
            shown += more
            if shown.endswith(f"Code of {serial}: ".encode()):
                os.write(terminal, b"246810\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert b"assumed-role/reader" in shown


@pytest.fixture(scope="module")
def node_providers():
    """A directory outside the repository with the JavaScript SDK's providers."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            absent(f"{program} is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may come here at once
        if not (CACHE / "complete").exists():
            install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(
                [*install, "--prefix", str(CACHE), *(f"@aws-sdk/{name}" for name in NODE)],
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            if done.returncode:
                absent(f"npm cannot install the providers: {done.stderr.strip()[-300:]}")
            (CACHE / "complete").touch()
    return CACHE


def test_the_javascript_sdk_takes_both(wired, aws, node_providers):
    config = wired.path / "aws-config"
    program = Path(sys.executable).parent / "secretkit"
    config.write_text(f"[default]\ncredential_process = {program} aws credential-process bedrock\n")
    script = node_providers / "both.mjs"
    script.write_text(SCRIPT)
    process, variables = serving(wired)
    environ = wired.environ | variables | {"AWS_CONFIG_FILE": str(config)}
    done = subprocess.run(
        ["node", str(script)],
        env=environ,
        cwd=wired.cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    process.terminate()
    process.communicate(timeout=20)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == {"http", "process"}
    for key_id, has_session, _ in found.values():
        assert aws.accounts.find(key_id) is not None
        assert has_session
