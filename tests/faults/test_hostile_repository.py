"""A hostile repository runs nothing, opens no connection, and is scanned all the same.

Every way a repository's configuration, attributes or environment can name a program names one that
appends to a file; the file stays empty (scorecard C01, C02, C16).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import secretkit
from scan.repository import Repository, key, means
from secretkit.errors import ScanError
from secretkit.scan.git import Git
from secretkit.scan.objects import Objects
from secretkit.scan.pushed import Update, scan_pushed
from secretkit.scan.staged import scan_staged, staged
from secretkit.scan.tree import scan_tree

KEY, OTHER = key(), key("two")
FAST = Path(secretkit.__file__).parent / "scan" / "hook" / "fast.py"
GIT = "/usr/bin/git"

CONFIG = """
[core]
    fsmonitor = {program}
    fsmonitorHookVersion = 2
    hooksPath = {hooks}
    pager = {program}
    editor = {program}
    sshCommand = {program}
    gitProxy = {program}
    askPass = {program}
    alternateRefsCommand = {program}
    attributesFile = {attributes}
    untrackedCache = true
[diff]
    external = {program}
    orderFile = {attributes}
    ignoreSubmodules = none
[diff "evil"]
    command = {program}
    textconv = {program}
    cachetextconv = false
[filter "evil"]
    clean = {program}
    smudge = {program}
    process = {program}
    required = true
[merge "evil"]
    driver = {program} %A %O %B
[interactive]
    diffFilter = {program}
[pager]
    diff-index = {program}
    cat-file = {program}
    rev-list = {program}
    diff-tree = {program}
[alias]
    diff-index = !{program}
    cat-file = !{program}
    rev-parse = !{program}
    rev-list = !{program}
    diff-tree = !{program}
    ls-files = !{program}
[gpg]
    program = {program}
[log]
    showSignature = true
[credential]
    helper = !{program}
[trailer "evil"]
    command = {program}
[uploadpack]
    packObjectsHook = {program}
[submodule "sub"]
    url = ext::{program}
    update = !{program}
[extensions]
    partialClone = evil
[core]
    repositoryFormatVersion = 1
[remote "evil"]
    url = ext::{program}
    promisor = true
    partialclonefilter = blob:none
    uploadpack = {program}
    vcs = evil
    proxy = http://127.0.0.1:9
[protocol]
    allow = always
[protocol "ext"]
    allow = always
[url "ext::{program}"]
    insteadOf = https://
[trace2]
    normalTarget = {marker}
    eventTarget = {marker}
    perfTarget = {marker}
[maintenance]
    auto = true
[fsmonitor]
    allowRemote = true
"""
HOOKS = (
    *("pre-commit", "post-checkout", "post-index-change", "reference-transaction", "pre-push"),
    *("fsmonitor-watchman", "post-merge", "pre-auto-gc"),
)


class Hostile:
    """A repository that names ``program`` wherever it can, and the file it would append to."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.cache = cache
        self.marker = folder / "marker"
        self.program = folder / "program"
        self.program.write_text(f"#!/bin/sh\necho ran: $0 $@ >> {self.marker}\nexit 0\n")
        self.program.chmod(0o755)
        self.repository = Repository(folder / "work")
        self.repository.commit(old="old\n", big="x\n" * 50)
        self.repository.stage(a=f"1\n{KEY}\n", **{".gitattributes": self._attributes()})
        tree = self.repository.git("write-tree")
        self.leak = self.repository.git("commit-tree", "-m", "x", tree)
        self._bare(self.repository.folder / "inner")
        self._configure(self.repository.folder / ".git")

    def _attributes(self) -> str:
        return "* diff=evil filter=evil merge=evil\n"

    def _configure(self, folder: Path) -> None:
        hooks = folder / "evil-hooks"
        for place in (hooks, folder / "hooks"):
            place.mkdir(exist_ok=True)
            for name in HOOKS:
                shutil.copy(self.program, place / name)
        attributes = folder / "evil-attributes"
        attributes.write_text(self._attributes())
        (folder / "info").mkdir(exist_ok=True)
        (folder / "info" / "attributes").write_text(self._attributes())
        text = CONFIG.format(
            program=self.program, hooks=hooks, attributes=attributes, marker=self.marker
        )
        with (folder / "config").open("a") as file:
            file.write(text)

    def _bare(self, folder: Path) -> None:
        """Make a bare repository inside that takes the outer one as its work tree."""
        folder.mkdir()
        Repository(folder / "x", "--bare")
        for path in (folder / "x").iterdir():
            path.rename(folder / path.name)
        with (folder / "config").open("a") as file:
            file.write("[core]\n    bare = false\n    worktree = ..\n")
        self._configure(folder)

    @property
    def ran(self) -> str:
        return self.marker.read_text() if self.marker.exists() else ""

    def environ(self) -> dict[str, str]:
        """An environment that names it too."""
        program, marker = str(self.program), str(self.marker)
        settings = {
            "core.fsmonitor": program,
            "diff.external": program,
            "core.pager": program,
            "alias.diff-index": f"!{program}",
        }
        return {
            "PATH": f"{self.program.parent}:{os.defpath}",
            "HOME": str(self.program.parent),
            "XDG_CACHE_HOME": str(self.cache),
            "GIT_EXTERNAL_DIFF": program,
            "GIT_PAGER": program,
            "PAGER": program,
            "GIT_EDITOR": program,
            "GIT_SSH": program,
            "GIT_SSH_COMMAND": program,
            "GIT_ASKPASS": program,
            "GIT_PROXY_COMMAND": program,
            "GIT_EXEC_PATH": str(self.program.parent),
            "GIT_TRACE": marker,
            "GIT_TRACE_SETUP": marker,
            "GIT_TRACE2": marker,
            "GIT_TRACE2_EVENT": marker,
            "GIT_CONFIG_COUNT": str(len(settings)),
            **{f"GIT_CONFIG_KEY_{n}": name for n, name in enumerate(settings)},
            **{f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(settings.values())},
            "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={program}'",
            "GIT_ALLOW_PROTOCOL": "ext:file:https:ssh",
            "GIT_TEMPLATE_DIR": str(self.program.parent),
        }

    def hook(self, stage: str, *words: str, given: bytes = b"", trace: Path | None = None):
        before = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(trace)] if trace else []
        command = [sys.executable, "-I", "-S", FAST, stage, "--git", GIT, *words]
        return subprocess.run(
            [*before, *command],
            cwd=self.repository.folder,
            env=self.environ(),
            input=given,
            capture_output=True,
            check=False,
        )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def hostile(tmp_path, cache):
    return Hostile(tmp_path, cache)


def test_the_recipe_works_against_porcelain(hostile):
    """So that an empty marker below means something."""
    environ = hostile.repository.environ
    run = {"cwd": hostile.repository.folder, "env": environ, "capture_output": True}
    subprocess.run(["git", "status"], **run, check=False)
    assert "ran:" in hostile.ran


def test_what_is_staged_is_scanned_and_nothing_runs(hostile):
    git = Git(hostile.repository.folder)
    with Objects(git) as objects:
        found = scan_staged(staged(git), means=means(objects))
    assert [(one.path, one.line) for one in found.findings] == [("a", 2)]
    assert hostile.ran == ""


def test_what_is_pushed_is_scanned_and_nothing_runs(hostile):
    git, leak = Git(hostile.repository.folder), hostile.leak
    with Objects(git) as objects:
        updates = [Update("refs/heads/x", "", leak)]
        found = scan_pushed(git, updates, lacking=["--all"], means=means(objects))
    assert [(one.path, one.line, one.commit) for one in found.findings] == [("a", 2, leak)]
    assert hostile.ran == ""


def test_the_tree_is_scanned_and_nothing_runs(hostile):
    with Objects(Git(hostile.repository.folder)) as objects:
        scanner = means(objects).scanner
    found = scan_tree([hostile.repository.folder], scanner=scanner, workers=1)
    assert [(Path(one.path).name, one.line) for one in found.findings] == [("a", 2)]
    assert hostile.ran == ""


def test_a_bare_repository_inside_is_refused_and_nothing_runs(hostile):
    with pytest.raises(ScanError):
        staged(Git(hostile.repository.folder / "inner"))
    assert hostile.ran == ""


@pytest.mark.parametrize("stage", ["pre-commit", "pre-push", "pre-receive", "update"])
def test_the_hook_runs_nothing_whatever_repository_and_environment_say(hostile, stage):
    leak, none = hostile.leak, "0" * 40
    given = {
        "pre-push": f"refs/heads/x {leak} refs/heads/x {none}\n",
        "pre-receive": f"{none} {leak} refs/heads/x\n",
    }
    words = {"pre-push": ("evil", "x"), "update": ("refs/heads/x", none, leak)}
    done = hostile.hook(stage, *words.get(stage, ()), given=given.get(stage, "").encode())
    assert done.returncode == 1, done.stderr.decode()
    assert b"a:2:1: critical" in done.stderr
    assert hostile.ran == ""


def test_a_missing_object_is_not_fetched_from_a_promisor(hostile):
    git = Git(hostile.repository.folder)
    oid = git.run("rev-parse", ":a").decode().strip()
    (hostile.repository.folder / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with Objects(git) as objects:
        found = scan_staged(staged(git), means=means(objects))
    assert [one.path for one in found.skipped if one.path == "a"] == ["a"]
    assert hostile.ran == ""
    assert hostile.hook("pre-commit").returncode == 3
    assert hostile.ran == ""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_hook_opens_no_socket(hostile, tmp_path):
    trace = tmp_path / "trace"
    done = hostile.hook("pre-commit", trace=trace)
    assert done.returncode == 1, done.stderr.decode()
    assert "socket(" not in trace.read_text()


def test_a_repository_of_another_user_is_scanned(hostile):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for folder, _, names in os.walk(hostile.repository.folder):
        for name in (*names, "."):
            os.chown(Path(folder) / name, 12345, 12345, follow_symlinks=False)
    done = hostile.hook("pre-commit")
    assert done.returncode == 1, done.stderr.decode()
    assert b"a:2:1" in done.stderr
    assert hostile.ran == ""


NAMES = [
    b"esc\x1b[2J",
    b"line\nbreak",
    b"invalid\xff\xfe",
    "bidi\u202e".encode(),
    b"::error::x",
    b"tab\there",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_hostile_name_drives_no_terminal(tmp_path, cache, name):
    repository = Repository(tmp_path / "work")
    repository.commit(old="x\n")
    path = os.fsencode(repository.folder) + b"/" + name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, f"{KEY}\n".encode())
    os.close(descriptor)
    repository.git("add", "-A")
    command = [sys.executable, "-X", "utf8", "-I", "-S", FAST, "pre-commit", "--git", GIT]
    environ = repository.environ | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        command, cwd=repository.folder, env=environ, capture_output=True, check=False
    )
    assert done.returncode == 1
    text = done.stderr.decode()
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not any(line.startswith("::") for line in text.splitlines())
    [line] = [line for line in text.splitlines() if "anthropic-api-key (" in line]
    assert ":1:1: critical" in line
