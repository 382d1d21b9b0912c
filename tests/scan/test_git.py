"""git runs with options and an environment of ours, whatever ours is."""

from __future__ import annotations

import os

import pytest

from scan.repository import Repository
from secretkit.errors import ScanError
from secretkit.scan.git import HARDENED, Git, environment


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "work")
    made.commit(a="x\n")
    return made


def test_every_command_carries_the_hardening(repository):
    command = Git(repository.folder).command("rev-parse", "HEAD")
    assert command[1 : 1 + len(HARDENED)] == list(HARDENED)
    assert command[0].startswith("/")
    for wanted in ("core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never"):
        assert wanted in command


def test_the_environment_is_constant_but_for_what_a_hook_is_given(monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    assert "GIT_DIR" not in environment()
    given = environment(
        {"GIT_DIR": "x", "GIT_INDEX_FILE": "y", "GIT_TRACE": "z", "GIT_CONFIG_COUNT": "1"}
    )
    assert (given["GIT_DIR"], given["GIT_INDEX_FILE"]) == ("x", "y")
    assert not given.keys() & {"GIT_TRACE", "GIT_CONFIG_COUNT", "HOME"}
    assert given["PATH"] == os.defpath


def test_it_gives_what_git_prints_and_its_code(repository):
    git = Git(repository.folder)
    assert git.run("rev-parse", "HEAD").decode().strip() == repository.git("rev-parse", "HEAD")
    assert git.ask("rev-parse", "--verify", "--quiet", "none") == (1, b"")


def test_a_failure_names_the_command_and_what_to_do(repository):
    with pytest.raises(ScanError, match="git rev-parse failed with code 128") as caught:
        Git(repository.folder).run("rev-parse", "--verify", "none")
    assert "git fsck" in caught.value.hint


def test_a_program_that_is_not_there_is_an_error(repository):
    with pytest.raises(ScanError, match="git did not run"):
        Git(repository.folder, program="/nonexistent/git").run("rev-parse", "HEAD")


def test_the_program_that_a_hook_names_is_the_one_that_runs(repository, tmp_path):
    program = tmp_path / "git"
    program.write_text('#!/bin/sh\necho "mine"\n')
    program.chmod(0o755)
    assert Git(repository.folder, program=str(program)).run("rev-parse") == b"mine\n"
