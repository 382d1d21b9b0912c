from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from secretkit.scan.__main__ import main

BODY = "Zq3Xv8Rt1Lm6Yw0Pb5Ke9Ju2Hd7Nc4Gf"
KEY = "-".join(("sk-ant", "api03", (BODY * 3)[:93] + "AA"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o700)
    return str(folder)


@pytest.fixture
def scan(cache):
    def run(*paths: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = main([str(path) for path in paths], out=out, err=err, cache=cache)
        assert KEY not in out.getvalue() + err.getvalue()
        return code, out.getvalue(), err.getvalue()

    return run


def git(folder: Path, *words: str) -> None:
    environ = {"PATH": os.defpath, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", str(folder), *words], check=True, env=environ, capture_output=True)


def test_a_clean_tree_gives_nothing_and_zero(scan, tmp_path):
    (tmp_path / "a.txt").write_text("nothing here\n")
    assert scan(tmp_path) == (0, "", "")


def test_a_key_is_reported_by_place_and_rule_and_not_shown(scan, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").write_text(f"one\nKEY = '{KEY}'\n")
    code, out, err = scan(tmp_path)
    assert code == 1
    assert f"{tmp_path}/sub/a.py:2:8: critical anthropic-api-key" in out
    assert "    | KEY = 'sk-a…'" in out
    assert "1 found; 1 file" in err


def test_an_allowed_line_needs_a_reason_and_is_counted(scan, tmp_path):
    (tmp_path / "a").write_text(f"'{KEY}'  # secretkit: allow a dead key in a test\n")
    code, out, err = scan(tmp_path)
    assert (code, out) == (0, "")
    assert "1 accepted (1 by comment)" in err
    (tmp_path / "a").write_text(f"'{KEY}'  # secretkit: allow\n'{KEY}'\n")
    assert scan(tmp_path)[0] == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_a_key_is_found_in_other_encodings_and_after_odd_bytes(scan, tmp_path, encoding):
    (tmp_path / "a").write_bytes(f"é {KEY}".encode(encoding))
    (tmp_path / "b").write_bytes(b"\0\xff\xfe\n" + KEY.encode())
    code, out, _ = scan(tmp_path)
    assert code == 1
    assert out.count(": critical anthropic-api-key") == 2


def test_a_hostile_repository_runs_nothing(scan, tmp_path):
    tree, marker = tmp_path / "tree", tmp_path / "marker"
    tree.mkdir()
    git(tree, "init", "-q")
    program = tree / "evil.sh"
    program.write_text(f"#!/bin/sh\necho ran >> {marker}\n")
    program.chmod(0o755)
    (tree / "a.txt").write_text("text")
    (tree / ".gitattributes").write_text("* filter=evil diff=evil\n")
    git(tree, "add", "a.txt")
    for name in ("core.fsmonitor", "core.pager", "filter.evil.clean", "diff.evil.textconv"):
        git(tree, "config", name, str(program))
    git(tree, "config", "core.hooksPath", str(tree))
    marker.unlink(missing_ok=True)
    assert scan(tree)[0] == 0
    assert not marker.exists()


def test_a_repository_that_git_cannot_read_is_not_called_clean(scan, tmp_path):
    (tmp_path / ".git").write_text("gitdir: /nonexistent\n")
    code, _, err = scan(tmp_path)
    assert code == 3
    assert "not scanned" in err


def test_a_baseline_that_cannot_be_read_is_no_clean_scan(scan, tmp_path):
    (tmp_path / "a").write_text("clean")
    (tmp_path / ".secretkit-baseline").symlink_to("a")
    assert scan(tmp_path)[0] == 2


@pytest.mark.parametrize("arguments", [[], ["--all"], ["/nonexistent/x"]])
def test_wrong_usage_is_two(scan, arguments):
    assert scan(*arguments)[0] == 2


def test_a_hostile_file_name_cannot_write_to_the_terminal(scan, tmp_path):
    name = "a\x1b[2J\n\u202e::error::"
    (tmp_path / name).write_text(f"\x1b[31m {KEY}")
    code, out, _ = scan(tmp_path)
    assert code == 1
    assert out.count(": critical ") == 1
    assert out.replace("\n", "").isprintable()


def test_our_own_tree_has_no_key():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "secretkit.scan", "."],
        cwd=root,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"")
