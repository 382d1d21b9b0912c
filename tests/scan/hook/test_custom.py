"""The hook follows the user's own settings as ``secretkit scan --staged`` does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import secretkit
from scan.repository import Repository, key

KEY = key()
SCRIPT = Path(secretkit.__file__).parent / "scan" / "hook" / "fast.py"
RULE = """\
issuer = "acme"
revoke = "https://acme.example/keys"
[[rule]]
id = "acme-token"
description = "An Acme token"
severity = "high"
confidence = "high"
keywords = ["acme-"]
pattern = '\\bacme-[0-9a-f]{24}\\b'
matches = [["acme-", { random = "hex", length = 24 }]]
misses = [["acme-x"]]
"""
ACME = "acme-" + "65d48a2eb70c13f9a1b2c3d4"[::-1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Compiled rules, once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def repository(tmp_path, cache):
    made = Repository(tmp_path / "work")
    made.commit(old="old\n")
    home = tmp_path / "home"
    made.environ |= {"HOME": str(home), "XDG_CACHE_HOME": str(cache)}
    return made


def settle(repository, text: str) -> Path:
    """Write the user's configuration."""
    file = Path(repository.environ["HOME"]) / ".config/secretkit/secretkit.toml"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(text)
    file.chmod(0o600)
    return file


def run(repository, *words: str, given: bytes = b"") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=repository.folder,
        env=repository.environ,
        input=given,
        capture_output=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def hook(repository, stage: str = "pre-commit", *words: str, given: bytes = b"") -> tuple[int, str]:
    script = ("-I", "-S", str(SCRIPT), stage, "--git", "/usr/bin/git", *words)
    return run(repository, *script, given=given)


def scan(repository) -> tuple[int, str]:
    call = "import sys; from secretkit.cli.entry import main; sys.exit(main())"
    return run(repository, "-c", call, "scan", "--staged")


def test_rules_of_one_s_own_count(repository):
    repository.stage(a=f"x = '{ACME}'\n")
    assert hook(repository)[0] == 0
    file = settle(repository, '[scan]\nrules = ["acme.toml"]\n')
    (file.parent / "acme.toml").write_text(RULE)
    for code, said in (hook(repository), scan(repository)):
        assert code == 1, said
        assert "acme-token" in said


def test_what_is_excluded_stops_nothing(repository):
    repository.stage(**{"a.txt": f"{KEY}\n", "b": "x\n"})
    assert hook(repository)[0] == 1
    settle(repository, '[scan]\nexclude = ["*.txt"]\n')
    assert hook(repository)[0] == scan(repository)[0] == 0
    repository.stage(c=f"{KEY}\n")
    for code, said in (hook(repository), scan(repository)):
        assert code == 1
        assert "c:1:1" in said
        assert "a.txt" not in said


def test_what_is_excluded_does_not_stop_a_push_either(repository):
    repository.commit(**{"a.txt": f"{KEY}\n"})
    head = repository.git("rev-parse", "HEAD")
    told = f"refs/heads/main {head} refs/heads/main {'0' * 40}\n".encode()
    assert hook(repository, "pre-push", "origin", "url", given=told)[0] == 1
    settle(repository, '[scan]\nexclude = ["*.txt"]\n')
    assert hook(repository, "pre-push", "origin", "url", given=told)[0] == 0


@pytest.mark.parametrize(("wanted", "code"), [("low", 1), ("medium", 0), ("high", 0)])
def test_how_sure_it_must_be_counts(repository, wanted, code):
    repository.stage(a=f"x = '{ACME}'\n")
    file = settle(repository, f'[scan]\nconfidence = "{wanted}"\nrules = ["acme.toml"]\n')
    unsure = RULE.replace('confidence = "high"', 'confidence = "low"')
    (file.parent / "acme.toml").write_text(unsure)
    assert hook(repository)[0] == scan(repository)[0] == code


def test_a_wrong_setting_stops_the_commit(repository):
    repository.stage(a="x\n")
    settle(repository, '[scan]\nconfidence = "some"\n')
    code, said = hook(repository)
    assert code == 2
    assert "scan.confidence" in said


def test_a_repository_s_own_configuration_is_ignored_and_said_to_be(repository):
    repository.stage(a=f"{KEY}\n", **{"secretkit.toml": '[scan]\nexclude = ["*"]\n'})
    code, said = hook(repository)
    assert code == 1
    assert "secretkit.toml is ignored: not trusted" in said
    assert "a:1:1" in said


def test_git_is_the_one_that_the_hook_names(repository, tmp_path):
    program = tmp_path / "git"
    program.write_text('#!/bin/sh\necho ran >> "$0.ran"\nexec /usr/bin/git "$@"\n')
    program.chmod(0o755)
    repository.stage(a="x\n")
    settle(repository, '[scan]\nexclude = ["*.txt"]\n')
    code, _ = run(repository, "-I", "-S", str(SCRIPT), "pre-commit", "--git", str(program))
    assert code == 0
    assert os.path.exists(f"{program}.ran")  # noqa: PTH110
