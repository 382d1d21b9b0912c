"""Death midway: of a scanning process, of git, or of memory. No scan is called clean after it."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.command import BIN, ENVIRON, scan
from scan.repository import Repository, key


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    (folder / "empty").mkdir()
    scan(folder / "empty", home=folder)  # the rules are compiled once
    return folder


def _children(parent):
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in found]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says who is whose child")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor has no workers")
def test_a_worker_that_is_killed_fails_the_scan(home, tmp_path):
    slow = (key("x")[:-5] + " ") * 4000
    for number in range(200):
        (tmp_path / f"{number}").write_text(slow)
    environ = {**ENVIRON, "HOME": str(home)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [BIN, "scan"], cwd=tmp_path, env=environ, stdout=pipe, stderr=pipe
    ) as run:
        deadline = time.monotonic() + 30
        while not (children := _children(run.pid)) and time.monotonic() < deadline:
            assert run.poll() is None
        os.kill(children[0], signal.SIGKILL)
        out, err = run.communicate(timeout=60)
    assert run.returncode not in {0, 1}, (out, err)
    assert b"ended early" in err
    assert b"nothing found" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is the kernel's")
def test_a_scan_without_memory_is_not_clean(home, tmp_path):
    (tmp_path / "big.gz").write_bytes(gzip.compress(b"x" * (90 << 20)))
    environ = {**ENVIRON, "HOME": str(home)}
    command = ["sh", "-c", 'ulimit -v 150000; exec "$0" scan', BIN]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert done.returncode not in {0, 1}, (done.stdout, done.stderr)
    assert b"nothing found;" not in done.stderr
    assert b"Traceback" not in done.stderr


DYING = """#!/bin/sh
case " $* " in *" {word} "*) {real} "$@" | head -c {count}; kill -9 $$ ;; esac
exec {real} "$@"
"""
# Git is looked for in the system's places alone, so another one is put over it, for one process.
OVER = 'mount --bind "$1" "$(realpath /usr/bin/git)" && exec "$0" scan --format json $2'


def _replaced(folder, words, program, home):
    command = ["unshare", "-m", "sh", "-c", OVER, BIN, program, " ".join(words)]
    environ = {**ENVIRON, "HOME": str(home)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can put a program over another")
@pytest.mark.parametrize("count", [0, 7])
@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("ls-files", ()),
        ("diff-index", ("--staged",)),
        ("cat-file", ("--staged",)),
        ("rev-list", ("--history", "HEAD~1..HEAD")),
    ],
)
def test_git_that_dies_fails_the_scan(home, tmp_path, word, words, count):
    repository = Repository(tmp_path / "work")
    repository.commit(a="1\n")
    repository.commit(b="2\n")
    repository.stage(c="3\n")
    real, program = tmp_path / "real-git", tmp_path / "git"
    shutil.copy("/usr/bin/git", real)
    program.write_text(DYING.format(word="no such word", count=0, real=real))
    program.chmod(0o755)
    done = _replaced(repository.folder, words, program, home)
    if b"unshare" in done.stderr or b"mount" in done.stderr:
        pytest.skip("mounts are not allowed here")
    assert done.returncode == 0, done.stderr
    program.write_text(DYING.format(word=word, count=count, real=real))
    done = _replaced(repository.folder, words, program, home)
    assert done.returncode not in {0, 1}, (done.stdout, done.stderr)
