"""What git and other tools run: every stage, and files that are named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scan.repository import Repository, key

KEY, OTHER = key(), key("two")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def repository(tmp_path, cache):
    made = Repository(tmp_path / "work")
    made.environ |= {"XDG_CACHE_HOME": cache}
    made.commit(old="old\n")
    return made


def run(repository, *words, given=b"", folder=".", **environ):
    code = (
        "import os, sys\nfrom secretkit.scan.hook.stage import main\n"
        "sys.exit(main(sys.argv[1], sys.argv[2:], program='', environ=os.environ))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=repository.folder / folder,
        env=repository.environ | environ,
        input=given,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stderr.decode()


def test_named_files_are_read_as_staged_or_else_from_the_work_tree(repository):
    repository.commit(d__tracked=f"{OTHER}\n")
    repository.stage(d__staged=f"{KEY}\n", d__other="x\n")
    repository.write(d__staged="clean\n")
    code, said = run(repository, "pre-commit", "d/staged", "d/tracked")
    assert code == 1
    assert "d/staged:1:1" in said
    assert "d/tracked:1:1" in said
    assert run(repository, "pre-commit", "d/other")[0] == 0


def test_names_count_from_where_the_command_is_run(repository):
    repository.stage(d__a=f"{KEY}\n", d__b="x\n")
    code, said = run(repository, "pre-commit", "a", folder="d")
    assert (code, "d/a:1:1" in said) == (1, True)
    assert run(repository, "pre-commit", "b", folder="d")[0] == 0


def test_a_file_that_is_not_there_fails(repository):
    code, said = run(repository, "pre-commit", "none")
    assert code == 3
    assert "cannot be opened" in said


def test_a_baseline_counts_as_it_is_staged(repository):
    repository.stage(a=f"{KEY}\n")
    assert run(repository, "pre-commit")[0] == 1
    repository.write(**{".secretkit-baseline": "no baseline\n"})
    assert run(repository, "pre-commit")[0] == 1
    repository.git("add", "-A")
    code, said = run(repository, "pre-commit")
    assert code == 2
    assert ".secretkit-baseline" in said


def test_findings_go_before_what_was_not_scanned(repository):
    repository.stage(a=f"{KEY}\n", b="x\n")
    oid = repository.git("rev-parse", ":b")
    (repository.folder / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    code, said = run(repository, "pre-commit")
    assert code == 1
    assert "b: not scanned in full" in said


def test_an_unknown_stage_is_a_usage_error(repository):
    assert run(repository, "post-commit")[0] == 2


def test_what_git_does_not_say_is_an_error(repository):
    code, said = run(repository, "pre-push", "origin", given=b"nonsense\n")
    assert code == 3
    assert "this push is stopped" in said


def test_a_deletion_is_passed(repository):
    head = repository.git("rev-parse", "HEAD")
    given = f"(delete) {'0' * 40} refs/heads/x {head}\n".encode()
    code, said = run(repository, "pre-push", "origin", given=given)
    assert (code, said) == (0, "secretkit: nothing new, nothing scanned\n")


def test_a_range_that_pre_commit_names_is_scanned(repository):
    leak = repository.commit(a=f"{KEY}\n")
    repository.commit(a="gone\n")
    environ = {"PRE_COMMIT_FROM_REF": "HEAD~2", "PRE_COMMIT_TO_REF": "HEAD"}
    code, said = run(repository, "pre-push", **environ)
    assert code == 1
    assert f"commit {leak[:12]}" in said


@pytest.mark.parametrize("stage", ["pre-receive", "update"])
def test_a_server_refuses_a_push_while_it_is_in_quarantine(repository, tmp_path, cache, stage):
    server = Repository(tmp_path / "server.git", "--bare")
    words = "pre-receive" if stage == "pre-receive" else 'update "$1" "$2" "$3"'
    hook = server.folder / "hooks" / stage
    hook.parent.mkdir(exist_ok=True)
    command = f"exec {sys.executable} -m secretkit.scan.hook.fast {words}"
    hook.write_text(f"#!/bin/sh\nXDG_CACHE_HOME='{cache}' {command}\n")
    hook.chmod(0o755)
    repository.git("push", "-q", str(server.folder), "main")
    leak = repository.commit(a=f"{KEY}\n")
    repository.commit(a="gone\n")
    done = subprocess.run(
        ["git", "push", "-q", str(server.folder), "main", "main:other"],
        cwd=repository.folder,
        env=repository.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"commit {leak[:12]}" in done.stderr.decode()
    assert server.git("rev-list", "--all", "--count") == "1"
