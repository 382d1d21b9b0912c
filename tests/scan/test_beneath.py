from __future__ import annotations

import os

import pytest

from secretkit.scan.beneath import Beneath, open_file


def names(folder):
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def content(root, folder, leaf):
    with Beneath(root) as beneath:
        descriptor = open_file(beneath.folder(folder), leaf)
        try:
            return os.read(descriptor, 100)
        finally:
            os.close(descriptor)


@pytest.fixture
def root(tmp_path):
    inner = tmp_path / "root" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"outside")
    return tmp_path / "root"


def test_a_file_below_is_opened(root):
    assert content(root, "a/b", "file") == b"inside"


def test_directories_are_found_again_in_any_order(root):
    (root / "c").mkdir()
    (root / "c" / "file").write_bytes(b"c")
    with Beneath(root) as beneath:
        for folder, expected in (
            ("a/b", {"file"}),
            ("c", {"file"}),
            ("", {"a", "c"}),
            ("a", {"b"}),
        ):
            assert names(beneath.folder(folder)) == expected


@pytest.mark.parametrize("folder", ["link", "a/link"])
def test_a_link_to_a_directory_is_not_followed(root, tmp_path, folder):
    (root / folder).symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        content(root, folder, "file")


def test_a_link_to_a_file_is_not_followed(root, tmp_path):
    (root / "link").symlink_to(tmp_path / "outside" / "file")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        content(root, "", "link")


def test_a_directory_swapped_for_a_link_is_not_followed(root, tmp_path):
    with Beneath(root) as beneath:
        beneath.folder("a")
        (root / "a").rename(tmp_path / "moved")
        (root / "a").symlink_to(tmp_path / "outside")
        assert names(beneath.folder("a")) == {"b"}  # the directory it had opened
        beneath.folder("")
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            beneath.folder("a")


def test_a_fifo_does_not_make_it_wait(root):
    os.mkfifo(root / "pipe")
    assert content(root, "", "pipe") == b""


def test_every_descriptor_is_closed(root):
    before = names("/proc/self/fd")
    content(root, "a/b", "file")
    with Beneath(root) as beneath, pytest.raises(FileNotFoundError):
        beneath.folder("a/b/missing")
    assert names("/proc/self/fd") == before


def test_there_is_an_end_to_depth(root):
    with Beneath(root) as beneath, pytest.raises(OSError, match="deep"):
        beneath.folder("/".join(["x"] * 300))
