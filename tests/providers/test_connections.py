from __future__ import annotations

import gc
import os
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from secretkit.errors import (
    AccessDeniedError,
    IntegrityError,
    LedgerError,
    ProviderError,
    ProviderUnavailableError,
)
from secretkit.providers.connections import Connections, translated

SOON = timedelta(milliseconds=50)
LONG = timedelta(seconds=10)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a file?with#odd%20name.db"
    path.touch(0o600)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    return str(path)


@pytest.fixture
def pool(path):
    pool = Connections(path)
    yield pool
    pool.close()


def rows(pool):
    with pool.borrow(patience=LONG) as session:
        return [x for (x,) in session.connection.execute("SELECT x FROM t ORDER BY x")]


def insert(pool, value):
    with pool.borrow(patience=LONG) as session:
        session.connection.execute("INSERT INTO t VALUES (?)", (value,))


def test_an_idle_connection_is_lent_again(pool):
    with pool.borrow(patience=LONG) as one:
        pass
    with pool.borrow(patience=LONG) as two:
        assert two is one
        with pool.borrow(patience=LONG) as three:
            assert three is not two


def test_no_more_than_four_idle_connections_are_kept(pool):
    gate, done = threading.Barrier(10), threading.Event()

    def hold():
        with pool.borrow(patience=LONG):
            gate.wait(20)
            done.wait(20)

    threads = [threading.Thread(target=hold) for _ in range(9)]
    for thread in threads:
        thread.start()
    gate.wait(20)
    done.set()
    for thread in threads:
        thread.join(20)
    assert len(pool._idle) == 4


def test_a_connection_is_settled_before_it_is_lent(pool):
    settled = {}
    with pool.borrow(patience=timedelta(seconds=3)) as session:
        for name in ("synchronous", "trusted_schema", "cell_size_check", "secure_delete"):
            settled[name] = session.connection.execute(f"PRAGMA {name}").fetchone()[0]
        settled["busy"] = session.connection.execute("PRAGMA busy_timeout").fetchone()[0]
    assert settled == {
        "synchronous": 2,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "secure_delete": 1,
        "busy": 3000,
    }


def test_a_connection_in_the_middle_of_a_transaction_is_not_kept(pool):
    with pool.borrow(patience=LONG) as session:
        session.connection.execute("BEGIN IMMEDIATE")
    assert pool._idle == []
    insert(pool, 1)


def test_a_connection_that_failed_is_not_kept_and_one_that_answered_is(pool):
    with pytest.raises(IntegrityError), pool.borrow(patience=LONG) as session:
        session.connection.execute("SELECT * FROM nothing")
    assert pool._idle == []
    with pytest.raises(ProviderError), pool.borrow(patience=LONG) as session:
        raise ProviderError("an answer")
    assert pool._idle == [session]


def test_a_locked_file_is_a_retryable_error_after_the_patience(pool, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError) as caught, pool.borrow(patience=SOON) as session:
        session.connection.execute("BEGIN IMMEDIATE")
    assert caught.value.retryable
    assert "locked" in str(caught.value)
    assert "fuser" in caught.value.hint
    other.execute("ROLLBACK")
    other.close()
    insert(pool, 1)
    assert rows(pool) == [1]


def test_a_file_that_is_replaced_is_opened_anew(pool, path):
    insert(pool, 1)
    pool_of_new = path + ".new"
    os.close(os.open(pool_of_new, os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(pool_of_new)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (2)")
    connection.commit()
    connection.close()
    for suffix in ("-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    Path(pool_of_new).replace(path)
    assert rows(pool) == [2]


def test_a_missing_file_is_not_made(tmp_path):
    pool = Connections(str(tmp_path / "none.db"))
    with pytest.raises(ProviderUnavailableError) as caught, pool.borrow(patience=LONG):
        pass
    assert "secretkit init" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_side_file_that_others_can_reach_is_refused(path, suffix):
    Path(path + suffix).touch()
    Path(path + suffix).chmod(0o666)
    with pytest.raises(AccessDeniedError), Connections(path).borrow(patience=LONG):
        pass


def test_a_failed_open_does_not_count_as_lent(path, tmp_path):
    pool = Connections(path)
    Path(path).chmod(0o644)
    for _ in range(3):
        with pytest.raises(AccessDeniedError), pool.borrow(patience=LONG):
            pass
    Path(path).chmod(0o600)
    insert(pool, 1)
    assert pool._lent == 0


def forked(work):
    """Run ``work`` in a forked child; give what it returned as text."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def test_what_a_forked_child_commits_is_not_lost_when_the_parent_closes(pool):
    """The failure this design is about: with an inherited connection the row is gone."""
    insert(pool, 1)
    go_read, go_write = os.pipe()
    ready_read, ready_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            rows(pool)  # the child's own connection is open when the parent closes
            os.write(ready_write, b"x")
            os.read(go_read, 1)
            insert(pool, 2)
        finally:
            os._exit(0)
    os.read(ready_read, 1)
    rows(pool)
    pool.close()
    os.write(go_write, b"x")
    os.waitpid(child, 0)
    assert rows(pool) == [1, 2]
    for one in (go_read, go_write, ready_read, ready_write):
        os.close(one)


def test_no_connection_is_open_across_a_fork(pool):
    rows(pool)
    assert len(pool._idle) == 1
    assert forked(lambda: (len(pool._idle), rows(pool))) == "(0, [])"
    assert pool._idle == []
    assert rows(pool) == []


def test_a_pool_that_nobody_holds_closes_its_connections_even_in_a_cycle(path):
    pool = Connections(path)
    assert rows(pool) == []
    connection = pool._idle[0].connection
    pool.itself = pool
    del pool
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_waits_for_an_operation_of_another_thread(pool):
    inside, leave, left = threading.Event(), threading.Event(), []

    def hold():
        with pool.borrow(patience=LONG) as session:
            session.connection.execute("BEGIN IMMEDIATE")
            inside.set()
            leave.wait(20)
            session.connection.execute("ROLLBACK")
            left.append(1)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(20)
    threading.Timer(0.2, leave.set).start()
    assert forked(lambda: (left, rows(pool))) == "([1], [])"
    thread.join(20)


@pytest.mark.parametrize("raised", [None, KeyError("mine"), ProviderError("mine")])
def test_what_is_not_about_the_file_passes(raised):
    if raised is None:
        with translated("path"):
            pass
        return
    with pytest.raises(type(raised)) as caught, translated("path"):
        raise raised
    assert caught.value is raised


def test_a_message_of_sqlite_is_never_passed_on(path):
    with pytest.raises(IntegrityError) as caught, translated(path):
        raise sqlite3.DatabaseError("near canary: syntax error")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
