from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from secretkit.scan.__main__ import main
from secretkit.scan.listing import MAX_BYTES

KEY = "sk-ant" + "-api03-" + "a1B2" * 24


def scan(*paths: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = main([str(path) for path in paths], out=out, err=err)
    return code, out.getvalue(), err.getvalue()


def git(folder: Path, *words: str) -> None:
    environ = {"PATH": os.defpath, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", str(folder), *words], check=True, env=environ, capture_output=True)


def test_a_clean_tree_gives_nothing_and_zero(tmp_path):
    (tmp_path / "a.txt").write_text("nothing here\n")
    assert scan(tmp_path) == (0, "", "")


def test_a_key_is_reported_by_place_and_rule_and_not_shown(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").write_text(f"one\nKEY = '{KEY}'\n")
    code, out, _ = scan(tmp_path)
    assert code == 1
    assert f"{tmp_path}/sub/a.py:2: anthropic-api-key: KEY = 'sk-a…" in out
    assert KEY[4:12] not in out


def test_two_keys_on_one_line_are_both_hidden(tmp_path):
    other = "sk-ant" + "-api03-" + "Zz9_" * 24
    (tmp_path / "a").write_text(f"{KEY} {other}\n")
    code, out, _ = scan(tmp_path)
    assert code == 1
    assert out.count("anthropic-api-key") == 2
    assert "a1B2" not in out
    assert "Zz9_" not in out


def test_nothing_of_a_short_password_is_shown(tmp_path):
    (tmp_path / "a").write_text("postgresql://app:" + "hunter2!x" + "@db/app\n")
    code, out, _ = scan(tmp_path / "a")
    assert code == 1
    assert "hunt" not in out


def test_an_allowed_line_needs_a_reason(tmp_path):
    (tmp_path / "a").write_text(f"'{KEY}'  # secretkit: allow a dead key in a test\n")
    assert scan(tmp_path)[0] == 0
    (tmp_path / "a").write_text(f"'{KEY}'  # secretkit: allow\n'{KEY}'\n")
    assert scan(tmp_path)[0] == 1


def test_an_allowance_does_not_reach_another_line(tmp_path):
    (tmp_path / "a").write_text(f"# secretkit: allow this\n'{KEY}'\n")
    assert scan(tmp_path)[0] == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_a_key_is_found_in_other_encodings_and_after_odd_bytes(tmp_path, encoding):
    (tmp_path / "a").write_bytes(f"é {KEY}".encode(encoding))
    (tmp_path / "b").write_bytes(b"\0\xff\xfe\n" + KEY.encode())
    code, out, _ = scan(tmp_path)
    assert code == 1
    assert out.count("anthropic-api-key") == 2


def test_links_pipes_and_sockets_are_not_followed_and_do_not_hang(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text(KEY)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").symlink_to(outside / "secret")
    (tree / "folder").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    (tree / "zero").symlink_to("/dev/zero")
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "sock"))
        assert scan(tree) == (0, "", "")


def test_a_tracked_file_whose_folder_became_a_link_is_not_read(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text(KEY)
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    git(tree, "init", "-q")
    (tree / "folder" / "secret").write_text("clean")
    git(tree, "add", ".")
    (tree / "folder" / "secret").unlink()
    (tree / "folder").rmdir()
    (tree / "folder").symlink_to(outside)
    assert scan(tree) == (0, "", "")


def test_git_decides_what_is_read(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").write_text(KEY)
    assert scan(tmp_path)[0] == 0
    (tmp_path / "new").write_text(KEY)
    code, out, _ = scan(tmp_path)
    assert code == 1
    assert "/new:1:" in out
    assert "ignored" not in out


def test_a_hostile_repository_runs_nothing(tmp_path):
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


def test_a_repository_that_git_cannot_read_is_not_called_clean(tmp_path):
    (tmp_path / ".git").write_text("gitdir: /nonexistent\n")
    code, _, err = scan(tmp_path)
    assert code == 3
    assert "not scanned" in err


def test_a_file_too_large_is_not_called_clean(tmp_path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    code, _, err = scan(tmp_path)
    assert code == 3
    assert "big" in err


@pytest.mark.parametrize("arguments", [[], ["--all"], ["/nonexistent/x"]])
def test_wrong_usage_is_two(arguments):
    assert scan(*arguments)[0] == 2


def test_a_hostile_file_name_cannot_write_to_the_terminal(tmp_path):
    name = "a\x1b[2J\n\u202e::error::"
    (tmp_path / name).write_text(f"\x1b[31m {KEY}")
    code, out, _ = scan(tmp_path)
    assert code == 1
    assert out.count("\n") == 1
    assert out.isprintable() or out[:-1].isprintable()
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_our_own_tree_has_no_key():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "secretkit.scan", "secretkit/scan", "tests/scan"],
        cwd=root,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"")
