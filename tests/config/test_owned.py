import os
import socket

import pytest

from secretkit.config.owned import MOST_BYTES, check_directory, read_owned
from secretkit.errors import ConfigError

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "secretkit.toml"
    file.write_bytes(b"[leases]\n")
    file.chmod(0o600)
    return file


def test_the_bytes_of_a_private_file(file):
    assert read_owned(file) == b"[leases]\n"
    file.chmod(0o644)
    assert read_owned(file) == b"[leases]\n"


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_owned(tmp_path / "absent")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_others_can_write_is_refused_with_the_cure(file, mode):
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"{mode:04o}") as caught:
        read_owned(file)
    assert caught.value.hint == f"chmod go-w {file}"
    assert file.stat().st_mode & 0o777 == mode


def test_a_directory_others_can_write_is_refused(file):
    file.parent.chmod(0o770)
    with pytest.raises(ConfigError) as caught:
        read_owned(file)
    assert caught.value.hint == f"chmod go-w {file.parent}"


@pytest.mark.parametrize("judge", ["read", "check"])
def test_a_directory_further_up_that_others_can_write_is_refused(tmp_path, judge):
    deep = tmp_path / "shared" / "mine" / "deep"
    deep.mkdir(parents=True)
    file = deep / "secretkit.toml"
    file.write_bytes(b"")
    file.chmod(0o600)
    assert read_owned(file) == b""
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(ConfigError, match="0777") as caught:
        read_owned(file) if judge == "read" else check_directory(deep)
    assert caught.value.hint == f"chmod go-w {tmp_path / 'shared'}"
    (tmp_path / "shared").chmod(0o1777)
    assert read_owned(file) == b""


def test_a_sticky_directory_is_allowed(file):
    file.parent.chmod(0o1777)
    assert read_owned(file)


@root
def test_a_file_of_another_user_is_refused(file):
    os.chown(file, 12345, 0)
    with pytest.raises(ConfigError, match="uid 12345") as caught:
        read_owned(file)
    assert caught.value.hint == f"chown 0 {file}"


@root
def test_a_directory_of_another_user_is_refused(file):
    os.chown(file.parent, 12345, 0)
    with pytest.raises(ConfigError, match="uid 12345"):
        read_owned(file)


def test_the_target_of_a_link_is_checked(file, tmp_path):
    open_dir = tmp_path / "open"
    open_dir.mkdir()
    moved = file.rename(open_dir / "real.toml")
    file.symlink_to(moved)
    assert read_owned(file)
    open_dir.chmod(0o777)
    with pytest.raises(ConfigError, match="0777"):
        read_owned(file)
    open_dir.chmod(0o700)
    moved.chmod(0o666)
    with pytest.raises(ConfigError, match="0666"):
        read_owned(file)


def test_the_place_of_a_link_is_checked(file, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    link = shared / "secretkit.toml"
    link.symlink_to(file)
    shared.chmod(0o777)
    with pytest.raises(ConfigError, match="0777"):
        read_owned(link)


def test_a_pipe_a_directory_and_a_device_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path, tmp_path.__class__("/dev/zero")):
        with pytest.raises(ConfigError, match="regular"):
            read_owned(path)


def test_a_socket_and_a_loop_cannot_be_opened(tmp_path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.close()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("s", "loop"):
        with pytest.raises(ConfigError, match="cannot be opened"):
            read_owned(tmp_path / name)


def test_a_huge_file_is_refused_unread(file):
    os.truncate(file, MOST_BYTES + 1)
    with pytest.raises(ConfigError, match="larger"):
        read_owned(file)
