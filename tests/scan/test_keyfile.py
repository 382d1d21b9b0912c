from __future__ import annotations

import threading

import pytest

from secretkit.errors import ScanError
from secretkit.scan.keyfile import user_key


def test_the_first_use_makes_a_key_that_only_its_owner_reads(tmp_path):
    folder = tmp_path / "state" / "secretkit"
    key = user_key(folder)
    assert len(key) == 32
    assert user_key(folder) == key
    assert (folder / "scan.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["scan.key"]


def test_two_homes_have_two_keys(tmp_path):
    assert user_key(tmp_path / "a") != user_key(tmp_path / "b")


def test_all_get_the_same_key_whoever_makes_it(tmp_path):
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(user_key(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("content", ["", "short\n", "0" * 62, "g" * 64])
def test_what_is_no_key_is_refused(tmp_path, content):
    file = tmp_path / "scan.key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ScanError, match="no key"):
        user_key(tmp_path)


def test_a_key_that_others_may_read_or_a_link_is_refused(tmp_path):
    key = user_key(tmp_path)
    file = tmp_path / "scan.key"
    file.chmod(0o640)
    with pytest.raises(ScanError, match="only you"):
        user_key(tmp_path)
    file.rename(tmp_path / "real")
    file.symlink_to(tmp_path / "real")
    with pytest.raises(ScanError) as caught:
        user_key(tmp_path)
    assert key.hex() not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ScanError, match="scan"):
        user_key(tmp_path / "file" / "x")
