from __future__ import annotations

import sqlite3

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.secret import Secret
from secretkit.errors import IntegrityError
from secretkit.providers.keysource import KeyFile
from secretkit.providers.store import LocalStore


@pytest.fixture
def place(tmp_path):
    """A store with two versions of one secret and one of another, closed."""
    source = KeyFile(str(tmp_path / "store.key"))
    source.create()
    with LocalStore.create(str(tmp_path / "store.db"), source, clock=SystemClock()) as store:
        store.write("one", Secret("first"))
        store.write("one", Secret("second"))
        store.write("two", Secret("other"))
    return tmp_path


def reopened(place):
    return LocalStore.open(
        str(place / "store.db"), KeyFile(str(place / "store.key")), clock=SystemClock()
    )


def change(place, *statements):
    connection = sqlite3.connect(place / "store.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


TAMPERING = {
    "the newest version removed": ["DELETE FROM row WHERE name=x'6f6e65' AND version=2"],
    "an old version removed": ["DELETE FROM row WHERE version=1 AND name=x'6f6e65'"],
    "a whole secret removed": ["DELETE FROM row WHERE name=x'74776f'"],
    "every row removed": ["DELETE FROM row"],
    "a version put in another's place": [
        "DELETE FROM row WHERE name=x'6f6e65' AND version=2",
        "UPDATE row SET version=2 WHERE name=x'6f6e65'",
    ],
    "a name changed": ["UPDATE row SET name=x'746f6f' WHERE name=x'74776f'"],
    "two names swapped": [
        "UPDATE row SET name=x'00' WHERE name=x'74776f'",
        "UPDATE row SET name=x'74776f' WHERE name=x'6f6e65' AND version=1",
        "UPDATE row SET name=x'6f6e65' WHERE name=x'00'",
    ],
    "a time changed": ["UPDATE row SET created=created+1 WHERE version=2"],
    "a nonce changed": ["UPDATE row SET nonce=zeroblob(12) WHERE version=2"],
    "a row added": ["INSERT INTO row SELECT x'6e6577', 1, created, nonce, sealed FROM row LIMIT 1"],
    "the generation set back": ["UPDATE meta SET value=zeroblob(8)||substr(value,9) WHERE id=1"],
    "the floor changed": [
        "UPDATE meta SET value=substr(value,1,15)||x'09'||substr(value,17) WHERE id=1"
    ],
    "the digest changed": ["UPDATE meta SET value=substr(value,1,16)||zeroblob(32) WHERE id=1"],
    "the state cut short": ["UPDATE meta SET value=substr(value,1,47) WHERE id=1"],
    "the state removed": ["DELETE FROM meta WHERE id=1"],
    "the header removed": ["DELETE FROM meta WHERE id=0"],
    "a third meta row": ["INSERT INTO meta VALUES (2, x'00')"],
    "a name that is text": ["UPDATE row SET name='two' WHERE name=x'74776f'"],
    "a version that is text": ["UPDATE row SET version='x' WHERE name=x'74776f'"],
    "a version below one": ["UPDATE row SET version=-1 WHERE name=x'74776f'"],
    "a time that is a fraction": ["UPDATE row SET created=1.5"],
    "a time below zero": ["UPDATE row SET created=-1"],
    "a nonce that is text": ["UPDATE row SET nonce='twelve bytes' WHERE name=x'74776f'"],
    "a short nonce": ["UPDATE row SET nonce=x'00'"],
    "no row table": ["DROP TABLE row"],
    "a view for a table": ["ALTER TABLE row RENAME TO r", "CREATE VIEW row AS SELECT * FROM r"],
}


def read_all(place):
    with reopened(place) as store:
        found = {
            (entry.name, one.version): store.read(entry.name, version=one.version)[1].reveal()
            for entry in store.entries()
            for one in store.versions(entry.name)
        }
        store.check()
        return found


@pytest.mark.parametrize("statements", TAMPERING.values(), ids=TAMPERING)
def test_a_changed_set_of_rows_is_noticed_on_opening(place, statements):
    change(place, *statements)
    try:
        found = read_all(place)
    except IntegrityError as error:
        assert error.hint  # noqa: PT017 - either outcome is right, and both are checked
    else:  # a view over the same rows is the one change that changes nothing
        assert found == {("one", 1): "first", ("one", 2): "second", ("two", 1): "other"}
        assert "VIEW" in statements[-1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE row SET sealed=zeroblob(40) WHERE version=2",
        "UPDATE row SET sealed='text' WHERE version=2",
        "UPDATE row SET sealed=(SELECT sealed FROM row WHERE version=1) WHERE version=2",
    ],
)
def test_a_changed_value_is_noticed_when_it_is_read_and_not_before(place, statement):
    change(place, statement)
    with reopened(place) as store:
        with pytest.raises(IntegrityError):
            store.read("one")
        assert store.read("two")[1] == Secret("other")
        with pytest.raises(IntegrityError):
            store.check()


def test_tampering_while_a_store_is_open_is_noticed(place):
    with reopened(place) as store:
        store.read("one")
        change(place, "DELETE FROM row WHERE name=x'6f6e65'")
        with pytest.raises(IntegrityError):
            store.read("one")
        with pytest.raises(IntegrityError):
            store.write("three", Secret("value"))  # or the new digest would cover it up


def test_a_row_of_another_store_is_noticed(place, tmp_path):
    other = tmp_path / "other"
    other.mkdir(0o700)
    (other / "store.key").write_bytes((place / "store.key").read_bytes())
    (other / "store.key").chmod(0o600)
    source = KeyFile(str(other / "store.key"))
    with LocalStore.create(str(other / "store.db"), source, clock=SystemClock()) as store:
        store.write("two", Secret("from elsewhere"))
    change(
        place,
        f"ATTACH '{other / 'store.db'}' AS other",
        "DELETE FROM main.row WHERE name=x'74776f'",
        "INSERT INTO main.row SELECT * FROM other.row",
    )
    with pytest.raises(IntegrityError):
        reopened(place)


def test_a_store_copied_whole_is_the_same_store(place, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir(0o700)
    for name in ("store.db", "store.key"):
        (copy / name).write_bytes((place / name).read_bytes())
        (copy / name).chmod(0o600)
    assert read_all(copy) == read_all(place)
