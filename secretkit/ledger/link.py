"""Link: a process's one connection to the ledger, its transactions, and what happens at a fork.

One connection under a lock, not one a thread: commits are serialised by the disk (SQLite) or by
the audit's single writer (PostgreSQL) anyway, a connection a thread would leak with short-lived
threads, and an in-memory database exists only inside its one connection. Long reads go page by
page, so they do not keep the others waiting.
"""

from __future__ import annotations

import enum
import os
import threading
import weakref
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from secretkit.core.record import record
from secretkit.errors import LedgerError
from secretkit.ledger.failure import lasting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from secretkit.ledger.keys import Keys
    from secretkit.ledger.statement import Dialect

__all__ = ["Link", "Mode", "Run", "Transaction", "leak"]

T = TypeVar("T")


class Mode(enum.Enum):
    """What a transaction is for, which decides what it locks."""

    READ = enum.auto()
    """One snapshot, no lock."""
    APPEND = enum.auto()
    """Writes, as the audit's only writer."""
    COUNT = enum.auto()
    """Writes counted calls, as their only writer."""


class Closable(Protocol):
    """A driver's connection, as far as a link's end is concerned."""

    def close(self) -> None:
        """Close it; safe to repeat."""
        ...


class Run(Protocol):
    """Runs one statement and gives its rows."""

    def __call__(self, sql: str, *values: object) -> Sequence[tuple[Any, ...]]:
        """Run ``sql`` with ``values`` for its marks."""
        ...


@record(kw_only=True)
class Transaction:
    """What the work inside a transaction may use."""

    run: Run
    dialect: Dialect
    keys: Keys


class Link(ABC):
    """One connection, made at first use. Thread-safe; a forked child makes its own.

    Subclasses say how to connect, begin, commit and roll back, and what a driver's error means.
    """

    def __init__(self, *, dialect: Dialect, lock_timeout: timedelta) -> None:
        self.dialect: Final = dialect
        self.lock_seconds: Final = lock_timeout.total_seconds()
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._closed = ""
        self._pid = os.getpid()
        self._owned: weakref.finalize[[Closable, int], Link] | None = None
        _watch_forks()
        _links.add(self)

    def keys(self) -> Keys:
        """Give the ledger's keys, connecting if that was not done yet."""
        if self._keys is None:
            self.transact(Mode.READ, lambda _: None)
        assert self._keys is not None  # noqa: S101 - for mypy: a transaction begins by loading them
        return self._keys

    def transact(self, mode: Mode, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in one transaction and give what it gives; any error rolls all of it back.

        ``work`` must do nothing but run statements: it is run again if the connection was lost
        before the commit.

        Raises:
            LedgerError: without cause or context, whose objects know the password.
        """
        with self._held():
            try:
                return self._once(mode, work)
            except self._foreign() as error:
                failure = self._translate(error)
        raise failure

    @contextmanager
    def _held(self) -> Iterator[None]:
        lock = self._lock
        if not lock.acquire(timeout=self.lock_seconds):
            raise LedgerError(
                "another thread held the ledger for too long",
                hint="try again; if it stays so, raise ledger.lock_timeout",
            )
        try:
            if self._closed:
                raise lasting(
                    f"the ledger {self._closed}", hint="open it again with ledger.open(url)"
                )
            yield
        finally:
            lock.release()

    @abstractmethod
    def _once(self, mode: Mode, work: Callable[[Transaction], T]) -> T:
        """Connect if needed, begin, work, commit."""

    @abstractmethod
    def _foreign(self) -> tuple[type[Exception], ...]:
        """Give the driver's error classes; asked only while an error is under way."""

    @abstractmethod
    def _translate(self, error: Exception) -> LedgerError:
        """Say in our words what a driver's error means."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connection, if there is one."""

    @abstractmethod
    def _forget(self) -> None:
        """Let go of an inherited connection without closing it."""

    def _own(self, connection: Closable) -> None:
        """Have ``connection`` closed with this link, if nobody closes it before.

        Not ``__del__``: in a cycle of garbage the connection may be finalised before the link, and
        from Python 3.13 it then warns that it was left open.
        """
        if self._owned is not None:
            self._owned.detach()
        self._owned = weakref.finalize(self, _let_go, connection, os.getpid())
        self._owned.atexit = False  # a broker's own exit handler may still have to write

    def after_fork(self) -> None:
        """Forget an inherited connection and lock; called by itself in a forked child."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._lock = threading.Lock()
            self._forget()

    def before_fork(self) -> None:  # noqa: B027 - for a link whose connection the child keeps
        """Get ready for a fork in this process."""

    def after_fork_in_parent(self) -> None:  # noqa: B027 - the same
        """Undo :meth:`before_fork`."""

    def close(self) -> None:
        """Close the connection for good; safe to repeat."""
        with self._lock:
            self._closed = self._closed or "is closed"
            self._disconnect()


_links: Final[weakref.WeakSet[Link]] = weakref.WeakSet()
_watching: list[bool] = []


def _watch_forks() -> None:
    if _watching:
        return
    _watching.append(True)
    os.register_at_fork(
        before=partial(_each, "before_fork"),
        after_in_parent=partial(_each, "after_fork_in_parent"),
        after_in_child=partial(_each, "after_fork"),
    )


def _each(step: str) -> None:
    for link in list(_links):
        getattr(link, step)()


def _let_go(connection: Closable, pid: int) -> None:
    if pid != os.getpid():
        leak(connection)
        return
    with suppress(Exception):  # nobody is left to be told
        connection.close()


def leak(inherited: object) -> None:
    """Keep an inherited connection from ever being closed, even when the interpreter ends.

    A child that closes its copy would checkpoint or end the parent's session; a reference in a
    module is dropped at exit, so one too many is counted instead.
    """
    import ctypes  # noqa: PLC0415 - 4 ms, and only a forked child with an open ledger needs it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
