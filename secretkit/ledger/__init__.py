"""Ledger: what must survive a restart, in SQLite or PostgreSQL, behind one interface.

Leases, generations, counted calls, and the hash-chained, value-free audit. Importing this room
loads no database driver; opening a ledger reads nothing; its first use connects.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, SecretError

if TYPE_CHECKING:
    from secretkit.ports import Ledger

__all__ = ["open"]

_SHAPES: Final = "sqlite:///ABSOLUTE/path.db, sqlite:// (in memory) or postgresql://HOST/DATABASE"
_LONGEST_WAIT: Final = timedelta(hours=1)


def open(url: str, *, lock_timeout: timedelta = timedelta(seconds=5)) -> Ledger:  # noqa: A001 - reads as ledger.open(url)
    """Give the ledger at ``url``. Nothing is read or made before its first use.

    ``sqlite:///ABSOLUTE/path.db`` is a file (``~`` already expanded; ``%``, ``?`` and ``#`` in
    it are percent-encoded); ``sqlite://`` lives in this process's memory and ends with it;
    ``postgresql://…`` goes to libpq as it is, with its ``sslmode``, service and password files.
    ``lock_timeout`` bounds the wait for other threads and processes.

    Raises:
        ConfigError: for a URL or a timeout that cannot be used; the URL is not shown, for it may
            hold a password.
    """
    try:
        address = Secret(url)
    except SecretError:
        address = Secret("-")
    del url  # from here on only a Secret knows it
    if not timedelta() < lock_timeout <= _LONGEST_WAIT:
        raise ConfigError(
            "the ledger's lock timeout is above 0 and at most 1 h",
            key_path="ledger.lock_timeout",
            hint="leave it out for 5 s",
        )
    if address.reveal().startswith("sqlite://"):
        return _open_sqlite(address, lock_timeout)
    if address.reveal().startswith(("postgresql://", "postgres://")):
        from secretkit.ledger.engine import SqlLedger  # noqa: PLC0415 - loaded when a ledger is
        from secretkit.ledger.postgres import PostgresLink  # noqa: PLC0415 - loaded where used

        return SqlLedger(PostgresLink(address, lock_timeout=lock_timeout))
    raise _unusable("is neither SQLite nor PostgreSQL")


def _open_sqlite(address: Secret, lock_timeout: timedelta) -> Ledger:
    from secretkit.ledger.engine import SqlLedger  # noqa: PLC0415 - loaded when a ledger is
    from secretkit.ledger.sqlite import FileLink, MemoryLink  # noqa: PLC0415 - loaded where used

    rest = address.reveal().removeprefix("sqlite://")
    if rest in {"", "/:memory:"}:
        return SqlLedger(MemoryLink(lock_timeout=lock_timeout))
    path = "/" + rest.lstrip("/")
    if not rest.startswith("/"):
        raise _unusable("does not start with sqlite:/// and an absolute path")
    if path.startswith("/~"):
        raise _unusable("holds a '~' that nobody expanded")
    if "?" in path or "#" in path:
        raise _unusable("holds '?' or '#', which are written %3F and %23 in a path")
    if "%" in path:
        path = _decoded(path)
    if path.endswith("/") or not path.isprintable():
        raise _unusable("does not end in the path of a file")
    return SqlLedger(FileLink(path, lock_timeout=lock_timeout))


def _decoded(path: str) -> str:
    import re  # noqa: PLC0415 - few paths need it
    from urllib.parse import unquote  # noqa: PLC0415 - see above

    if re.search("%(?![0-9A-Fa-f]{2})", path):
        raise _unusable("holds a '%' that encodes nothing; the character itself is written %25")
    return unquote(path, errors="surrogateescape")  # refused as unprintable


def _unusable(reason: str) -> ConfigError:
    return ConfigError(f"the URL {reason}", key_path="ledger.url", hint=f"write {_SHAPES}")
