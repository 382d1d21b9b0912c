"""The script that git runs: a clean commit costs next to nothing, and doubt costs a full scan."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import secretkit
from scan.repository import Repository, key

KEY, OTHER = key(), key("two")
SCRIPT = Path(secretkit.__file__).parent / "scan" / "hook" / "fast.py"
GIT = "/usr/bin/git"
HEAVY = {"re", "json", "subprocess", "pathlib", "typing", "argparse", "site", "click", "hashlib"}


class Hook:
    """Runs the script as git would, and says what it imported."""

    def __init__(self, repository: Repository, cache: Path) -> None:
        self.repository = repository
        self.environ = repository.environ | {"XDG_CACHE_HOME": str(cache)}

    def run(self, *words: str, **environ: str):
        command = [sys.executable, "-X", "importtime", "-I", "-S", SCRIPT, "pre-commit"]
        done = subprocess.run(
            [*command, *(words or ("--git", GIT))],
            cwd=self.repository.folder,
            env=self.environ | environ,
            capture_output=True,
            check=False,
        )
        lines = done.stderr.decode().splitlines()
        loaded = {line.split("|")[-1].strip() for line in lines if line.startswith("import time:")}
        said = "\n".join(line for line in lines if not line.startswith("import time:"))
        return done.returncode, said, loaded

    def is_fast(self) -> bool:
        code, said, loaded = self.run()
        assert code == 0, said
        return "secretkit.scan.hook.glance" in loaded and "secretkit.scan.hook.stage" not in loaded


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The compiled rules, once for all tests here."""
    folder = tmp_path_factory.mktemp("cache")
    repository = Repository(tmp_path_factory.mktemp("first") / "work")
    repository.stage(a="x\n")
    code, said, _ = Hook(repository, folder).run()
    assert code == 0, said
    return folder


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "work")
    made.commit(old="old\n")
    return made


@pytest.fixture
def hook(repository, cache):
    return Hook(repository, cache)


def test_a_clean_commit_is_passed_with_one_line_and_next_to_no_imports(hook):
    hook.repository.stage(a="x = 1\n", b__c="y" * 2000 + "\n")
    code, said, loaded = hook.run()
    assert (code, said) == (0, "secretkit: 2 files, 2 kB scanned, no leaked keys")
    assert loaded & HEAVY == set()
    ours = {one for one in loaded if one.startswith("secretkit")}
    assert ours == {
        "secretkit.scan",
        "secretkit.scan.engine",
        "secretkit.scan.engine.cache",
        "secretkit.scan.engine.native",
        "secretkit.scan.engine.pack",
        "secretkit.scan.hardening",
        "secretkit.scan.hook",
        "secretkit.scan.hook.child",
        "secretkit.scan.hook.difference",
        "secretkit.scan.hook.doubt",
        "secretkit.scan.hook.glance",
        "secretkit.scan.hook.setting",
        "secretkit.scan.hook.start",
        "secretkit.scan.hook.wrapped",  # for the long run of letters
    }


def test_nothing_staged_is_said_to_be_nothing_scanned(hook):
    assert hook.run()[:2] == (0, "secretkit: nothing staged, nothing scanned")


def test_a_key_stops_the_commit_and_is_named_but_not_shown(hook):
    hook.repository.stage(a=f"x\nkey = '{KEY}'\n")
    code, said, _ = hook.run()
    assert code == 1
    assert "a:2:8: critical anthropic-api-key" in said
    assert "this commit is stopped: 1 leaked key" in said
    assert KEY[20:40] not in said


def test_a_key_that_was_there_does_not_stop_a_change_and_costs_no_full_scan(hook):
    hook.repository.commit(a=f"x\n{KEY}\n", b="x\n")
    hook.repository.stage(a=f"new\nx\n{KEY}\n")
    assert hook.is_fast()
    hook.repository.stage(a=f"new\nx\n{KEY} # moved\n")
    assert not hook.is_fast()


def test_a_key_that_replaces_another_stops_the_commit(hook):
    hook.repository.commit(a=f"x\n{KEY}\n")
    hook.repository.stage(a=f"x\n{OTHER}\n")
    assert hook.run()[0] == 1


def test_a_private_key_behind_an_old_first_line_stops_the_commit(hook):
    def pem() -> bytes:
        return ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )

    hook.repository.commit(a=pem())
    hook.repository.stage(a=pem())
    code, said, _ = hook.run()
    assert code == 1, said


@pytest.mark.parametrize(
    "content",
    [
        f"a: {base64.b64encode(KEY.encode()).decode()}\n".encode(),
        f'k = "{KEY[:30]}" + "{KEY[30:]}"\n'.encode(),
        f"key: |\n  {KEY[:50]}\n  {KEY[50:]}\n".encode(),
        KEY.encode().hex().encode(),
        f"key = '{KEY}'\n".encode("utf-16"),
        b"x" * 5_000_000 + b"\n" + KEY.encode() + b"\n",
    ],
    ids=["base64", "literals", "block", "hex", "utf-16", "large"],
)
def test_what_must_be_decoded_or_is_large_is_found(hook, content):
    hook.repository.stage(a=content)
    assert hook.run()[0] == 1


def test_more_than_a_thousand_files_are_scanned(hook):
    for count in range(1001):
        hook.repository.put(f"d/{count}", f"{count}\n")
    hook.repository.put("d/last", f"{KEY}\n")
    hook.repository.git("add", "-A")
    code, said, _ = hook.run()
    assert code == 1
    assert "d/last:1:1" in said


def test_several_hundred_files_take_the_short_way(hook):
    for count in range(450):
        hook.repository.put(f"d/{count}", f"{count}\n" * count)
    hook.repository.git("add", "-A")
    assert hook.is_fast()


def test_a_first_commit_and_a_merge_take_the_long_way_and_are_scanned(tmp_path, cache):
    repository = Repository(tmp_path / "work")
    hook = Hook(repository, cache)
    repository.stage(a=f"{KEY}\n")
    assert hook.run()[0] == 1
    repository.commit(a="1\n")
    repository.git("checkout", "-q", "-b", "side")
    repository.commit(b=f"{KEY}\n")
    repository.git("checkout", "-q", "main")
    repository.commit(c="1\n")
    repository.git("merge", "-q", "--no-ff", "--no-commit", "side")
    assert not hook.is_fast()
    repository.stage(a=f"{OTHER}\n")
    assert hook.run()[0] == 1


def test_a_file_of_rules_takes_the_long_way(hook):
    hook.repository.stage(a="x\n")
    (hook.repository.folder / "secretkit.toml").write_text("")
    assert not hook.is_fast()


def test_without_compiled_rules_they_are_compiled_or_done_without(hook, tmp_path):
    hook.repository.stage(a=f"{KEY}\n")
    unwritable = str(tmp_path / "none")
    (tmp_path / "none").write_text("a file where a directory is wanted")
    assert hook.run(XDG_CACHE_HOME=unwritable)[0] == 1


def test_an_accepted_key_passes_and_is_counted(hook):
    hook.repository.stage(a=f"{KEY}  # secretkit: allow revoked long ago\n")
    code, said, _ = hook.run()
    assert code == 0
    assert "secretkit: 1 file, 146 bytes scanned, no leaked keys, 1 accepted" in said


def test_a_broken_index_stops_the_commit(hook):
    (hook.repository.folder / ".git" / "index").write_bytes(b"DIRC and no more")
    code, said, _ = hook.run()
    assert code == 3
    assert "not scanned in full" in said


def test_a_blob_that_is_gone_stops_the_commit(hook):
    hook.repository.stage(a="x\n")
    oid = hook.repository.git("rev-parse", ":a")
    (hook.repository.folder / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    code, said, _ = hook.run()
    assert code == 3
    assert "a: not scanned in full" in said


def test_no_repository_and_no_git_stop_the_commit(hook, tmp_path):
    (tmp_path / "empty").mkdir()
    hook.repository.folder = tmp_path / "empty"
    assert hook.run()[0] == 3
    assert hook.run("--git", "/nonexistent/git")[0] == 3


def test_a_git_that_dies_midway_stops_the_commit(hook, tmp_path):
    hook.repository.stage(a="x\n")
    script = tmp_path / "git"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *--batch) read line; exit 0;; esac\nexec {GIT} "$@"\n'
    )
    script.chmod(0o755)
    code, said, _ = hook.run("--git", str(script))
    assert code == 3
    assert re.search("not scanned in full", said)


def test_closed_standard_streams_change_nothing(hook):
    hook.repository.stage(a=f"{KEY}\n")
    line = f"exec {sys.executable} -I -S {SCRIPT} pre-commit --git {GIT} <&- >&- 2>&-"
    done = subprocess.run(
        ["sh", "-c", line], cwd=hook.repository.folder, env=hook.environ, check=False
    )
    assert done.returncode == 1


def test_variables_for_git_in_the_environment_have_no_effect(hook, tmp_path):
    marker = tmp_path / "marker"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho ran >> {marker}\n")
    program.chmod(0o755)
    hook.repository.stage(a="x\n")
    hostile = {
        "GIT_EXTERNAL_DIFF": str(program),
        "GIT_TRACE": str(marker),
        "GIT_TRACE2": str(marker),
        "GIT_PAGER": str(program),
        "GIT_SSH_COMMAND": str(program),
        "GIT_EXEC_PATH": str(tmp_path),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(program),
        "GIT_CONFIG_GLOBAL": str(tmp_path / "config"),
        "PATH": f"{tmp_path}:{os.defpath}",
        "PYTHONPATH": str(tmp_path),
    }
    assert hook.run(**hostile)[0] == 0
    assert not marker.exists()


def test_files_that_are_named_are_not_passed_over(hook):
    hook.repository.commit(a=f"{KEY}\n")
    assert hook.run("--git", GIT)[:2] == (0, "secretkit: nothing staged, nothing scanned")
    assert hook.run("--git", GIT, "a")[0] == 1


def test_a_hook_that_is_killed_stops_the_commit(hook, tmp_path):
    hook.repository.stage(a="x\n")
    script = tmp_path / "git"
    script.write_text('#!/bin/sh\ncase "$*" in *diff-index*) kill -9 $PPID;; esac\nexit 1\n')
    script.chmod(0o755)
    assert hook.run("--git", str(script))[0] == -9


# What has no line of its own in the change


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'k = (\n  "{KEY[:30]}"\n  # between\n  "{KEY[30:]}"\n)\n', "  # between\n"),
        (f'k = ("{KEY[:30]}" +\n\n#\n  "{KEY[30:]}")\n', "\n#\n"),
        (f"key: |\n  {KEY[:50]}\n#\n  {KEY[50:]}\n", "#\n"),
    ],
    ids=["literals", "sum", "block"],
)
def test_pieces_that_become_neighbours_are_put_together(hook, before, after):
    hook.repository.commit(a=before)
    hook.repository.stage(a=before.replace(after, ""))
    code, said, _ = hook.run()
    assert code == 1, said


def test_literals_on_lines_of_their_own_are_put_together(hook):
    hook.repository.stage(a=f'k = (\n    "{KEY[:30]}"\n    "{KEY[30:]}"\n)\n')
    assert hook.run()[0] == 1


def test_of_many_files_only_the_doubtful_one_is_scanned_in_full_and_all_are_counted(hook):
    for count in range(40):
        hook.repository.put(f"d/{count}", "0123456789\n" * 10)
    hook.repository.put("d/last", f"{KEY}  # secretkit: allow gone\n")
    hook.repository.git("add", "-A")
    code, said, _ = hook.run()
    assert code == 0
    assert "41 files, 5 kB scanned, no leaked keys, 1 accepted" in said


def test_a_finding_loads_only_what_it_takes(hook):
    hook.repository.stage(a=f"{KEY}\n")
    code, _, loaded = hook.run()
    assert code == 1
    spared = {"subprocess", "pathlib", "_hashlib", "json", "zipfile", "tempfile", "ssl", "click"}
    assert loaded & spared == set()


def test_a_baseline_that_is_staged_counts_without_another_git(hook):
    hook.repository.stage(a=f"{KEY}\n", **{".secretkit-baseline": "damaged\n"})
    code, said, _ = hook.run()
    assert code == 2
    assert ".secretkit-baseline" in said


# Where there is no cache yet


def test_a_first_run_says_what_takes_long_and_is_bounded(hook, tmp_path):
    hook.repository.stage(a="x\n")
    began = os.times().elapsed
    code, said, _ = hook.run(XDG_CACHE_HOME=str(tmp_path / "new"))
    assert os.times().elapsed - began < 30, "2 s here; a machine may be ten times slower"
    assert code == 0
    assert re.search(r"secretkit: compiling \d+ rules, once", said)
    code, said, _ = hook.run(XDG_CACHE_HOME=str(tmp_path / "new"))
    assert (code, "compiling" in said) == (0, False)


def test_a_cache_that_cannot_be_written_stops_nothing_clean(hook, tmp_path):
    hook.repository.stage(a="x\n")
    assert hook.run(XDG_CACHE_HOME="/proc/none")[0] == 0


def test_without_a_home_the_scan_is_made_all_the_same(hook):
    del hook.environ["HOME"], hook.environ["XDG_CACHE_HOME"]
    hook.repository.stage(a="x\n")
    code, said, _ = hook.run()
    assert (code, "no leaked keys" in said) == (0, True)
    hook.repository.stage(a=f"{KEY}\n")
    assert hook.run()[0] == 1


def test_first_runs_at_once_do_not_disturb_each_other(hook, tmp_path):
    hook.repository.stage(a="x\n")
    environ = hook.environ | {"XDG_CACHE_HOME": str(tmp_path / "new")}
    command = [sys.executable, "-I", "-S", SCRIPT, "pre-commit", "--git", GIT]
    started = [
        subprocess.Popen(command, cwd=hook.repository.folder, env=environ, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:
        _, said = process.communicate()
        assert process.returncode == 0, said
    assert len(list((tmp_path / "new").rglob("*.pack"))) == 1
    assert len(list((tmp_path / "new").rglob("*.pack.*"))) == 0
