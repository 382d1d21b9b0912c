"""Connections to one SQLite file: borrowed for one operation, never carried across a fork.

SQLite keeps its locks in the memory of the process, by inode. A child that inherits an open
connection, or only that memory, believes it holds locks which it does not, and the parent then
deletes the write-ahead log under it: measured here with SQLite 3.40, the child's committed row was
gone. So before ``os.fork`` all operations end and all connections are closed, and both processes
open new ones.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from secretkit.errors import IntegrityError, LedgerError, ProviderError, ProviderUnavailableError
from secretkit.providers import ownership
from secretkit.providers.header import DAMAGED_HINT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

__all__ = ["Connections", "Session", "roll_back", "translated"]

_MOST_IDLE: Final = 4
_FORK_WAIT: Final = 10.0  # seconds; longer than an operation may wait for another process's lock
_LONGEST_VALUE: Final = 8 << 20  # bytes: a value has 1 Mi characters of 4 bytes at the most
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_SETTINGS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",  # macOS, where fsync alone does not reach the disk
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA mmap_size=0",  # a file cut short under a mapping is a SIGBUS, not an error
)


class Session:
    """One connection, the file it was opened on, and what its borrower remembers about it."""

    __slots__ = ("connection", "identity", "memory")

    def __init__(self, path: str) -> None:
        self.identity = _identity(path)
        self.memory: object = None
        for suffix in _SIDE_FILES:
            with suppress(FileNotFoundError):
                ownership.check_file(path + suffix)
        escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        self.connection = sqlite3.connect(
            f"file:{escaped}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            for setting in _SETTINGS:
                self.connection.execute(setting)
        except BaseException:
            self.connection.close()
            raise


class Connections:
    """Lends connections to the file at ``path``. Thread-safe, fork-safe.

    An operation has its connection to itself. Up to four idle ones are kept; one whose file was
    replaced underneath is closed instead of lent.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._start()
        with _pools_lock:
            _pools.add(self)

    def _start(self) -> None:
        self._gate = threading.Condition()
        self._idle: list[Session] = []  # always this one list, which the finalizer has too
        self._lent = 0
        self._pid = os.getpid()
        # Not __del__: in a cycle of garbage a connection may be finalised before its pool, and
        # from Python 3.13 it then warns that it was left open.
        self._end = weakref.finalize(self, _let_go, self._idle, self._pid)

    @contextmanager
    def borrow(self, *, patience: timedelta) -> Iterator[Session]:
        """Lend one connection, which waits at most ``patience`` for another process's lock.

        Raises:
            LedgerError: for a lock, a full or read-only disk, or any other failure of SQLite.
            IntegrityError: if the file is not a database or contradicts itself.
            AccessDeniedError: if others can reach the file.
            ProviderUnavailableError: if there is no file.
        """
        with translated(self._path):
            session = self._take()
            keep = True
            try:
                milliseconds = max(0, int(patience.total_seconds() * 1000))
                session.connection.execute(f"PRAGMA busy_timeout={milliseconds}")
                yield session
            except ProviderError:
                raise  # an answer, not a failure
            except BaseException:
                keep = False  # what SQLite's cache holds after a failure is not worth trusting
                raise
            finally:
                self._give_back(session, keep=keep and not session.connection.in_transaction)

    def close(self) -> None:
        """Close the idle connections; the next operation opens a new one."""
        with self._gate:
            idle = _drain(self._idle)
        for session in idle:
            session.connection.close()

    def _take(self) -> Session:
        path = ownership.physical(self._path)
        identity = _identity(path)
        with self._gate:
            if self._pid != os.getpid():
                self._forget_inherited()
            self._lent += 1
            idle = _drain(self._idle)
            fresh = [one for one in idle if one.identity == identity]
            stale = [one for one in idle if one.identity != identity]
            session = fresh.pop() if fresh else None
            self._idle.extend(fresh)
        try:
            for one in stale:
                one.connection.close()
            return session or Session(path)
        except BaseException:
            self._returned()
            raise

    def _give_back(self, session: Session, *, keep: bool) -> None:
        try:
            with self._gate:
                keep = keep and len(self._idle) < _MOST_IDLE
                if keep:
                    self._idle.append(session)
            if not keep:
                session.connection.close()
        finally:
            self._returned()

    def _returned(self) -> None:
        with self._gate:
            self._lent -= 1
            self._gate.notify_all()

    def before_fork(self) -> None:
        """End operations, close connections and keep the gate shut until after the fork."""
        self._gate.acquire()
        self._gate.wait_for(lambda: self._lent == 0, timeout=_FORK_WAIT)
        for session in _drain(self._idle):
            session.connection.close()

    def after_fork_in_parent(self) -> None:
        """Open the gate again."""
        self._gate.release()

    def after_fork_in_child(self) -> None:
        """Start with a gate of its own: no other thread is left to open the old one."""
        self._forget_inherited()

    def _forget_inherited(self) -> None:
        # Only where a fork did not pass through os.fork, or did not wait for a stuck operation.
        _inherited.extend(self._idle)  # kept: closing them would delete the parent's files
        self._end.detach()
        self._start()


def _let_go(idle: list[Session], pid: int) -> None:
    if pid != os.getpid():
        _inherited.extend(idle)
        return
    for session in _drain(idle):  # at exit too; what reads after that opens a new one
        with suppress(sqlite3.Error):  # nobody is left to be told
            session.connection.close()


def _drain(idle: list[Session]) -> list[Session]:
    """Take all, one at a time: at exit another thread may be taking them too."""
    taken = []
    with suppress(IndexError):
        while True:
            taken.append(idle.pop(0))
    return taken


def _identity(path: str) -> tuple[int, int]:
    status = ownership.check_file(path)
    return status.st_dev, status.st_ino


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn what SQLite and the system raise about ``path`` into our errors, without their text."""
    try:
        yield
    except sqlite3.Error as error:
        raised: Exception = _translate(error, path)
    except UnicodeDecodeError:  # sqlite3 decodes SQLite's message, which quotes the damaged schema
        raised = IntegrityError(f"the local store {path} is damaged", hint=DAMAGED_HINT)
    except FileNotFoundError:
        raised = ProviderUnavailableError(
            f"there is no local store at {path}", hint="make one with: secretkit init"
        )
    except PermissionError:
        raised = LedgerError(f"{path}: permission denied", hint="run as the user who owns it")
    except OSError as error:
        raised = LedgerError(f"{path}: {error.strerror}", hint="check the disk, then try again")
    else:
        return
    raise raised from None


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that was not committed, if there is one."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):  # what broke the transaction is being raised already
            connection.execute("ROLLBACK")


_LOCKED: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_READ_ONLY: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}
_WORDS: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room, then try again"),
    sqlite3.SQLITE_IOERR: ("the disk failed to read or write", "check the disk and its messages"),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", "give the process more memory"),
}


def _translate(error: sqlite3.Error, path: str) -> LedgerError:
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    code = extended & 0xFF
    if code in _LOCKED:
        return LedgerError(
            f"another process holds the local store {path} locked",
            hint="try again; if it lasts, find the process with: fuser -v " + path,
        )
    if code in _READ_ONLY:
        return LedgerError(
            f"the local store {path} cannot be opened for writing, or its directory cannot",
            hint="make the directory writable: SQLite keeps a -wal and a -shm file beside it",
        )
    if code in _WORDS and extended != sqlite3.SQLITE_IOERR_SHORT_READ:
        words, hint = _WORDS[code]
        return LedgerError(f"{path}: {words}; what was stored before is unchanged", hint=hint)
    return IntegrityError(f"the local store {path} is damaged", hint=DAMAGED_HINT)


_pools: weakref.WeakSet[Connections] = weakref.WeakSet()
_pools_lock = threading.Lock()
_held: list[Connections] = []
_inherited: list[Session] = []


def _before() -> None:
    _pools_lock.acquire()
    _held.extend(_pools)
    for pool in _held:
        pool.before_fork()


def _in_parent() -> None:
    for pool in _held:
        pool.after_fork_in_parent()
    _held.clear()
    _pools_lock.release()


def _in_child() -> None:
    for pool in _held:
        pool.after_fork_in_child()
    _held.clear()
    _pools_lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
