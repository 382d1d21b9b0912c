"""base = "default": botocore's own chain, in a process whose environment a test chooses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from secretkit.testing import FaultServer

SCRIPT = """
import sys
from datetime import timedelta
from secretkit.broker.clock import SystemClock
from secretkit.errors import SecretkitError
from secretkit.providers.aws.ambient import Ambient

ambient = Ambient(sys.argv[1], ref="aws:x", clock=SystemClock())
try:
    found = ambient.credentials(timeout=timedelta(seconds=float(sys.argv[2])))
    print(ambient.method, found.access_key_id, found.expires_at)
except SecretkitError as error:
    print(type(error).__name__, error, "|", error.hint)
"""
ID = "AKIDEXAMPLE"


def ask(tmp_path: Path, *, profile: str = "", seconds: float = 20, **environ: str) -> str:
    quiet = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
    world = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **quiet, **environ}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, profile, str(seconds)],
        env=world,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_environment_is_found_and_named(tmp_path: Path) -> None:
    key = "k" * 30
    said = ask(tmp_path, AWS_ACCESS_KEY_ID=ID, AWS_SECRET_ACCESS_KEY=key)
    assert said == f"default: env {ID} None"


def test_a_profile_with_a_program_gives_its_end(tmp_path: Path) -> None:
    program = tmp_path / "give"
    answer = {"Version": 1, "AccessKeyId": ID, "SecretAccessKey": "k" * 30}
    answer |= {"SessionToken": "t", "Expiration": "2999-01-01T00:00:00Z"}
    program.write_text(f"#!{sys.executable}\nimport json\nprint(json.dumps({answer!r}))\n")
    program.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[profile dev]\ncredential_process = {program}\n")
    said = ask(tmp_path, profile="dev", AWS_CONFIG_FILE=str(config))
    assert said == f"profile dev: custom-process {ID} 2999-01-01 00:00:00+00:00"


def test_an_address_in_the_environment_gets_no_web_identity(tmp_path: Path) -> None:
    """A proxy that answers nothing shows that STS itself was looked for, without a network."""
    (tmp_path / "token").write_text("a.web.token")
    with FaultServer() as evil, FaultServer() as proxy:
        said = ask(
            tmp_path,
            AWS_ENDPOINT_URL=evil.url,
            AWS_ENDPOINT_URL_STS=evil.url,
            AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
            AWS_ROLE_ARN="arn:aws:iam::123456789012:role/app",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_MAX_ATTEMPTS="1",
            HTTPS_PROXY=proxy.url,
        )
        assert evil.connections == 0
        assert proxy.connections
    assert said.startswith("ProviderError aws:x: default")


def test_a_program_s_messages_are_not_shown(tmp_path: Path) -> None:
    canary = "canary" + "s" * 20
    config = tmp_path / "config"
    config.write_text(f"[profile dev]\ncredential_process = sh -c 'echo {canary} >&2; exit 1'\n")
    said = ask(tmp_path, profile="dev", AWS_CONFIG_FILE=str(config))
    assert said.startswith("ProviderError aws:x: profile dev: botocore gives up (Credential")
    assert canary not in said


def test_nothing_found_and_no_such_profile_are_told_apart(tmp_path: Path) -> None:
    assert ask(tmp_path).startswith("ProviderUnavailableError aws:x: default gives no credentials")
    assert "ProfileNotFound" in ask(tmp_path, profile="nobody")


def test_a_chain_that_hangs_ends_at_the_deadline(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile dev]\ncredential_process = sleep 3\n")
    said = ask(tmp_path, profile="dev", seconds=0.5, AWS_CONFIG_FILE=str(config))
    assert said.startswith("ProviderTimeoutError")


def test_without_boto3_the_hint_names_the_extra(tmp_path: Path) -> None:
    empty = tmp_path / "botocore"
    empty.mkdir()
    (empty / "__init__.py").write_text("raise ImportError\n")
    said = ask(tmp_path, PYTHONPATH=str(tmp_path))
    assert said.startswith("ProviderUnavailableError")
    assert 'pip install "secretkit[aws]"' in said
