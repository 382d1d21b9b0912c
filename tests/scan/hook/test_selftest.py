"""The self-test proves the hook in a repository of its own, and looks at the one around it."""

from __future__ import annotations

import pytest

from scan.repository import Repository
from secretkit.scan.hook.install import install, repository_place
from secretkit.scan.hook.selftest import selftest


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def repository(tmp_path, cache):
    made = Repository(tmp_path / "work")
    made.environ |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": cache, "TMPDIR": str(tmp_path)}
    return made


def outcome(repository):
    return [
        (check.what.split(" ")[0], check.wrong)
        for check in selftest(repository.folder, environ=repository.environ)
    ]


def test_it_passes_where_the_hook_is_installed_and_leaves_nothing_behind(repository, tmp_path):
    install(repository_place(repository.folder, environ=repository.environ))
    assert {wrong for _, wrong in outcome(repository)} == {""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]
    assert repository.git("log", "--all", "--oneline") == ""


def test_it_fails_where_it_is_not(repository):
    assert [wrong for _, wrong in outcome(repository)] == ["", "", "", "is not there"]


def test_it_fails_where_the_hook_lets_a_key_through(repository, tmp_path):
    """A git whose hooks do nothing is such a place."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    off = 'case "$*" in *commit*) set -- -c core.hooksPath=/dev/null "$@";; esac'
    program.write_text(f'#!/bin/sh\n{off}\nexec /usr/bin/git "$@"\n')
    program.chmod(0o755)
    repository.environ["PATH"] = f"{program.parent}:/usr/bin:/bin"
    assert any("ended with 0" in wrong for _, wrong in outcome(repository))
