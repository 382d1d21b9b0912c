from __future__ import annotations

import os
import subprocess
import sys

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, LedgerError
from secretkit.providers.ownership import (
    check_file,
    create_empty,
    physical,
    read_private,
    write_once,
)

STRANGER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def private(tmp_path):
    path = tmp_path / "private"
    path.write_bytes(b"contents")
    path.chmod(0o600)
    return path


def test_a_private_file_is_read(private):
    assert read_private(str(private)) == b"contents"
    assert check_file(str(private)).st_size == 8


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o611, 0o777])
def test_a_file_that_others_can_reach_is_refused_and_left_as_it_is(private, mode):
    private.chmod(mode)
    for judge in (check_file, read_private, create_empty):
        with pytest.raises(AccessDeniedError) as caught:
            judge(str(private))
        assert f"chmod 600 {private}" in caught.value.hint
    assert private.stat().st_mode & 0o777 == mode
    assert private.read_bytes() == b"contents"


@as_root
def test_a_file_of_another_user_is_refused(private):
    os.chown(private, STRANGER, STRANGER)
    with pytest.raises(AccessDeniedError) as caught:
        read_private(str(private))
    assert str(STRANGER) in str(caught.value)
    assert caught.value.hint.endswith(f"chown 0 {private}")


def test_a_symbolic_link_is_refused_and_its_target_is_not_touched(private, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(private)
    for judge in (check_file, read_private, create_empty):
        with pytest.raises(AccessDeniedError):
            judge(str(link))
    with pytest.raises(AccessDeniedError):
        write_once(str(link), Secret("value"))
    assert private.read_bytes() == b"contents"


def test_a_dangling_link_makes_no_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(AccessDeniedError):
        create_empty(str(tmp_path / "link"))
    assert not (tmp_path / "target").exists()


def test_a_file_with_two_names_is_refused(private, tmp_path):
    os.link(private, tmp_path / "other")
    with pytest.raises(AccessDeniedError) as caught:
        read_private(str(private))
    assert "-samefile" in caught.value.hint


def test_what_is_not_a_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("pipe", "."):
        with pytest.raises(AccessDeniedError):
            read_private(str(tmp_path / name))
    with pytest.raises(AccessDeniedError):
        check_file(str(tmp_path))


def test_a_missing_file_or_directory_is_said_to_be_missing(tmp_path):
    for path in (tmp_path / "none", tmp_path / "none" / "deeper"):
        with pytest.raises(FileNotFoundError):
            read_private(str(path))


def test_a_file_in_the_way_of_a_directory_is_refused(private):
    with pytest.raises(AccessDeniedError):
        physical(str(private / "deeper"))


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_directory_that_others_can_write_is_refused(private, tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(AccessDeniedError) as caught:
        read_private(str(private))
    assert f"chmod go-w {tmp_path}" in caught.value.hint


def test_a_sticky_directory_further_up_will_do(tmp_path):
    (tmp_path / "mine").mkdir(0o700)
    tmp_path.chmod(0o1777)
    assert physical(str(tmp_path / "mine" / "file")) == str(tmp_path / "mine" / "file")
    tmp_path.chmod(0o777)
    with pytest.raises(AccessDeniedError):
        physical(str(tmp_path / "mine" / "file"))


@as_root
def test_a_directory_of_another_user_on_the_way_is_refused(tmp_path):
    (tmp_path / "theirs" / "deeper").mkdir(parents=True)
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    with pytest.raises(AccessDeniedError):
        physical(str(tmp_path / "theirs" / "deeper" / "file"))


@as_root
def test_a_link_to_a_directory_of_another_user_is_refused_and_nothing_is_made_there(tmp_path):
    (tmp_path / "theirs").mkdir(0o755)
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    (tmp_path / "link").symlink_to("theirs")
    with pytest.raises(AccessDeniedError):
        create_empty(str(tmp_path / "link" / "file"))
    assert not list((tmp_path / "theirs").iterdir())


@as_root
def test_a_link_that_belongs_to_another_user_is_refused(tmp_path):
    (tmp_path / "mine").mkdir(0o700)
    (tmp_path / "link").symlink_to("mine")
    os.chown(tmp_path / "link", STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(AccessDeniedError):
        create_empty(str(tmp_path / "link" / "file"))


def test_links_of_our_own_on_the_way_are_resolved_as_the_kernel_does(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "up").symlink_to("a/b/..")
    (tmp_path / "absolute").symlink_to(tmp_path / "a" / ".." / "a")
    for way in ("up/file", "absolute/file", "a/b/../file", "./a//file"):
        assert physical(f"{tmp_path}/{way}") == f"{tmp_path}/a/file"


def test_a_circle_of_links_is_refused(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(AccessDeniedError):
        physical(str(tmp_path / "one" / "file"))


@pytest.mark.parametrize("path", ["/", "/etc/..", "/etc/x/.."])
def test_a_path_that_names_no_file_is_refused(path):
    with pytest.raises(AccessDeniedError):
        physical(path)


def test_under_umask_000_a_file_is_0600_in_directories_of_0700(tmp_path):
    code = (
        "import os, sys; os.umask(0); from secretkit.providers.ownership import create_empty;"
        "create_empty(sys.argv[1])"
    )
    path = tmp_path / "new" / "deeper" / "file"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert {one.stat().st_mode & 0o777 for one in (path.parent, path.parent.parent)} == {0o700}


def test_a_file_that_is_there_is_not_written_again(private):
    write_once(str(private), Secret("value"))
    assert private.read_bytes() == b"contents"


def test_a_full_disk_leaves_no_half_written_file(tmp_path):
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from secretkit.core.secret import Secret;"
        "from secretkit.providers.ownership import write_once;"
        "from secretkit.errors import LedgerError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3))\n"
        "try: write_once(sys.argv[1], Secret('value'))\n"
        "except LedgerError as error: print(error.hint)"
    )
    path = tmp_path / "file"
    command = [sys.executable, "-B", "-c", code, str(path)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "room" in ran.stdout
    assert path.read_bytes() == b""


def test_a_name_that_is_too_long_is_a_ledger_error(tmp_path):
    with pytest.raises(LedgerError) as caught:
        create_empty(str(tmp_path / ("x" * 300)))
    assert caught.value.hint
