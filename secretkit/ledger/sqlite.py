"""The ledger in SQLite: a private file, or this process's memory.

WAL with ``synchronous=FULL``: a commit is on the disk when it returns. WAL needs shared memory, so
a network file system cannot hold the file; use PostgreSQL for more than one machine.
"""

from __future__ import annotations

import os
import sqlite3
from abc import abstractmethod
from contextlib import closing, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from secretkit.errors import IntegrityError, LedgerError
from secretkit.ledger import place, schema
from secretkit.ledger.chain import EPOCH, microseconds
from secretkit.ledger.failure import lasting
from secretkit.ledger.keys import Keys
from secretkit.ledger.link import Link, Mode, Transaction, leak
from secretkit.ledger.sqlite_reason import code_of, explain
from secretkit.ledger.statement import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ledger.link import Run

__all__ = ["DIALECT", "FileLink", "MemoryLink"]

T = TypeVar("T")


def _take(value: object) -> datetime:
    if type(value) is not int:
        raise ValueError("an instant is stored as whole microseconds")
    return EPOCH + timedelta(microseconds=value)


DIALECT: Final = Dialect(
    mark="?",
    types={"integer": "INTEGER", "instant": "INTEGER"},
    has_schema="SELECT count(*) FROM sqlite_master WHERE name = 'secretkit_meta'",
    put=microseconds,
    take=_take,
)
_BEGIN: Final = {Mode.READ: "BEGIN", Mode.APPEND: "BEGIN IMMEDIATE", Mode.COUNT: "BEGIN IMMEDIATE"}
_PRAGMAS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",  # macOS: without it fsync stops at the drive's cache
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
)
_UNSURE: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class _SqliteLink(Link):
    """What the file and the memory have in common."""

    def __init__(self, *, lock_timeout: timedelta) -> None:
        super().__init__(dialect=DIALECT, lock_timeout=lock_timeout)
        self._connection: sqlite3.Connection | None = None
        self._forking = False

    @abstractmethod
    def _connect(self) -> sqlite3.Connection:
        """Open the database and load the keys."""

    def _new(self, database: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            database,
            uri=True,
            timeout=self.lock_seconds,
            isolation_level=None,  # we say BEGIN and COMMIT ourselves
            check_same_thread=False,  # our lock does what the check asks for
        )
        # Damaged text must reach the audit's verification instead of failing on the way.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        return connection

    def _once(self, mode: Mode, work: Callable[[Transaction], T]) -> T:
        if self._connection is None:
            self._connection = self._connect()
            self._own(self._connection)
        connection = self._connection
        assert self._keys is not None  # noqa: S101 - for mypy: _connect loads them
        try:
            connection.execute(_BEGIN[mode])
            result = work(Transaction(run=_runner(connection), dialect=DIALECT, keys=self._keys))
            connection.execute("COMMIT")
        except BaseException as error:
            _roll_back(connection)
            if code_of(error) in _UNSURE:
                # After a failed fsync the same pages may not be synced again and trusted.
                self._disconnect()
            raise
        return result

    @abstractmethod
    def _before_fork(self) -> None:
        """Bring the connection into a state that may be inherited; the lock is held."""

    def before_fork(self) -> None:
        """Wait for a transaction under way, and keep others out until the fork is done."""
        self._forking = self._lock.acquire(timeout=self.lock_seconds)
        if self._forking:
            self._before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._forking:
            self._forking = False
            self._lock.release()

    def _forget(self) -> None:
        if self._connection is not None and self._forking:
            self._own(self._connection)
        elif self._connection is not None:
            self._closed = "was in use by another thread when this process was forked"
            connection, self._connection = self._connection, None
            leak(connection)
        self._forking = False

    def _foreign(self) -> tuple[type[Exception], ...]:
        # CPython cannot decode SQLite's message where it quotes a damaged schema.
        return (sqlite3.Error, UnicodeDecodeError)

    def _translate(self, error: Exception) -> LedgerError:
        return explain(code_of(error), label=self.label)

    label = "the in-memory ledger"

    def __repr__(self) -> str:
        return f"<{self.label}>"


class MemoryLink(_SqliteLink):
    """A ledger in this process's memory. A forked child goes on with a copy of its own."""

    def _connect(self) -> sqlite3.Connection:
        connection = self._new(":memory:")
        keys = Keys.new()
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            schema.create(_runner(connection), DIALECT, keys=keys)
        except BaseException:
            connection.close()
            raise
        self._keys = keys
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None and self._closed:
            self._connection.close()
            self._connection = None

    def _before_fork(self) -> None:
        """Keep it: the child's copy of this process's memory is its own."""


class FileLink(_SqliteLink):
    """A ledger in a file, beside ``<path>.key`` with its keys. Several processes may share it."""

    def __init__(self, path: str, *, lock_timeout: timedelta) -> None:
        super().__init__(lock_timeout=lock_timeout)
        self._path = path
        self._key_path = f"{path}.key"
        self.label = path

    def _connect(self) -> sqlite3.Connection:
        folder = str(Path(self._path).parent)
        place.directory(folder)
        if not (os.path.lexists(self._path) and os.path.lexists(self._key_path)):
            with place.locked(folder, seconds=self.lock_seconds):
                self._create()
        keys = _read_keys(self._key_path)
        connection = self._open()
        try:
            self._prepare(connection, keys)
        except BaseException:
            connection.close()
            raise
        self._keys = keys
        return connection

    def _prepare(self, connection: sqlite3.Connection, keys: Keys) -> None:
        run = _runner(connection)
        if schema.version(run, DIALECT) == 0:
            raise IntegrityError(
                f"{self._path} is empty, though its keys say that it was in use",
                hint=f"restore it from a backup, or move {self._key_path} away to begin a new one",
            )
        schema.check_keys(run, DIALECT, keys=keys, where=self._key_path)

    def _open(self) -> sqlite3.Connection:
        place.check_file(self._path)
        connection = self._new(f"{Path(self._path).as_uri()}?mode=rw")
        try:
            (journal,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            (page,) = connection.execute("PRAGMA page_size").fetchone()
        except BaseException:
            connection.close()
            raise
        problem = None
        if journal != "wal":
            problem = lasting(
                f"{self._path} is on a file system without shared memory",
                hint="put the ledger on a local disk, or use postgresql:// for several machines",
            )
        elif os.lstat(self._path).st_size % page:  # SQLite would read the rest as zeros
            problem = explain(sqlite3.SQLITE_CORRUPT, label=self._path)
        if problem is not None:
            connection.close()
            raise problem
        return connection

    def _create(self) -> None:
        """Make file, keys and schema, or finish what a killed process began.

        The keys get their final name last: a file without them was never used, and a file that is
        missing or empty beside them was lost.
        """
        new = f"{self._key_path}.new"
        if not os.path.lexists(self._path):
            if os.path.lexists(self._key_path):
                raise IntegrityError(
                    f"{self._path} is gone, and its keys are still there",
                    hint=f"restore it, or move {self._key_path} away to begin a new ledger",
                )
            place.create_file(self._path)
        if os.path.lexists(self._key_path):
            return  # another process made both while we waited
        with closing(self._open()) as connection:
            run = _runner(connection)
            if schema.version(run, DIALECT) == 0:
                _fill(connection, run, new)
            elif os.path.lexists(new):
                schema.check_keys(run, DIALECT, keys=_read_keys(new), where=new)
            else:
                raise IntegrityError(
                    f"{self._key_path} is missing, and the ledger beside it is in use",
                    hint="restore it from the backup of the ledger; it cannot be made again",
                )
        place.keep(new, self._key_path)

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):
                connection.close()

    def _before_fork(self) -> None:
        # A child's new connection would take SQLite's inherited notes on the old one's locks for
        # its own (https://sqlite.org/howtocorrupt.html §2.6), so none ever crosses a fork.
        self._disconnect()


def _fill(connection: sqlite3.Connection, run: Run, key_path: str) -> None:
    if run("SELECT count(*) FROM sqlite_master")[0][0]:
        raise lasting(
            "the file at ledger.url is another program's database",
            hint="point ledger.url to a new path",
        )
    if os.path.lexists(key_path):
        Path(key_path).unlink()  # of a process killed before its commit
    keys = Keys.new()
    place.create_file(key_path, lambda: keys.text().encode())
    connection.execute("BEGIN IMMEDIATE")
    try:
        schema.create(run, DIALECT, keys=keys)
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _read_keys(path: str) -> Keys:
    place.check_file(path)
    with place.telling(path):
        return Keys.read(Path(path).read_text("ascii", "replace"), where=path)


def _runner(connection: sqlite3.Connection) -> Run:
    def run(sql: str, *values: object) -> list[tuple[object, ...]]:
        return connection.execute(sql, values).fetchall()

    return run


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
