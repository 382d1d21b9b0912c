"""What SQLite's result codes (https://sqlite.org/rescode.html) mean to an operator."""

from __future__ import annotations

import sqlite3
from typing import Final

from secretkit.errors import IntegrityError, LedgerError

__all__ = ["code_of", "explain"]

_EXTENDED: Final = 0xFF  # the low byte of an extended result code is the primary one


def code_of(error: BaseException) -> int:
    """Give the primary SQLite result code of an error, 0 for any other error."""
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    code = getattr(error, "sqlite_errorcode", None)
    return code & _EXTENDED if isinstance(code, int) else 0


def explain(code: int, *, label: str) -> LedgerError:
    """Say what a result code means for the ledger at ``label``, and what to do."""
    damaged = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}
    if code in damaged or code == sqlite3.SQLITE_ERROR:
        return IntegrityError(
            f"{label} is damaged: it does not hold what was written",
            hint="keep a copy of it as it is, then restore the ledger and its keys from a backup",
        )
    what, hint = _REASONS.get(code, (f"failed (SQLite code {code})", "try again"))
    return LedgerError(f"{label} {what}", hint=hint)


_LOCKED: Final = ("is locked by another process", "try again; fuser says who holds the file")
_REASONS: Final = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: (
        "could not be written: the disk is full",
        "free some space there, and try again; what was written before is intact",
    ),
    sqlite3.SQLITE_IOERR: (
        "could not be read or written: the disk reported an error",
        "look at dmesg and df, and try again; the last change was not kept",
    ),
    sqlite3.SQLITE_READONLY: (
        "is on a read-only disk, or its file cannot be written",
        "make it writable: mount -o remount,rw, or chmod 600 of the file",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "check that its directory exists and can be written: ls -ld",
    ),
    sqlite3.SQLITE_NOMEM: ("found no memory", "free some memory, and try again"),
}
