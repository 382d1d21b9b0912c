"""Runs the examples for a platform with what that platform gives: a token, an agent, a role."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from secretkit.broker import SystemClock
from secretkit.config.parse import parse_config
from secretkit.config.schema import Config
from secretkit.core.message import Reply
from secretkit.testing import ClaudeStub, FaultServer
from secretkit.testing.aws import AwsStub
from secretkit.testing.fault import answer
from secretkit.testing.stub.issuer import TokenIssuer
from secretkit.testing.stub.organization import Federation
from secretkit.testing.workload import WorkloadStub

EXAMPLES = Path(__file__).parents[1] / "examples"
TOKEN_FILE = "/var/run/secrets/anthropic.com/token"
SOCKET = "unix:///run/spire/agent.sock"
AUDIENCE = "https://api.anthropic.com"
LIMIT = 60.0  # seconds after which a process counts as hung
SOON = 20.0


@dataclass
class Place:
    """A folder for one example, a stand-in, and the configuration as its user would fill it in."""

    home: Path
    stub: ClaudeStub

    def fill_in(
        self, text: str, ids: Federation, replaced: Mapping[str, str] | None = None
    ) -> Path:
        """Write the example's configuration with ids and places of this test."""
        found = text.replace("fdrl_01EXAMPLE", ids.federation_rule_id)
        found = found.replace("svac_01EXAMPLE", ids.service_account_id)
        found = found.replace("00000000-0000-0000-0000-000000000000", ids.organization_id)
        found = re.sub(r"(?m)^kind = .*", rf'\g<0>\nbase_url = "{self.stub.url}"', found)
        for old, new in (replaced or {}).items():
            assert old in found
            found = found.replace(old, new)
        assert "EXAMPLE" not in found
        path = self.home / "secretkit.toml"
        path.write_text(found)
        return path

    def start(self, *words: str | Path, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", *map(str, words)],
            cwd=self.home,
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, process: subprocess.Popen[str], answers: int) -> None:
        pause = threading.Event()
        for _ in range(int(SOON / 0.05)):
            if self.stub.count(path="/v1/messages", status=200) >= answers:
                return
            if process.poll() is not None:
                break
            pause.wait(0.05)
        process.kill()
        pytest.fail(f"it did not get on: {self.stub.summary()}\n{process.communicate()}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ClaudeStub() as stub:
        yield Place(tmp_path, stub)


def ended(process: subprocess.Popen[str], *, signalled: bool = False) -> tuple[str, str]:
    """Wait for the end; give what was printed."""
    if signalled:
        process.send_signal(signal.SIGTERM)
    try:
        out, err = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    assert process.returncode == 0, out + err
    assert "sk-ant-" not in out + err
    assert "eyJ" not in out + err
    return out, err


def of_kind(name: str) -> dict[str, dict[str, object]]:
    """Give the objects of a manifest by their kind."""
    text = (EXAMPLES / name).read_text()
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def need(module: str) -> None:
    """Skip without ``module``, unless this is CI, where it must be there."""
    if subprocess.run([sys.executable, "-c", f"import {module}"], check=False).returncode:
        reason = f"{module} is not installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)  # noqa: TID251 - tests only


def test_a_pod_asks_claude_by_its_service_accounts_token(place):
    """The kubelet's part is played here: it writes the projected token, for one audience."""
    subject = "system:serviceaccount:apps:claude-app"
    issuer = TokenIssuer("https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE", clock=SystemClock())
    ids = place.stub.organization.federate(issuer, subject=subject, audience=AUDIENCE)
    token = place.home / "token"
    token.touch(mode=0o600)
    token.write_text(issuer.token(subject, aud=[AUDIENCE]).reveal())
    text = of_kind("eks/deployment.yaml")["ConfigMap"]["data"]["secretkit.toml"]
    config = place.fill_in(text, ids, {TOKEN_FILE: str(token)})
    process = place.start(EXAMPLES / "eks/app.py", config)
    place.wait_for(process, 2)
    _, err = ended(process, signalled=True)
    assert "app: answered with" in err
    assert place.stub.count(path="/v1/oauth/token", status=200) == 1


def test_the_pods_manifest_fits_its_configuration():
    found = of_kind("eks/deployment.yaml")
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert container["command"][-1] == f"{mounts['config']['mountPath']}/secretkit.toml"
    (projected,) = next(one for one in pod["volumes"] if one["name"] == "identity")["projected"][
        "sources"
    ]
    assert projected["serviceAccountToken"]["audience"] == AUDIENCE
    where = f"{mounts['identity']['mountPath']}/{projected['serviceAccountToken']['path']}"
    assert where == TOKEN_FILE
    assert TOKEN_FILE in found["ConfigMap"]["data"]["secretkit.toml"]
    assert "Secret" not in found


def test_the_pods_manifest_is_valid_kubernetes():
    need("kubernetes_validate")
    import kubernetes_validate

    for one in of_kind("eks/deployment.yaml").values():
        kubernetes_validate.validate(one, "1.31", strict=True)


def test_a_job_asks_claude_by_the_token_that_github_gives_it(place):
    subject = "repo:example/app:ref:refs/heads/main"
    issuer = TokenIssuer("https://token.actions.githubusercontent.com", clock=SystemClock())
    ids = place.stub.organization.federate(issuer, subject=subject)
    config = place.fill_in((EXAMPLES / "github_actions/secretkit.toml").read_text(), ids)
    reply = {"value": issuer.token(subject).reveal()}
    with FaultServer() as runner:
        runner.play(answer(Reply(status=200, body=json.dumps(reply).encode())))
        process = place.start(
            *(EXAMPLES / "github_actions/ask.py", config, "What", "changed?"),
            ACTIONS_ID_TOKEN_REQUEST_URL=f"{runner.url}/token?api-version=2.0",
            ACTIONS_ID_TOKEN_REQUEST_TOKEN="the-jobs-own",
        )
        out, err = ended(process)
        assert out.strip()
        assert err == ""
        (asked,) = runner.requests
        assert asked.headers["authorization"] == "Bearer the-jobs-own"
        assert asked.path.endswith("&audience=https%3A%2F%2Fapi.anthropic.com")


def test_the_workflow_lets_its_job_have_an_identity_and_no_more():
    (workflow,) = yaml.safe_load_all((EXAMPLES / "github_actions/workflow.yaml").read_text())
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    assert list(workflow[True]) == ["push"]  # "on" is true in YAML 1.1
    runs = [step["run"] for step in workflow["jobs"]["ask"]["steps"] if "run" in step]
    named = {word for run in runs for word in run.split() if word.startswith("examples/")}
    assert named == {"examples/github_actions/ask.py", "examples/github_actions/secretkit.toml"}
    assert all((EXAMPLES.parent / one).is_file() for one in named)
    assert "secrets." not in (EXAMPLES / "github_actions/workflow.yaml").read_text()


def test_a_daemon_asks_claude_by_its_spiffe_identity(place):
    need("spiffe")
    with WorkloadStub(place.home / "agent.sock") as agent:
        agent.register("spiffe://example.org/daemon")
        issuer = SimpleNamespace(url=agent.domain.issuer, jwks=agent.domain.jwks())
        ids = place.stub.organization.federate(issuer, subject="spiffe://example.org/daemon")
        text = (EXAMPLES / "bare_metal_spiffe/secretkit.toml").read_text()
        config = place.fill_in(text, ids, {SOCKET: agent.url})
        process = place.start(EXAMPLES / "bare_metal_spiffe/daemon.py", config)
        place.wait_for(process, 2)
        _, err = ended(process, signalled=True)
    assert "daemon: answered with" in err
    assert place.stub.count(path="/v1/oauth/token", status=200) == 1


def test_the_daemons_unit_is_one(tmp_path):
    if not shutil.which("systemd-analyze"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no systemd-analyze")  # noqa: TID251 - tests only
    text = (EXAMPLES / "bare_metal_spiffe/daemon.service").read_text()
    path = tmp_path / "daemon.service"
    path.write_text(text.replace("/opt/daemon/bin/python", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "daemon.service" in line]
    assert said == []


# -- AWS -------------------------------------------------------------------------------------------

INVOKE = """
import function
print(function.handler({"question": "hello"}, None)["answer"])
print(function.handler({"question": "again"}, None)["answer"])
"""


@pytest.fixture
def aws() -> Iterator[AwsStub]:
    with AwsStub(regions=("us-west-2",)) as made:
        yield made


def folder_for(aws: AwsStub, tmp_path: Path) -> Path:
    """Copy the example as it is deployed, with the stand-in's address in its configuration."""
    for name in ("function.py", "secretkit.toml"):
        text = (EXAMPLES / "ecs_lambda" / name).read_text()
        (tmp_path / name).write_text(text)
    with (tmp_path / "secretkit.toml").open("a") as file:
        file.write(f'base_url = "{aws.url()}"\n')
    return tmp_path


def test_a_lambda_function_asks_bedrock_by_its_role(aws, tmp_path):
    """Lambda gives the role's credentials in the environment."""
    key = aws.accounts.add_user("function")
    place = Place(folder_for(aws, tmp_path), None)
    process = place.start(
        *("-c", INVOKE),
        AWS_ACCESS_KEY_ID=key.access_key_id,
        AWS_SECRET_ACCESS_KEY=key.secret.reveal(),
        AWS_EC2_METADATA_DISABLED="true",
    )
    out, err = ended(process)
    assert out.splitlines() == [aws.claude.reply] * 2
    assert err == ""
    assert aws.counts() == {"bedrock:InvokeModel": 2}


def test_a_task_asks_bedrock_by_its_role(aws, tmp_path):
    """ECS answers at an address in the environment, which botocore asks."""
    key = aws.accounts.add_user("task")
    given = {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret.reveal(),
        "Token": None,
        "Expiration": "2999-01-01T00:00:00Z",
    }
    with FaultServer() as agent:
        agent.play(answer(Reply(status=200, body=json.dumps(given).encode())))
        place = Place(folder_for(aws, tmp_path), None)
        process = place.start(
            *("function.py", "hello"),
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{agent.url}/role",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="the-tasks-own",
            AWS_EC2_METADATA_DISABLED="true",
        )
        out, err = ended(process)
        assert {one.headers["authorization"] for one in agent.requests} == {"the-tasks-own"}
    assert (out.strip(), err) == (aws.claude.reply, "")


def test_the_template_is_valid_cloudformation():
    need("cfnlint")
    from cfnlint.api import lint

    text = (EXAMPLES / "ecs_lambda/template.yaml").read_text()
    assert [str(one) for one in lint(text, regions=["us-west-2"])] == []


@pytest.mark.parametrize("name", ["ecs_lambda", "github_actions", "bare_metal_spiffe"])
def test_its_configuration_is_one(name):
    path = EXAMPLES / name / "secretkit.toml"
    assert isinstance(parse_config(path.read_bytes(), file=path), Config)
