"""The real pre-commit runs our hooks: at a commit, at a push, over all files.

``language`` is "system" here, so that nothing is installed from the network; all else is as in
``.pre-commit-hooks.yaml``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scan.repository import Repository, key

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
KEY, OTHER = key(), key("two")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def repository(tmp_path, home):
    """A repository whose pre-commit takes the hooks from a clone of their own file."""
    hooks = Repository(tmp_path / "hooks")
    manifest = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert "language: python" in manifest
    revision = hooks.commit(**{".pre-commit-hooks.yaml": manifest.replace("python", "system")})
    made = Repository(tmp_path / "work")
    made.environ |= {"HOME": str(home), "PATH": f"{BIN}:{os.defpath}", "PRE_COMMIT_COLOR": "never"}
    config = (
        f"repos:\n- repo: {hooks.folder}\n  rev: {revision}\n"
        "  hooks:\n  - id: secretkit\n  - id: secretkit-push\n"
    )
    made.commit(**{".pre-commit-config.yaml": config}, old="old\n")
    return made


def run(repository: Repository, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        words,
        cwd=repository.folder,
        env=repository.environ,
        capture_output=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def test_a_commit_is_stopped_or_passed(repository):
    assert run(repository, "pre-commit", "install")[0] == 0
    repository.stage(a=f"x\n{KEY}\n")
    code, said = run(repository, "git", "commit", "-m", "x")
    assert code == 1
    assert "leaked keys" in said
    assert "a:2:1: critical anthropic-api-key" in said
    assert KEY[20:40] not in said
    repository.stage(a="x\n")
    code, said = run(repository, "git", "commit", "-m", "x")
    assert code == 0
    assert re.search(r"leaked keys\.+Passed", said)


def test_what_is_only_in_the_work_tree_is_neither_lost_nor_scanned(repository):
    run(repository, "pre-commit", "install")
    repository.stage(a="x\n")
    repository.write(a=f"{KEY}\n")
    assert run(repository, "git", "commit", "-m", "x")[0] == 0
    assert (repository.folder / "a").read_text() == f"{KEY}\n"


def test_all_files_are_scanned_when_they_are_asked_for(repository):
    repository.commit(d__a=f"{KEY}\n", b="x\n")
    code, said = run(repository, "pre-commit", "run", "--all-files")
    assert code == 1
    assert "d/a:1:1" in said
    code, said = run(repository, "pre-commit", "run", "--files", "b")
    assert code == 0
    assert "d/a" not in said
    code, said = run(repository, "pre-commit", "run", "secretkit", "--files", "b", "d/a")
    assert (code, "d/a:1:1" in said) == (1, True)


def test_an_old_key_in_a_file_does_not_stop_a_commit_of_it(repository):
    repository.commit(a=f"{KEY}\n")
    repository.stage(a=f"{KEY} changed\n")
    assert run(repository, "pre-commit", "run")[0] == 0


def test_a_range_is_scanned_file_by_file(repository):
    first = repository.git("rev-parse", "HEAD")
    repository.commit(a=f"{KEY}\n")
    words = ("pre-commit", "run", "--from-ref", first, "--to-ref", "HEAD")
    code, said = run(repository, *words)
    assert (code, "a:1:1" in said) == (1, True)


def test_a_push_is_scanned_commit_by_commit(repository, tmp_path):
    other = Repository(tmp_path / "other.git", "--bare")
    repository.git("remote", "add", "origin", str(other.folder))
    assert run(repository, "pre-commit", "install", "-t", "pre-push")[0] == 0
    code, said = run(repository, "git", "push", "origin", "main")
    assert code == 0, said
    leak = repository.commit(a=f"{OTHER}\n")
    repository.commit(a="gone\n")
    code, said = run(repository, "git", "push", "origin", "main")
    assert code == 1
    assert f"commit {leak[:12]}" in said
    assert "this push is stopped" in said
