from __future__ import annotations

import os
import socket
import subprocess

import pytest

from secretkit.errors import ConfigError, ScanError
from secretkit.scan.acceptance import read_baseline, read_plain, read_revision, write_baseline
from secretkit.scan.baseline import NAME, Baseline, Entry
from secretkit.scan.git import Git

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
ONE, TWO = Entry("1" * 32, "a.py", "one"), Entry("2" * 32, "b.py", "two")


class Repository:
    def __init__(self, folder):
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *words, code=0):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        environ = {"PATH": os.defpath, "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *identity, *words],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def commit(self, text="change"):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", text)

    def accept(self, entry, key=KEY):
        file = self.folder / NAME
        write_baseline(file, read_baseline(file).with_entries([entry], key=key))
        self.commit("accept")


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def entries(repository):
    return read_baseline(repository.folder / NAME).entries


def test_two_branches_that_accept_different_findings_merge(repository):
    repository.accept(Entry("0" * 32, "x", "first"))
    repository.git("checkout", "-q", "-b", "topic")
    repository.accept(ONE)
    repository.git("checkout", "-q", "main")
    repository.accept(TWO)
    repository.git("merge", "-q", "topic", "-m", "merge")
    assert entries(repository) >= {ONE, TWO}
    assert read_baseline(repository.folder / NAME).keys == (KEY,)


def test_two_branches_that_both_make_the_file_merge(repository):
    repository.commit("start")
    repository.git("checkout", "-q", "-b", "topic")
    repository.accept(ONE, KEY)
    repository.git("checkout", "-q", "main")
    repository.accept(TWO, OTHER)
    repository.git("merge", "-q", "topic", "-m", "merge")
    merged = read_baseline(repository.folder / NAME)
    assert merged.entries == {ONE, TWO}
    assert merged.keys == (KEY, OTHER)
    (repository.folder / NAME).write_text(merged.text())
    assert read_baseline(repository.folder / NAME).text() == merged.text()


def test_two_branches_that_write_the_same_merge_into_the_same(repository):
    repository.commit("start")
    for branch in ("left", "right"):
        repository.git("checkout", "-q", "-B", branch, "main")
        repository.accept(ONE)
    before = (repository.folder / NAME).read_bytes()
    repository.git("merge", "-q", "left", "-m", "merge")
    assert (repository.folder / NAME).read_bytes() == before


def test_git_is_told_once_how_to_merge_and_other_lines_stay(tmp_path):
    attributes = tmp_path / ".gitattributes"
    attributes.write_bytes(b"*.png binary")
    assert write_baseline(tmp_path / NAME, Baseline([KEY], [ONE]))
    assert not write_baseline(tmp_path / NAME, Baseline([KEY], [ONE, TWO]))
    assert attributes.read_bytes() == b"*.png binary\n.secretkit-baseline merge=union\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitattributes", NAME]


def test_no_baseline_is_an_empty_one(tmp_path):
    assert read_baseline(tmp_path / NAME).entries == frozenset()


def test_a_link_a_pipe_a_socket_and_a_folder_are_refused_at_once(tmp_path):
    (tmp_path / "link").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        for name in ("link", "pipe", "folder", "sock"):
            with pytest.raises(ConfigError) as caught:
                read_baseline(tmp_path / name)
            assert caught.value.hint


def test_a_link_to_a_good_baseline_is_refused_too(tmp_path):
    (tmp_path / "real").write_text(Baseline([KEY], [ONE]).text())
    (tmp_path / NAME).symlink_to("real")
    with pytest.raises(ConfigError, match="link"):
        read_baseline(tmp_path / NAME)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / NAME).open("wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        read_baseline(tmp_path / NAME)
    assert read_plain(str(tmp_path / NAME), largest=10 << 20) == bytes(9 << 20)


def test_a_link_in_place_of_the_attributes_is_not_written_through(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / ".gitattributes").symlink_to(outside)
    with pytest.raises(ConfigError, match="link"):
        write_baseline(folder / NAME, Baseline([KEY], [ONE]))
    assert outside.read_text() == "untouched"


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        write_baseline(tmp_path / "none" / NAME, Baseline([KEY], [ONE]))


def test_a_baseline_is_read_as_of_a_revision_or_of_the_index(repository):
    repository.commit("start")
    repository.accept(ONE)
    repository.git("tag", "v1")
    repository.accept(TWO)
    file = repository.folder / NAME
    file.write_text(Baseline([KEY], []).text())
    git = Git(repository.folder)
    assert read_revision(git, "v1").entries == {ONE}
    assert read_revision(git, "HEAD").entries == {ONE, TWO}
    assert read_revision(git, "").entries == {ONE, TWO}
    assert read_revision(git, "v1~1").entries == frozenset()
    repository.git("add", NAME)
    assert read_revision(git, "").entries == frozenset()


@pytest.mark.parametrize("name", ["none", "--all", "HEAD:a.py", "HEAD\nHEAD"])
def test_what_is_no_revision_is_refused(repository, name):
    repository.commit("start")
    with pytest.raises(ScanError, match="no revision"):
        read_revision(Git(repository.folder), name)


def test_a_baseline_that_is_too_large_in_a_revision_is_not_read(repository):
    with (repository.folder / NAME).open("wb") as file:
        file.truncate(9 << 20)
    repository.commit("large")
    with pytest.raises(ConfigError, match="larger"):
        read_revision(Git(repository.folder), "HEAD")
