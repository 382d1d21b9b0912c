"""The hook is put where git looks, in front of what is there, and comes out without a trace."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from scan.repository import Repository, key
from secretkit.errors import ConfigError
from secretkit.scan.hook.install import (
    global_place,
    install,
    installed,
    repository_place,
    uninstall,
)
from secretkit.scan.hook.script import BEFORE, FORWARDED

KEY = key()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def home(tmp_path, cache):
    """An environment with a home of its own, whose configuration counts."""
    environ = Repository(tmp_path / "work").environ
    environ = {k: v for k, v in environ.items() if k != "GIT_CONFIG_GLOBAL"}
    return environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": cache}


@pytest.fixture
def repository(tmp_path, home):
    made = object.__new__(Repository)
    made.folder, made.environ = tmp_path / "work", home
    return made


def commit(repository: Repository, *words: str) -> tuple[int, str]:
    repository.git("add", "-A")
    done = subprocess.run(
        ["git", "commit", "-q", "-m", "x", *words],
        cwd=repository.folder,
        env=repository.environ,
        capture_output=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def place(repository: Repository):
    return repository_place(repository.folder, environ=repository.environ)


def script(path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_hook_stops_a_key_and_passes_what_is_none(repository):
    [path] = install(place(repository))
    assert path == repository.folder / ".git" / "hooks" / "pre-commit"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    repository.write(a=f"{KEY}\n")
    code, said = commit(repository)
    assert code == 1
    assert "a:1:1" in said
    repository.write(a="x\n")
    code, said = commit(repository)
    assert (code, said.splitlines()[-1]) == (
        0,
        "secretkit: 1 file, 2 bytes scanned, no leaked keys",
    )


def test_commit_a_and_commit_only_are_scanned_as_they_will_be(repository):
    repository.commit(a="x\n", b="x\n")
    install(place(repository))
    repository.write(a=f"{KEY}\n")
    repository.git("commit", "-q", "-m", "x", "-a", code=1)
    repository.write(b="y\n")
    repository.git("add", "b")
    repository.git("commit", "-q", "-m", "x", "--only", "a", code=1)
    repository.git("commit", "-q", "-m", "x", "--only", "b")


def test_installing_twice_changes_nothing(repository):
    hooks = repository.folder / ".git" / "hooks"
    script(hooks / "pre-commit", "exit 0")
    [path] = install(place(repository))
    first = path.read_bytes()
    install(place(repository))
    assert path.read_bytes() == first
    assert (hooks / f"pre-commit{BEFORE}").read_text() == "#!/bin/sh\nexit 0\n"


def test_a_hook_that_was_there_runs_first_and_its_answer_counts(repository):
    hooks = repository.folder / ".git" / "hooks"
    script(hooks / "pre-commit", "echo first; [ ! -e stop ] || exit 7")
    install(place(repository))
    repository.write(a="x\n")
    assert "first" in commit(repository)[1]
    repository.write(a=f"{KEY}\n")
    code, said = commit(repository)
    assert code == 1
    assert said.index("first") < said.index("a:1:1")
    repository.write(a="x\n", b="x\n", stop="")
    [path] = install(place(repository))
    done = subprocess.run([path], cwd=repository.folder, env=repository.environ, check=False)
    assert done.returncode == 7


@pytest.mark.parametrize("kind", ["file", "not executable", "link", "none"])
def test_undo_puts_back_what_was_there_to_the_byte(repository, kind):
    path = repository.folder / ".git" / "hooks" / "pre-commit"
    path.unlink(missing_ok=True)
    if kind == "link":
        script(repository.folder / "scripts" / "hook", "exit 0")
        path.symlink_to("../../scripts/hook")
    elif kind != "none":
        script(path, "exit 0 # \udcff".encode("utf-8", "surrogateescape").decode("latin-1"))
        path.chmod(0o755 if kind == "file" else 0o640)
    facts = os.lstat(path) if kind != "none" else None
    content = path.read_bytes() if facts else b""
    install(place(repository))
    assert installed(place(repository), "pre-commit") == ""
    assert uninstall(place(repository)) == [path]
    if facts is None:
        assert not path.exists()
    else:
        after = os.lstat(path)
        assert (after.st_ino, after.st_mode) == (facts.st_ino, facts.st_mode)
        assert path.read_bytes() == content
    assert uninstall(place(repository)) == []
    assert list(path.parent.glob(f"*{BEFORE}")) == []


def test_it_stops_the_commit_when_its_python_has_gone(repository):
    [path] = install(place(repository))
    text = path.read_text().replace(sys.executable, "/nonexistent/python")
    path.write_text(text)
    repository.write(a="x\n")
    code, said = commit(repository)
    assert code == 1
    assert "has gone: this commit is stopped" in said
    assert "hint:" in said


def test_a_path_with_anything_in_it_is_quoted(tmp_path, home):
    folder = tmp_path / 'it\'s $HOME `x` "q" \\ a'
    folder.mkdir()
    made = object.__new__(Repository)
    made.folder, made.environ = folder / "work", home
    made.folder.mkdir()
    made.git("init", "-q")
    link = folder / "git"
    link.symlink_to("/usr/bin/git")
    made.environ = home | {"PATH": f"{folder}:{os.defpath}"}
    [path] = install(place(made))
    assert "'\\''" in path.read_text()
    made.write(a=f"{KEY}\n")
    code, said = commit(made)
    assert (code, "a:1:1" in said) == (1, True)


def test_a_linked_work_tree_shares_the_hook(repository, tmp_path):
    repository.commit(a="x\n")
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = object.__new__(Repository)
    linked.folder, linked.environ = tmp_path / "linked", repository.environ
    [path] = install(place(linked))
    assert path == repository.folder / ".git" / "hooks" / "pre-commit"
    linked.write(b=f"{KEY}\n")
    assert commit(linked)[0] == 1


def test_the_user_s_own_hooks_path_counts(repository, tmp_path):
    folder = tmp_path / "my hooks"
    repository.git("config", "--global", "core.hooksPath", str(folder))
    [path] = install(place(repository))
    assert path == folder / "pre-commit"
    repository.write(a=f"{KEY}\n")
    assert commit(repository)[0] == 1


def test_hooks_in_the_work_tree_are_told_apart(repository):
    assert not place(repository).shared
    repository.git("config", "core.hooksPath", ".githooks")
    assert place(repository).shared


def test_a_push_is_stopped_and_the_hook_before_gets_the_same_input(repository, tmp_path):
    other = Repository(tmp_path / "other.git", "--bare")
    repository.commit(a="x\n")
    repository.git("remote", "add", "origin", str(other.folder))
    log = tmp_path / "log"
    script(
        repository.folder / ".git" / "hooks" / "pre-push", f'echo "$@" > "{log}"; cat >> "{log}"'
    )
    install(place(repository), hooks=("pre-commit", "pre-push"))
    repository.git("push", "-q", "origin", "main")
    lines = log.read_text().splitlines()
    assert lines[0] == f"origin {other.folder}"
    assert lines[1].startswith("refs/heads/main ")
    repository.write(b=f"{KEY}\n")
    assert commit(repository, "--no-verify")[0] == 0
    last = repository.git("rev-parse", "HEAD")
    done = subprocess.run(
        ["git", "push", "-q", "origin", "main"],
        cwd=repository.folder,
        env=repository.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    said = done.stderr.decode()
    assert f"commit {last[:12]}" in said
    assert "this push is stopped: 1 leaked key" in said
    assert repository.git("ls-remote", "origin", "main").split()[0] != last


def test_a_global_hook_works_everywhere_and_runs_a_repository_s_own(repository, tmp_path):
    where = global_place(environ=repository.environ)
    install(where)
    assert repository.git("config", "--global", "core.hooksPath") == str(where.folder)
    own = repository.folder / ".git" / "hooks"
    script(own / "pre-commit", "echo own")
    script(own / "commit-msg", "echo message; exit 0")
    repository.write(a="x\n")
    code, said = commit(repository)
    assert code == 0
    assert "own" in said
    assert "message" in said
    repository.write(a=f"{KEY}\n")
    assert commit(repository)[0] == 1
    names = {path.name for path in where.folder.iterdir()}
    assert names == set(FORWARDED)
    uninstall(global_place(environ=repository.environ))
    assert not where.folder.exists()
    repository.git("config", "--global", "core.hooksPath", code=1)
    assert (own / "pre-commit").exists()


def test_outside_of_a_repository_there_is_a_hint(tmp_path, home):
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="no git repository"):
        repository_place(
            tmp_path / "none", environ=home | {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
        )


def test_what_is_wrong_with_a_hook_is_said(repository):
    assert installed(place(repository), "pre-commit") == "is not there"
    path = repository.folder / ".git" / "hooks" / "pre-commit"
    script(path, "exit 0")
    assert installed(place(repository), "pre-commit") == "is not ours"
    install(place(repository))
    path.chmod(0o644)
    assert installed(place(repository), "pre-commit") == "is not executable"


def test_a_hook_of_someone_over_ours_is_not_overwritten_twice(repository):
    path = repository.folder / ".git" / "hooks" / "pre-commit"
    script(path, "exit 0")
    install(place(repository))
    script(path, "exit 1")
    with pytest.raises(ConfigError, match="is there already"):
        install(place(repository))
    assert path.read_text() == "#!/bin/sh\nexit 1\n"
