from __future__ import annotations

import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    IntegrityError,
    LedgerError,
    ProviderError,
    ProviderUnavailableError,
)
from secretkit.providers.keysource import Argon2Cost, KeyFile, Passphrase
from secretkit.providers.store import LocalStore
from secretkit.testing.clock import FakeClock
from secretkit.testing.contract import assert_no_trace

CHEAP = Argon2Cost(memory_kib=19 * 1024, iterations=2, lanes=1)


class Counted(KeyFile):
    """A key file that counts what is asked of it."""

    def __init__(self, path):
        super().__init__(path)
        self.asked = []

    def unwrap(self, wrapped, *, context):
        self.asked.append("unwrap")
        return super().unwrap(wrapped, context=context)

    def spend(self):
        self.asked.append("spend")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state" / "store.db")


@pytest.fixture
def source(tmp_path):
    source = Counted(str(tmp_path / "keys" / "store.key"))
    source.create()
    return source


@pytest.fixture
def store(path, source):
    with LocalStore.create(path, source, clock=FakeClock()) as store:
        yield store


def value(store, name, version=None):
    found = store.read(name, version=version)
    return None if found is None else found[1].reveal()


def test_what_is_written_is_read(store):
    entry = store.write("app/key", Secret("pässwörd"))
    assert entry == ("app/key", 1, datetime(2030, 1, 1, tzinfo=UTC))
    assert store.read("app/key") == (entry, Secret("pässwörd"))
    assert store.read("app") is None
    assert store.version("app") == 0


def test_each_write_is_a_version_and_the_highest_is_current(store):
    for number in range(1, 4):
        assert store.write("name", Secret(f"value-{number}")).version == number
    assert value(store, "name") == "value-3"
    assert value(store, "name", 2) == "value-2"
    assert value(store, "name", 4) is None
    assert [one.version for one in store.versions("name")] == [3, 2, 1]
    assert store.version("name") == 3


def test_versions_beyond_the_kept_ones_are_forgotten(path, source):
    with LocalStore.create(path, source, clock=FakeClock(), keep=3) as store:
        for number in range(1, 8):
            store.write("name", Secret(f"value-{number}"))
        store.write("other", Secret("kept"))
        assert [one.version for one in store.versions("name")] == [7, 6, 5]
        assert value(store, "name", 4) is None
        assert value(store, "other") == "kept"
        assert store.check() == 4


def test_ten_versions_are_kept_unless_another_number_is_given(store):
    for number in range(12):
        store.write("name", Secret(f"value-{number}"))
    assert len(store.versions("name")) == 10


def test_a_store_keeps_at_least_one_version(path, source):
    with pytest.raises(ConfigError):
        LocalStore(path, source, clock=FakeClock(), keep=0)


def test_a_write_that_expects_another_version_changes_nothing(store):
    store.write("name", Secret("one"), expected=0)
    for expected in (0, 2, -1):
        with pytest.raises(ProviderError) as caught:
            store.write("name", Secret("two"), expected=expected)
        assert not caught.value.retryable
        assert caught.value.hint
    assert store.write("name", Secret("two"), expected=1).version == 2


def test_a_deleted_secret_is_gone_and_its_version_numbers_are_not_used_again(store):
    for number in range(3):
        store.write("doomed", Secret(f"value-{number}"))
    store.write("kept", Secret("kept"))
    assert store.delete("doomed") is True
    assert store.delete("doomed") is False
    assert store.read("doomed") is None
    assert store.versions("doomed") == []
    assert [one.name for one in store.entries()] == ["kept"]
    assert store.write("doomed", Secret("again"), expected=0).version == 4
    assert store.write("kept", Secret("kept")).version == 2
    assert store.write("fresh", Secret("new")).version == 4


def test_entries_are_the_current_versions_sorted_by_name(store):
    for name in ("b", "a", "ä", "c/d", "b"):
        store.write(name, Secret(f"value of {name}"))
    assert [(one.name, one.version) for one in store.entries()] == [
        ("a", 1),
        ("b", 2),
        ("c/d", 1),
        ("ä", 1),
    ]


def test_it_is_all_there_after_opening_again(path, source, store):
    store.write("name", Secret("value"))
    store.close()
    with LocalStore.open(path, source, clock=FakeClock()) as again:
        assert value(again, "name") == "value"
    assert value(store, "name") == "value"  # a closed store opens itself again


def test_the_source_is_asked_once_per_opening(path, source, store):
    store.write("name", Secret("value"))
    source.asked.clear()
    with LocalStore.open(path, source, clock=FakeClock()) as again:
        for _ in range(3):
            again.read("name")
        again.write("name", Secret("value"))
    assert source.asked == ["unwrap"]


def test_many_threads_that_open_it_ask_the_source_once(path, source, store):
    source.asked.clear()
    other, gate = LocalStore(path, source, clock=FakeClock()), threading.Barrier(12)

    def read():
        gate.wait(20)
        other.read("name")

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    other.close()
    assert source.asked == ["unwrap"]


def test_two_open_stores_see_each_others_writes(path, source, store):
    with LocalStore.open(path, source, clock=FakeClock()) as other:
        store.write("name", Secret("one"))
        assert value(other, "name") == "one"
        other.write("name", Secret("two"), expected=1)
        assert value(store, "name") == "two"


def test_a_store_that_was_replaced_is_noticed(tmp_path, path, source, store):
    store.write("name", Secret("old"))
    elsewhere = tmp_path / "elsewhere" / "store.db"
    with LocalStore.create(str(elsewhere), source, clock=FakeClock()) as other:
        other.write("name", Secret("new"))
    elsewhere.replace(path)
    for suffix in ("-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    assert value(store, "name") == "new"


def test_a_store_that_was_removed_is_noticed(path, store):
    store.write("name", Secret("old"))
    Path(path).unlink()
    with pytest.raises(ProviderUnavailableError):
        store.read("name")


def test_a_missing_store_is_not_made_by_opening_it(tmp_path, source):
    with pytest.raises(ProviderUnavailableError) as caught:
        LocalStore.open(str(tmp_path / "none" / "store.db"), source, clock=FakeClock())
    assert "secretkit init" in caught.value.hint
    assert not (tmp_path / "none").exists()


def test_another_key_does_not_open_it(tmp_path, path, store):
    other = KeyFile(str(tmp_path / "other.key"))
    other.create()
    before = Path(path).read_bytes()
    with pytest.raises(IntegrityError) as caught:
        LocalStore.open(path, other, clock=FakeClock())
    assert caught.value.hint
    assert not caught.value.retryable
    assert Path(path).read_bytes() == before


def test_another_kind_of_key_says_which_setting_to_look_at(path, store):
    with pytest.raises(IntegrityError) as caught:
        LocalStore.open(path, Passphrase(lambda: Secret("x"), cost=CHEAP), clock=FakeClock())
    assert "key.type" in caught.value.hint


def damaged(path):
    """Spoil the file's first page, where SQLite itself stumbles."""
    with Path(path).open("r+b") as file:
        file.write(b"\0" * 100)


def test_a_damaged_file_costs_the_time_of_a_wrong_key(path, source, store):
    store.close()
    damaged(path)
    source.asked.clear()
    with pytest.raises(IntegrityError):
        LocalStore.open(path, source, clock=FakeClock())
    assert source.asked == ["spend"]


def test_a_wrong_passphrase_is_the_same_error_as_a_damaged_header(path):
    def opened(text):
        return LocalStore.open(
            path, Passphrase(lambda: Secret(text), cost=CHEAP), clock=FakeClock()
        )

    made = LocalStore.create(
        path, Passphrase(lambda: Secret("right"), cost=CHEAP), clock=FakeClock()
    )
    with pytest.raises(IntegrityError) as wrong:
        opened("wrong")
    with made._connections.borrow(patience=timedelta(seconds=5)) as session:
        session.connection.execute("UPDATE meta SET value=x'00' WHERE id=0")
    made.close()
    with pytest.raises(IntegrityError) as broken:
        opened("right")
    assert str(wrong.value) == str(broken.value)
    assert wrong.value.hint == broken.value.hint


def test_a_new_passphrase_rewraps_the_key_and_leaves_the_rows_alone(path):
    sources = [
        Passphrase(lambda text=text: Secret(text), cost=CHEAP) for text in ("old-one", "new-one")
    ]
    with LocalStore.create(path, sources[0], clock=FakeClock()) as store:
        store.write("name", Secret("value"))
        sealed = _sealed(store)
        store.rewrap(sources[1])
        assert _sealed(store) == sealed
        assert value(store, "name") == "value"
        store.write("name", Secret("after"))
    with pytest.raises(IntegrityError):
        LocalStore.open(path, sources[0], clock=FakeClock())
    with LocalStore.open(path, sources[1], clock=FakeClock()) as again:
        assert value(again, "name") == "after"


def test_a_rewrap_that_is_undone_by_hand_is_noticed(path, tmp_path, source, store):
    """An old passphrase does not come back to life with an old header."""
    other = KeyFile(str(tmp_path / "other.key"))
    other.create()
    header = _meta(store)
    store.rewrap(other)
    with store._connections.borrow(patience=timedelta(seconds=5)) as session:
        session.connection.execute("UPDATE meta SET value=? WHERE id=0", (header,))
    with pytest.raises(IntegrityError):
        LocalStore.open(path, source, clock=FakeClock())


def _sealed(store):
    with store._connections.borrow(patience=timedelta(seconds=5)) as session:
        return session.connection.execute("SELECT sealed FROM row").fetchall()


def _meta(store):
    with store._connections.borrow(patience=timedelta(seconds=5)) as session:
        return session.connection.execute("SELECT value FROM meta WHERE id=0").fetchone()[0]


def test_a_locked_store_is_a_retryable_error_and_can_still_be_read(path, source, store):
    store.write("name", Secret("value"))
    with store._connections.borrow(patience=timedelta(seconds=5)) as session:
        session.connection.execute("BEGIN IMMEDIATE")
        soon = timedelta(milliseconds=50)
        with LocalStore(path, source, clock=FakeClock(), patience=soon) as other:
            assert value(other, "name") == "value"
            with pytest.raises(LedgerError) as caught:
                other.write("name", Secret("new"))
        session.connection.execute("ROLLBACK")
    assert caught.value.retryable
    assert value(store, "name") == "value"


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_store_that_others_can_reach_is_refused_also_while_it_is_open(path, source, store, mode):
    store.write("name", Secret("value"))
    Path(path).chmod(mode)
    for use in (
        lambda: store.read("name"),
        lambda: store.write("name", Secret("new")),
        lambda: LocalStore.open(path, source, clock=FakeClock()),
    ):
        with pytest.raises(AccessDeniedError) as caught:
            use()
        assert "chmod 600" in caught.value.hint
    assert stat.S_IMODE(Path(path).stat().st_mode) == mode


def test_a_store_path_that_is_a_link_is_refused(tmp_path, path, source, store):
    store.close()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    before = Path(path).read_bytes()
    for use in (LocalStore.open, LocalStore.create):
        with pytest.raises(AccessDeniedError):
            use(str(link), source, clock=FakeClock())
    assert Path(path).read_bytes() == before


def test_every_file_is_0600_in_directories_of_0700(path, store):
    store.write("name", Secret("value"))
    directory = Path(path).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in directory.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_no_value_is_in_any_file_after_many_writes_and_deletes(tmp_path, store):
    canary = "canary-" + "m8" * 12
    for number in range(100):
        store.write(f"name-{number % 7}", Secret(f"{canary}-{number}"))
        if number % 3 == 0:
            store.delete(f"name-{number % 7}")
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert len(files) >= 4
    assert not [one for one in files if canary.encode() in one.read_bytes()]
    store.close()
    assert not [
        one for one in tmp_path.rglob("*") if one.is_file() and canary.encode() in one.read_bytes()
    ]


def test_no_value_is_in_an_error(path, store):
    canary = "canary-" + "n2" * 12
    store.write("name", Secret(canary))
    with pytest.raises(ProviderError) as stale:
        store.write("name", Secret(canary), expected=7)
    Path(path).chmod(0o644)
    with pytest.raises(AccessDeniedError) as denied:
        store.write("name", Secret(canary))
    for error in (stale.value, denied.value):
        assert_no_trace(error, canary)


def test_many_threads_may_write_and_read_at_once(store):
    gate, wrong = threading.Barrier(8), []

    def work(number):
        gate.wait(20)
        for step in range(10):
            store.write(f"name-{number}", Secret(f"value-{number}-{step}"))
            if value(store, f"name-{number}") != f"value-{number}-{step}":
                wrong.append((number, step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert [one.version for one in store.entries()] == [10] * 8


def test_a_wall_clock_before_1970_is_stored_as_1970(path, source):
    clock = FakeClock(datetime(1960, 1, 1, tzinfo=UTC))
    with LocalStore.create(path, source, clock=clock) as store:
        assert store.write("name", Secret("value")).created_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_key_that_sealed_too_much_seals_no_more(store):
    with store._writing() as (_, rows, _):
        rows.generation = (1 << 32) - 2
    store.write("name", Secret("last"))
    with pytest.raises(LedgerError) as caught:
        store.write("name", Secret("one too many"))
    assert "init" in caught.value.hint
    assert value(store, "name") == "last"


def test_a_forked_child_reads_and_writes_and_so_does_the_parent(store):
    store.write("name", Secret("one"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.write("name", Secret("two"), expected=1)
            code = 0 if value(store, "name") == "two" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert value(store, "name") == "two"
    assert store.write("name", Secret("three"), expected=2).version == 3


def test_a_store_and_its_parts_do_not_print_keys(store, source, tmp_path):
    key = (tmp_path / "keys" / "store.key").read_text()
    assert key not in f"{store!r} {vars(store)} {vars(source)}"
