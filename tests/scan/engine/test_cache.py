from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from secretkit.scan.engine import cache, native
from secretkit.scan.engine.pack import decode, encode

KEY = "0123456789abcdef" * 2
CONTENT = encode(b"database", [b"one", b"", b"three"])
EXTENSION = native.find(sys.path) or ""


@pytest.fixture
def folder(tmp_path):
    made = str(tmp_path / "home" / "scan")
    assert cache.write(made, key=KEY, content=CONTENT)
    return made


def _file(folder):
    return Path(folder, f"rules-{KEY}.pack")


def test_what_was_written_is_read_by_its_owner_alone(folder):
    pack = cache.read(folder, key=KEY)
    assert pack is not None
    assert pack.database == b"database"
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert _file(folder).stat().st_mode & 0o777 == 0o600
    assert list(Path(folder).iterdir()) == [_file(folder)]


def test_another_key_gives_nothing(folder):
    assert cache.read(folder, key="f" * 32) is None
    assert cache.read(folder + "-none", key=KEY) is None


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o755, 0o777, 0o1777])
def test_a_directory_that_others_can_enter_is_neither_read_nor_written(folder, mode):
    Path(folder).chmod(mode)
    assert cache.read(folder, key=KEY) is None
    assert not cache.write(folder, key=KEY, content=CONTENT)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o666])
def test_a_file_that_others_can_open_is_not_read(folder, mode):
    _file(folder).chmod(mode)
    assert cache.read(folder, key=KEY) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_somebody_else_is_not_read(folder):
    os.chown(_file(folder), 12345, -1)
    assert cache.read(folder, key=KEY) is None
    os.chown(_file(folder), 0, -1)
    assert cache.read(folder, key=KEY) is not None
    os.chown(folder, 12345, -1)
    assert cache.read(folder, key=KEY) is None


def test_links_and_fifos_are_not_followed_and_do_not_block(folder, tmp_path):
    shutil.copy(_file(folder), tmp_path / "elsewhere")
    _file(folder).unlink()
    _file(folder).symlink_to(tmp_path / "elsewhere")
    assert cache.read(folder, key=KEY) is None
    _file(folder).unlink()
    os.mkfifo(_file(folder), 0o600)
    assert cache.read(folder, key=KEY) is None
    (tmp_path / "link").symlink_to(folder)
    assert not cache.write(str(tmp_path / "link"), key=KEY, content=CONTENT)


def test_a_directory_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    assert not cache.write(str(tmp_path / "file" / "scan"), key=KEY, content=CONTENT)
    assert cache.read(str(tmp_path / "file"), key=KEY) is None


def test_a_damaged_or_cut_file_is_not_read(folder):
    for at in range(0, len(CONTENT) - len(b"database"), 3):
        _file(folder).write_bytes(CONTENT[:at] + bytes((CONTENT[at] ^ 1,)) + CONTENT[at + 1 :])
        assert cache.read(folder, key=KEY) is None, at
    for size in range(0, len(CONTENT), 5):
        _file(folder).write_bytes(CONTENT[:size])
        assert cache.read(folder, key=KEY) is None, size
    assert cache.write(folder, key=KEY, content=CONTENT)
    assert cache.read(folder, key=KEY) is not None


def test_a_pack_gives_each_record():
    pack = decode(CONTENT)
    assert pack is not None
    assert [pack.record(index) for index in range(len(pack))] == [b"one", b"", b"three"]
    for index in (-1, 3):
        with pytest.raises(IndexError):
            pack.record(index)


def test_all_but_the_newest_packs_are_removed_and_nothing_else(folder):
    strangers = ["rules-x.pack", "notes.txt", f"rules-{KEY}.pack.bak", f"rules-{KEY[:-1]}Z.pack"]
    for name in (*strangers, f"rules-{'a' * 32}.pack.4711"):
        Path(folder, name).write_text("")
        os.utime(Path(folder, name), (1, 1))
    keys = [f"{number:032x}" for number in range(12)]
    for number, key in enumerate(keys):
        assert cache.write(folder, key=key, content=CONTENT)
        os.utime(Path(folder, f"rules-{key}.pack"), (100 + number, 100 + number))
    assert cache.write(folder, key=KEY, content=CONTENT)
    left = {f"rules-{key}.pack" for key in (*keys[5:], KEY)}
    assert {path.name for path in Path(folder).iterdir()} == left | set(strangers)


def test_the_key_changes_with_the_rules_and_the_extension(tmp_path):
    shutil.copy(EXTENSION, tmp_path / "one.so")
    shutil.copy(EXTENSION, tmp_path / "two.so")
    one, two = (cache.content_key(str(tmp_path / name), [b"ab"]) for name in ("one.so", "two.so"))
    assert one != two
    assert one is not None
    for other in ([b"a", b"b"], [b"ac"], []):
        assert cache.content_key(str(tmp_path / "one.so"), other) != one
    assert cache.content_key(str(tmp_path / "none.so"), [b"ab"]) is None
    assert cache.built_in_key(str(tmp_path / "none.so")) is None
    assert cache.built_in_key(EXTENSION) == cache.built_in_key(EXTENSION)


@pytest.mark.parametrize(
    ("environment", "platform", "gives"),
    [
        ({"HOME": "/h"}, "linux", "/h/.cache/secretkit/scan"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "linux", "/x/secretkit/scan"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "x"}, "linux", "/h/.cache/secretkit/scan"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Caches/secretkit/scan"),
        ({"HOME": "."}, "linux", None),
        ({}, "linux", None),
        ({"HOME": "/h"}, "win32", None),
    ],
)
def test_the_cache_is_below_an_absolute_directory_of_the_user(environment, platform, gives):
    assert cache.default_folder(environment, platform=platform) == gives


def test_the_folder_of_rules_is_there():
    assert Path(cache.rules_folder(), "anthropic.toml").is_file()
