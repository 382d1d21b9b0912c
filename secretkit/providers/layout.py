"""The local store's tables: laid out in an empty file, and their header read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.errors import IntegrityError, LedgerError
from secretkit.providers.connections import roll_back
from secretkit.providers.header import DAMAGED, DAMAGED_HINT, Header
from secretkit.providers.rowset import HEADER_ID, STATE_ID, RowSet, write_state

if TYPE_CHECKING:
    import sqlite3

    from secretkit.providers.connections import Session
    from secretkit.providers.sealing import RowSealer

__all__ = ["laid_out", "lay_out", "read_header"]

_APPLICATION_ID: Final = 0x736B6974  # "skit": what file(1) may tell the store by
_SCHEMA: Final = (
    "CREATE TABLE meta (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
    (
        "CREATE TABLE row (name BLOB NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,"
        " nonce BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (name, version)) WITHOUT ROWID"
    ),
)


def lay_out(connection: sqlite3.Connection, header: bytes, sealer: RowSealer, *, path: str) -> None:
    """Write the tables into an empty file, all or nothing."""
    _refuse_used(connection, path)
    if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
        raise LedgerError(
            f"{path} cannot have a write-ahead log", hint="put it on a local file system"
        )
    connection.execute("BEGIN EXCLUSIVE")
    try:
        _refuse_used(connection, path)  # again: another process may have been quicker
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        for statement in _SCHEMA:
            connection.execute(statement)
        for number, value in ((HEADER_ID, header), (STATE_ID, b"")):
            connection.execute("INSERT INTO meta VALUES (?, ?)", (number, value))
        write_state(connection, RowSet(header, 1, 0, {}), sealer)
        connection.execute("COMMIT")
    finally:
        roll_back(connection)


def laid_out(session: Session) -> bool:
    """Say whether somebody laid out tables, and if so read the header, which needs no key.

    Raises:
        IntegrityError: if there are tables and no header that can be read.
    """
    if not session.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return False
    read_header(session)
    return True


def _refuse_used(connection: sqlite3.Connection, path: str) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    # SQLite takes a file too short to be one for an empty database, and would write over it.
    blank = connection.execute("PRAGMA page_count").fetchone()[0] == 0
    if tables or (blank and Path(path).stat().st_size):
        raise LedgerError(
            f"there is a file at {path} already, and it is not empty",
            hint="use it as it is, or move it away first; it is never overwritten",
        )


def read_header(session: Session) -> Header:
    """Give the header, not yet authenticated.

    Raises:
        IntegrityError: if there is none, or it is malformed.
    """
    connection = session.connection
    # Another journal mode was not set by us, and setting it back would change a damaged file.
    if session.memory is None and connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        raise IntegrityError(DAMAGED, hint=DAMAGED_HINT)
    found = connection.execute("SELECT value FROM meta WHERE id=?", (HEADER_ID,)).fetchone()
    return Header.decode(found[0] if found else None)
