"""The ledger in PostgreSQL 13 or newer, through psycopg 3, for more than one machine.

Settings and locks live inside each transaction, so a pooler in transaction mode may stand between.
A driver's error is never chained: its objects know the password.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from secretkit.errors import IntegrityError, LedgerError
from secretkit.ledger import schema, statement
from secretkit.ledger.failure import lasting
from secretkit.ledger.keys import Keys
from secretkit.ledger.link import Link, Mode, Transaction, leak
from secretkit.ledger.postgres_reason import TRY_AGAIN, explain, unreachable
from secretkit.ledger.statement import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    import psycopg

    from secretkit.core.secret import Secret
    from secretkit.ledger.link import Run

__all__ = ["DIALECT", "PostgresLink"]

T = TypeVar("T")


def _put(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _take(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("an instant is stored as timestamptz")
    return value.astimezone(UTC)


DIALECT: Final = Dialect(
    mark="%s",
    types={"integer": "BIGINT", "instant": "TIMESTAMPTZ"},
    # Not to_regclass: its cache may say "no" in a transaction that waited for the one that made it.
    has_schema="SELECT count(*) FROM pg_catalog.pg_tables "
    "WHERE tablename = 'secretkit_meta' AND schemaname = ANY (current_schemas(false))",
    put=_put,
    take=_take,
)
_OLDEST: Final = 130000  # pg_current_xact_id and pg_xact_status came with 13
_LOCKS: Final = {Mode.APPEND: 0x5EC2E7_0001, Mode.COUNT: 0x5EC2E7_0002}
_SETTINGS: Final = (
    "SET LOCAL lock_timeout = {wait}; SET LOCAL statement_timeout = {limit}; "
    "SET LOCAL idle_in_transaction_session_timeout = {limit}; "
)
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; " + _SETTINGS
# synchronous_commit off would lose an audit entry whose effect already happened.
_WRITE: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
    + _SETTINGS
    + "SELECT set_config('synchronous_commit', 'on', true) "
    "WHERE current_setting('synchronous_commit') = 'off'; "
    "SELECT pg_advisory_xact_lock({lock})::text, pg_current_xact_id()::text"
)


_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": "5",
    "tcp_user_timeout": "15000",  # ms; without it a vanished server is noticed after minutes
    "application_name": "secretkit",
}


class _Lost(Exception):  # noqa: N818 - not an error yet: the link tries once more
    """The connection went away; ``committing`` names the transaction whose end is unknown."""

    def __init__(self, committing: str = "") -> None:
        super().__init__()
        self.committing = committing


class PostgresLink(Link):
    """One connection a process. Reconnects once when it was lost.

    A commit whose answer was lost is not repeated: the new connection asks what became of it
    (``pg_xact_status``, https://www.postgresql.org/docs/current/functions-info.html).
    """

    def __init__(self, address: Secret, *, lock_timeout: timedelta) -> None:
        super().__init__(dialect=DIALECT, lock_timeout=lock_timeout)
        self._address = address
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def __repr__(self) -> str:
        return "<the PostgreSQL ledger>"

    def _once(self, mode: Mode, work: Callable[[Transaction], T]) -> T:
        done: list[T] = []

        def keeping(transaction: Transaction) -> T:
            done[:] = [work(transaction)]
            return done[0]

        lost = None
        try:
            return self._attempt(mode, keeping)
        except _Lost as error:
            lost = error.committing
        if lost and self._was_committed(lost):
            return done[0]
        try:
            return self._attempt(mode, keeping)
        except _Lost:
            pass
        raise LedgerError("the connection to PostgreSQL was lost twice", hint=TRY_AGAIN)

    def _attempt(self, mode: Mode, work: Callable[[Transaction], T]) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            self._disconnect()
            connection = self._connect()
        assert self._keys is not None  # noqa: S101 - for mypy: _connect loads them
        committing = ""
        try:
            number = self._begin(connection, mode)
            result = work(Transaction(run=_runner(connection), dialect=DIALECT, keys=self._keys))
            committing = number
            _commit(connection)
        except BaseException as error:
            dropped = connection.closed and isinstance(error, self._foreign())
            self._roll_back(connection)
            if not dropped:
                raise
        else:
            return result
        raise _Lost(committing)

    def _begin(self, connection: psycopg.Connection[tuple[Any, ...]], mode: Mode) -> str:
        wait = max(1, int(self.lock_seconds * 1000))
        text = _READ if mode is Mode.READ else _WRITE
        begin = text.format(wait=wait, limit=wait + 10_000, lock=_LOCKS.get(mode, 0))
        cursor = connection.execute(begin.encode())
        if mode is Mode.READ:
            return ""
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        return str(row[1]) if row else ""

    def _was_committed(self, number: str) -> bool:
        """Ask what became of a transaction whose commit got no answer."""
        connection = self._connect()
        end = time.monotonic() + self.lock_seconds
        while True:
            row = connection.execute(b"SELECT pg_xact_status(%s::xid8)", (number,)).fetchone()
            status = row[0] if row else None
            if status in {"committed", "aborted"}:
                return bool(status == "committed")
            if status is None or time.monotonic() >= end:
                raise LedgerError(
                    "PostgreSQL does not say whether the last change was kept", hint=TRY_AGAIN
                )
            threading.Event().wait(0.05)  # the old session is still ending

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            import psycopg  # noqa: PLC0415 - 140 ms here; only a PostgreSQL ledger pays for it
        except ImportError:
            raise lasting(
                "a PostgreSQL ledger needs psycopg", hint='pip install "secretkit[postgres]"'
            ) from None
        try:
            # What the URL says comes later and wins. One expression: its parts know the password.
            connection = psycopg.connect(
                **(_DEFAULTS | psycopg.conninfo.conninfo_to_dict(self._address.reveal())),
                autocommit=True,  # we say BEGIN and COMMIT ourselves
                prepare_threshold=None,  # prepared statements do not pass poolers
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, its frames know the password
            failure = unreachable(error)
        else:
            self._welcome(connection)
            return connection
        raise failure

    def _welcome(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        try:
            self._keys = self._load(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._own(connection)

    def _load(self, connection: psycopg.Connection[tuple[Any, ...]]) -> Keys:
        if connection.info.server_version < _OLDEST:
            raise lasting("this PostgreSQL is older than 13", hint="use PostgreSQL 13 or newer")
        keys = self._prepare(connection, Mode.READ) or self._prepare(connection, Mode.APPEND)
        if keys is None or (self._keys is not None and self._keys.id != keys.id):
            raise IntegrityError(
                "the PostgreSQL at ledger.url is not the ledger it was before",
                hint="restore the right database, then start this process again",
            )
        return keys

    def _prepare(self, connection: psycopg.Connection[tuple[Any, ...]], mode: Mode) -> Keys | None:
        """Load the keys, making the schema first where ``mode`` may write and there is none."""
        run = _runner(connection)
        self._begin(connection, mode)
        try:
            found = schema.version(run, DIALECT)
            if found == 0 and mode is Mode.READ:
                keys = None
            elif found == 0:
                keys = Keys.new()
                schema.create(run, DIALECT, keys=keys)
                run(DIALECT.sql(statement.PUT_META), "keys", keys.text())
            else:
                keys = _read_keys(run)
            _commit(connection)
        except BaseException:
            self._roll_back(connection)
            raise
        return keys

    def _roll_back(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        if not connection.closed:
            with suppress(*self._foreign()):
                connection.execute(b"ROLLBACK")

    def _foreign(self) -> tuple[type[Exception], ...]:
        driver = sys.modules.get("psycopg")
        return (driver.Error,) if driver is not None else ()

    def _translate(self, error: Exception) -> LedgerError:
        return explain(getattr(error, "sqlstate", None) or "")

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _forget(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            leak(connection)


def _runner(connection: psycopg.Connection[tuple[Any, ...]]) -> Run:
    def run(sql: str, *values: object) -> Sequence[tuple[Any, ...]]:
        cursor = connection.execute(sql.encode(), values or None)
        return cursor.fetchall() if cursor.description else ()

    return run


def _commit(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    if connection.execute(b"COMMIT").statusmessage != "COMMIT":
        raise LedgerError("PostgreSQL rolled the change back", hint=TRY_AGAIN)


def _read_keys(run: Run) -> Keys:
    where = "the table secretkit_meta"
    rows = run(DIALECT.sql(statement.META), "keys")
    keys = Keys.read(str(rows[0][0]) if rows else "", where=where)
    del rows
    schema.check_keys(run, DIALECT, keys=keys, where=where)
    return keys
