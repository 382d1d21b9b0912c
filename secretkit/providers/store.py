"""The encrypted local store: versioned secrets in one SQLite file, several processes at once.

Every operation first checks a keyed digest over the whole set of rows, so that a row which was
removed, added or put back is noticed, and not only one that was changed. What is not noticed is an
older copy of the whole file. ``docs/store-format.md`` has the format and the reasons.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from secretkit.errors import ConfigError, IntegrityError, ProviderError, SecretkitError
from secretkit.providers import ownership
from secretkit.providers.connections import Connections, Session, roll_back, translated
from secretkit.providers.header import DAMAGED, Header, context_of
from secretkit.providers.layout import laid_out, lay_out, read_header
from secretkit.providers.rowset import HEADER_ID, RowSet, advance, read_row, read_rows, remove_row
from secretkit.providers.sealing import NONCE_BYTES, Place, RowSealer, SealingKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretkit.core.secret import Secret
    from secretkit.ports import Clock
    from secretkit.providers.keysource import KeySource

__all__ = ["Entry", "LocalStore"]

_ID_BYTES: Final = 16
_PATIENCE: Final = timedelta(seconds=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Entry(NamedTuple):
    """One version of one secret; never the value."""

    name: str
    version: int
    created_at: datetime


class LocalStore:
    """An open store. Thread-safe, fork-safe, and safe between processes.

    A read costs one transaction and one decryption, a write one durable commit. The row keys stay
    in memory while it is open; the source is asked again only if the file is another store. An
    operation waits at most ``patience`` for another process's lock.
    """

    def __init__(
        self,
        path: str,
        source: KeySource,
        *,
        clock: Clock,
        keep: int = 10,
        patience: timedelta = _PATIENCE,
    ) -> None:
        if keep < 1:
            raise ConfigError("a store keeps at least 1 version", key_path="keep")
        self.path = path
        self._source = source
        self._clock = clock
        self._keep = keep
        self._patience = patience
        self._connections = Connections(path)
        self._sealer: RowSealer | None = None
        # Taken only while a connection is lent, so no thread holds it across a fork.
        self._asking = threading.Lock()

    @classmethod
    def create(cls, path: str, source: KeySource, *, clock: Clock, keep: int = 10) -> LocalStore:
        """Make a store, with file mode 0600 in directories of mode 0700, and open it.

        Raises:
            LedgerError: if there is one already, or if it cannot be written.
            AccessDeniedError: if others can reach the place.
        """
        store = cls(path, source, clock=clock, keep=keep)
        store_id, key_id, dek = os.urandom(_ID_BYTES), os.urandom(_ID_BYTES), SealingKey.new()
        wrapped = source.wrap(dek, context=context_of(store_id, key_id))
        header = Header(store_id, key_id, wrapped).encode()
        sealer = RowSealer(dek, store_id=store_id, key_id=key_id)
        with translated(path):
            ownership.create_empty(path)
        with store._connections.borrow(patience=_PATIENCE) as session:
            lay_out(session.connection, header, sealer, path=path)
        store._sealer = sealer
        return store

    @classmethod
    def open(cls, path: str, source: KeySource, *, clock: Clock, keep: int = 10) -> LocalStore:
        """Open a store, asking ``source`` for the key once.

        Raises:
            IntegrityError: if the key is not the right one, or if the file is damaged.
            AccessDeniedError: if others can reach the file.
            ProviderUnavailableError: if there is no file, or no key to try.
            LedgerError: if it is locked or cannot be read now.
        """
        store = cls(path, source, clock=clock, keep=keep)
        try:
            with store._reading(_PATIENCE):
                return store
        except SecretkitError:
            store.close()
            raise

    def begun(self) -> bool:
        """Say whether the store is laid out, its header read; not if a kill left it blank.

        Raises:
            ProviderUnavailableError: if there is no file.
            IntegrityError: if the file is damaged, as far as that shows without the key.
            AccessDeniedError: if others can reach the file.
            LedgerError: if it is locked or cannot be read now.
        """
        with self._connections.borrow(patience=self._patience) as session:
            return laid_out(session)

    def read(
        self, name: str, *, version: int | None = None, patience: timedelta | None = None
    ) -> tuple[Entry, Secret] | None:
        """Give a version of a secret, the current one by default, or None if there is none."""
        with self._reading(patience or self._patience) as (session, rows, sealer):
            wanted = rows.current(name.encode()) if version is None else version
            place = rows.place(name.encode(), wanted)
            if place is None:
                return None
            sealed = read_row(session.connection, place)
            secret = sealer.open(sealed, place, nonce=rows.nonces[place])
            return _entry(place), secret

    def version(self, name: str, *, patience: timedelta | None = None) -> int:
        """Give the current version, 0 if there is none."""
        with self._reading(patience or self._patience) as (_, rows, _):
            return rows.current(name.encode())

    def versions(self, name: str) -> Sequence[Entry]:
        """Give the kept versions of a secret, newest first."""
        with self._reading(self._patience) as (_, rows, _):
            return [_entry(place) for place in rows.versions(name.encode())]

    def entries(self) -> Sequence[Entry]:
        """Give the current version of every secret, sorted by name."""
        with self._reading(self._patience) as (_, rows, _):
            current = {place.name: place for place in rows.nonces}  # the last one is the highest
        return sorted(_entry(place) for place in current.values())

    def check(self) -> int:
        """Decrypt every version and give their count.

        Raises:
            IntegrityError: at the first one that does not open.
        """
        with self._reading(self._patience) as (session, rows, sealer):
            for place, nonce in rows.nonces.items():
                sealer.open(read_row(session.connection, place), place, nonce=nonce)
            return len(rows.nonces)

    def write(self, name: str, secret: Secret, *, expected: int | None = None) -> Entry:
        """Store a new version, which becomes the current one; forget the oldest beyond ``keep``.

        With ``expected``, only while that is the current version (0: there is none).

        Raises:
            ProviderError: if another version is the current one.
            LedgerError: if it cannot be committed; the old version stays readable.
        """
        with self._writing() as (session, rows, sealer):
            current = rows.current(name.encode())
            if expected is not None and expected != current:
                raise _stale(name, expected=expected, current=current)
            created = (self._clock.now() - _EPOCH) // _MICROSECOND
            place = Place(name.encode(), (current or rows.floor) + 1, max(0, created))
            nonce = os.urandom(NONCE_BYTES)
            session.connection.execute(
                "INSERT INTO row VALUES (?, ?, ?, ?, ?)",
                (*place, nonce, sealer.seal(secret, place, nonce=nonce)),
            )
            rows.nonces[place] = nonce
            for old in rows.versions(place.name)[self._keep :]:
                remove_row(session.connection, rows, old)
        return _entry(place)

    def delete(self, name: str) -> bool:
        """Remove a secret with all its versions; say whether there was one.

        Its version numbers are not used again: a later secret of any name starts above them.
        """
        with self._writing() as (session, rows, _):
            places = rows.versions(name.encode())
            for place in places:
                rows.floor = max(rows.floor, place.version)
                remove_row(session.connection, rows, place)
        return bool(places)

    def rewrap(self, source: KeySource) -> None:
        """Seal the data key under another source or passphrase; no value is touched.

        A copy of the file made before still opens with the old one.
        """
        with self._writing() as (session, rows, _):
            old = Header.decode(rows.header)
            wrapped = source.wrap(
                self._source.unwrap(old.wrapped, context=old.context), context=old.context
            )
            rows.header = Header(old.store_id, old.key_id, wrapped).encode()
            session.connection.execute(
                "UPDATE meta SET value=? WHERE id=?", (rows.header, HEADER_ID)
            )
        self._source = source

    def close(self) -> None:
        """Close the connections and forget the keys; using the store again opens it again."""
        self._connections.close()
        self._sealer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _reading(self, patience: timedelta) -> Iterator[tuple[Session, RowSet, RowSealer]]:
        with self._unlocked(patience) as (session, sealer):
            session.connection.execute("BEGIN")
            try:
                yield session, read_rows(session, sealer), sealer
            finally:
                roll_back(session.connection)

    @contextmanager
    def _writing(self) -> Iterator[tuple[Session, RowSet, RowSealer]]:
        with self._unlocked(self._patience) as (session, sealer):
            connection = session.connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                rows = read_rows(session, sealer).copy()
                yield session, rows, sealer
                advance(connection, rows, sealer)
                connection.execute("COMMIT")
            finally:
                roll_back(connection)
            session.memory = rows
            with suppress(sqlite3.Error):  # committed already; now a copy of the file is whole too
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    @contextmanager
    def _unlocked(self, patience: timedelta) -> Iterator[tuple[Session, RowSealer]]:
        """Lend a connection with the row keys of the store that it is open on."""
        asked = False
        try:
            with self._connections.borrow(patience=patience) as session:
                header = read_header(session)
                with self._asking:  # one thread stretches a passphrase; 20 at once took 1.4 GB
                    sealer = self._sealer
                    if not sealer or sealer.ids != header.ids:
                        asked = True
                        sealer = self._sealer = self._ask(header)
                yield session, sealer
        except IntegrityError:
            if not asked and self._sealer is None:
                self._source.spend()  # a damaged file takes as long as a wrong passphrase
            raise

    def _ask(self, header: Header) -> RowSealer:
        if header.wrapped.source != self._source.kind:
            self._source.spend()
            raise IntegrityError(
                DAMAGED,
                hint=f"its header does not ask for a {self._source.kind}: check key.type, and if "
                "that is right, restore a backup",
            )
        dek = self._source.unwrap(header.wrapped, context=header.context)
        return RowSealer(dek, store_id=header.store_id, key_id=header.key_id)


def _entry(place: Place) -> Entry:
    return Entry(place.name.decode(), place.version, _EPOCH + place.created * _MICROSECOND)


def _stale(name: str, *, expected: int, current: int) -> ProviderError:
    error = ProviderError(
        f"{name}: version {expected} is not the current one any more, {current} is",
        hint="read it again, and write on top of what is there now",
    )
    error.retryable = False
    return error
