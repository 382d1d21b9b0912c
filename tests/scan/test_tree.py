from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from secretkit.errors import ScanError
from secretkit.scan.engine import open_engine
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.rule import built_in_rules
from secretkit.scan.scanner import Scanner
from secretkit.scan.tree import scan_tree

RULES = [rule for rule in built_in_rules() if rule.id == "anthropic-api-key"]
KEY = "sk-ant" + "-api03-" + "kT9x_Qw2-Lz7Rb4Vn" * 5 + "aB3_x-Z9AA"


@pytest.fixture(scope="module")
def scanner():
    return Scanner(
        RULES, engine=open_engine(RULES), fingerprints=Fingerprinter([b"a key of sixteen"])
    )


@pytest.fixture
def scan(scanner):
    return lambda *roots, **options: scan_tree(list(roots), scanner=scanner, **options)


def paths(summary):
    return [finding.path for finding in summary.findings]


def git(folder, *words):
    environ = {"PATH": os.defpath, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", str(folder), *words], check=True, env=environ, capture_output=True)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_every_file_is_scanned_once_whatever_does_it(tmp_path, scan, workers):
    for number in range(200):
        folder = tmp_path / f"d{number % 7}" / f"e{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_text(f"k = '{KEY}'\n" if number % 40 == 0 else "nothing\n")
    summary = scan(tmp_path, workers=workers)
    assert summary.files == 200
    expected = [f"{tmp_path}/d{n % 7}/e{n % 3}/f{n}" for n in range(0, 200, 40)]
    assert paths(summary) == sorted(expected)


def test_a_repository_gives_what_is_tracked_or_new_but_not_what_is_ignored(tmp_path, scan):
    git(tmp_path, "init", "-q")
    for name in ("tracked", "new", "ignored.env", "odd\nname"):
        (tmp_path / name).write_text(KEY)
    (tmp_path / ".gitignore").write_text("*.env\n")
    git(tmp_path, "add", "tracked", ".gitignore")
    assert paths(scan(tmp_path)) == [
        f"{tmp_path}/{name}" for name in ("new", "odd\nname", "tracked")
    ]


def test_an_ignored_directory_that_is_asked_for_is_scanned(tmp_path, scan):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("out/\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text(KEY)
    assert paths(scan(tmp_path)) == []
    assert paths(scan(tmp_path / "out")) == [f"{tmp_path}/out/file"]


def test_a_repository_inside_a_repository_is_scanned_too(tmp_path, scan):
    git(tmp_path, "init", "-q")
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "file").write_text(KEY)
    git(inner, "add", "file")
    assert paths(scan(tmp_path)) == [f"{inner}/file"]


def test_paths_are_as_they_were_named(tmp_path, scan, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text(KEY)
    monkeypatch.chdir(tmp_path)
    assert paths(scan(Path())) == ["sub/file"]
    assert paths(scan(Path("sub"))) == ["sub/file"]
    assert paths(scan(Path("sub/file"))) == ["sub/file"]
    assert paths(scan(tmp_path / "sub" / "file")) == [f"{tmp_path}/sub/file"]


def test_where_a_tree_lies_says_nothing_about_its_files(tmp_path, scan):
    """A key in tests/login.pem is a test's; one in /home/me/tests/login.pem is a key."""
    (tmp_path / "tests" / "app").mkdir(parents=True)
    (tmp_path / "tests" / "app" / "settings.py").write_text(f"k = '{KEY}'\n")
    scanner = Scanner(
        RULES, engine=open_engine(RULES), fingerprints=Fingerprinter([b"a key of sixteen"])
    )
    for root in (tmp_path / "tests" / "app", tmp_path / "tests" / "app" / "settings.py"):
        assert len(scan_tree([root], scanner=scanner).findings) == 1
        assert scanner.above == f"{tmp_path}/tests/app/"


def test_several_roots_add_up(tmp_path, scan):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(KEY)
    assert len(paths(scan(tmp_path / "a", tmp_path / "b", tmp_path / "a" / "file"))) == 3


def test_links_pipes_sockets_and_devices_are_not_read(tmp_path, scan):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text(KEY)
    root = tmp_path / "tree"
    root.mkdir()
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "zero").symlink_to("/dev/zero")
    (root / "shadow").symlink_to("../../etc/shadow")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "sock"))
        summary = scan(root)
    assert (summary.findings, summary.skipped, summary.files) == ((), (), 0)


def test_the_target_of_a_link_is_text_that_can_leak(tmp_path, scan):
    (tmp_path / "link").symlink_to(f"/nowhere/{KEY}")
    assert paths(scan(tmp_path)) == [f"{tmp_path}/link"]


def test_a_tracked_file_whose_folder_became_a_link_is_not_read(tmp_path, scan):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text(KEY)
    root = tmp_path / "tree"
    (root / "folder").mkdir(parents=True)
    git(root, "init", "-q")
    (root / "folder" / "secret").write_text("clean")
    git(root, "add", ".")
    (root / "folder" / "secret").unlink()
    (root / "folder").rmdir()
    (root / "folder").symlink_to(outside)
    assert scan(root).findings == ()


def test_a_root_that_is_a_link_is_reported_not_followed(tmp_path, scan):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (skipped,) = scan(tmp_path / "link").skipped
    assert "link" in skipped.reason


def test_what_is_excluded_is_left_out(tmp_path, scan):
    for name in ("keep", "drop"):
        (tmp_path / name).write_text(KEY)
    summary = scan(tmp_path, excluded=lambda path: path.endswith("drop"))
    assert paths(summary) == [f"{tmp_path}/keep"]


def test_a_name_that_is_not_unicode_is_kept(tmp_path, scan):
    (tmp_path / os.fsdecode(b"\xff\x1b[2J")).write_text(KEY)
    assert os.fsencode(paths(scan(tmp_path))[0]).endswith(b"/\xff\x1b[2J")


def test_a_directory_deeper_than_any_stack_is_reported(tmp_path, scan):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    summary = scan(tmp_path)
    assert any("cannot be listed" in one.reason for one in summary.skipped)
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_broken_repository_fails_rather_than_pass(tmp_path, scan):
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    (tmp_path / "file").write_text(KEY)
    with pytest.raises(ScanError, match="git"):
        scan(tmp_path)


def test_progress_reaches_the_end(tmp_path, scan):
    for number in range(300):
        (tmp_path / str(number)).write_text("x")
    seen = []
    scan(tmp_path, progress=lambda done, tasks: seen.append((done, tasks)))
    assert seen[-1][0] == seen[-1][1]
