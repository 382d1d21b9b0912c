from __future__ import annotations

import sqlite3

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.secret import Secret
from secretkit.errors import IntegrityError, LedgerError, SecretkitError
from secretkit.providers.keysource import KeyFile
from secretkit.providers.store import LocalStore


@pytest.fixture
def source(tmp_path):
    source = KeyFile(str(tmp_path / "keys" / "store.key"))
    source.create()
    return source


def create(tmp_path, source):
    return LocalStore.create(str(tmp_path / "store.db"), source, clock=SystemClock())


def test_a_store_is_never_made_over_another(tmp_path, source):
    with create(tmp_path, source) as store:
        store.write("name", Secret("value"))
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(LedgerError) as caught:
        create(tmp_path, source)
    assert "never overwritten" in caught.value.hint
    assert (tmp_path / "store.db").read_bytes() == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path, source, mode):
    path = tmp_path / "store.db"
    path.touch(0o600)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError):
        create(tmp_path, source)
    with pytest.raises(IntegrityError):
        LocalStore.open(str(path), source, clock=SystemClock())
    assert path.read_bytes() == before


@pytest.mark.parametrize("contents", [b"not a database, and longer than a header " * 9, b"x"])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path, source, contents):
    path = tmp_path / "store.db"
    path.touch(0o600)
    path.write_bytes(contents)
    with pytest.raises(SecretkitError):
        create(tmp_path, source)
    assert path.read_bytes() == contents


def test_a_creation_that_was_interrupted_is_done_again(tmp_path, source):
    path = tmp_path / "store.db"
    path.touch(0o600)
    with pytest.raises(IntegrityError):
        LocalStore.open(str(path), source, clock=SystemClock())
    with create(tmp_path, source) as store:
        assert store.write("name", Secret("value")).version == 1


def test_a_store_in_another_journal_mode_is_not_changed_back(tmp_path, source):
    create(tmp_path, source).close()
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(IntegrityError):
        LocalStore.open(str(path), source, clock=SystemClock())
    assert path.read_bytes() == before


def test_the_file_says_what_it_is(tmp_path, source):
    create(tmp_path, source).close()
    assert (tmp_path / "store.db").read_bytes()[68:72] == b"skit"
