"""The rows of a local store as one set, under one keyed digest."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record, replace
from secretkit.errors import IntegrityError, LedgerError
from secretkit.providers.header import DAMAGED_HINT
from secretkit.providers.sealing import NONCE_BYTES, Place

if TYPE_CHECKING:
    import sqlite3

    from secretkit.providers.connections import Session
    from secretkit.providers.sealing import RowSealer

__all__ = [
    "HEADER_ID",
    "STATE_ID",
    "RowSet",
    "advance",
    "read_row",
    "read_rows",
    "remove_row",
    "write_state",
]

HEADER_ID: Final = 0
STATE_ID: Final = 1
_MOST_WRITES: Final = 1 << 32  # random nonces under one key (NIST SP 800-38D §8.3)
_STATE_BYTES: Final = 8 + 8 + 32


@record(frozen=False)
class RowSet:
    """Which rows there are, by place in order, with each one's nonce.

    ``generation`` counts the commits, ``floor`` is the highest version number that a deleted
    secret ever had, and ``state`` is what the file says of all that.
    """

    header: bytes
    generation: int
    floor: int
    nonces: dict[Place, bytes]
    state: bytes = b""

    def copy(self) -> RowSet:
        """Give one that may be changed."""
        return replace(self, nonces=dict(self.nonces))

    def versions(self, name: bytes) -> list[Place]:
        """Give the places of a secret, newest first."""
        return sorted((place for place in self.nonces if place.name == name), reverse=True)

    def current(self, name: bytes) -> int:
        """Give a secret's highest version, 0 if there is none."""
        return max((place.version for place in self.nonces if place.name == name), default=0)

    def place(self, name: bytes, version: int) -> Place | None:
        """Give the place of one version, or None."""
        return next((one for one in self.versions(name) if one.version == version), None)


def read_rows(session: Session, sealer: RowSealer) -> RowSet:
    """Give the rows that this transaction sees, checked; cheap while nothing was committed.

    Raises:
        IntegrityError: if a row was removed, added, moved or put back, or the header was.
    """
    header, state = _read_meta(session.connection)
    known = session.memory
    if isinstance(known, RowSet) and (known.header, known.state) == (header, state):
        return known
    rows = RowSet(
        header=header,
        generation=int.from_bytes(state[:8], "big"),
        floor=int.from_bytes(state[8:16], "big"),
        nonces=_read_places(session.connection),
        state=state,
    )
    if not hmac.compare_digest(_digest(rows, sealer), state[16:]):
        raise IntegrityError(
            "the local store's list of secrets is not what was written", hint=DAMAGED_HINT
        )
    session.memory = rows
    return rows


def read_row(connection: sqlite3.Connection, place: Place) -> bytes:
    """Give the sealed bytes of a row that the set has."""
    found = connection.execute(
        "SELECT sealed FROM row WHERE name=? AND version=?", (place.name, place.version)
    ).fetchone()
    if found is None or not isinstance(found[0], bytes):
        raise IntegrityError("the local store misses a row that it should have", hint=DAMAGED_HINT)
    return found[0]


def remove_row(connection: sqlite3.Connection, rows: RowSet, place: Place) -> None:
    """Remove a row that the set has from the file and from ``rows``."""
    where = (place.name, place.version)
    if connection.execute("DELETE FROM row WHERE name=? AND version=?", where).rowcount != 1:
        raise IntegrityError("the local store misses a row that it should have", hint=DAMAGED_HINT)
    del rows.nonces[place]


def advance(connection: sqlite3.Connection, rows: RowSet, sealer: RowSealer) -> None:
    """Count one more commit, and write the state of the changed ``rows``.

    Raises:
        LedgerError: if the key has sealed as many values as random nonces allow.
    """
    if rows.generation >= _MOST_WRITES:
        raise LedgerError(
            "this store's key has sealed as many values as it safely may",
            hint="make a new store with secretkit init and set the secrets again",
        )
    rows.generation += 1
    write_state(connection, rows, sealer)


def write_state(connection: sqlite3.Connection, rows: RowSet, sealer: RowSealer) -> None:
    """Write the counters and the digest of ``rows``, within the transaction that changed them."""
    rows.nonces = dict(sorted(rows.nonces.items()))
    numbers = rows.generation.to_bytes(8, "big") + rows.floor.to_bytes(8, "big")
    rows.state = numbers + _digest(rows, sealer)
    connection.execute("UPDATE meta SET value=? WHERE id=?", (rows.state, STATE_ID))


def _digest(rows: RowSet, sealer: RowSealer) -> bytes:
    return sealer.vouch(
        header=rows.header,
        generation=rows.generation,
        floor=rows.floor,
        rows=rows.nonces.items(),
    )


def _read_meta(connection: sqlite3.Connection) -> tuple[bytes, bytes]:
    found = connection.execute("SELECT id, value FROM meta ORDER BY id LIMIT 3").fetchall()
    if [number for number, _ in found] == [HEADER_ID, STATE_ID]:
        header, state = found[0][1], found[1][1]
        if isinstance(header, bytes) and isinstance(state, bytes) and len(state) == _STATE_BYTES:
            return header, state
    raise IntegrityError("the local store misses its header or its state", hint=DAMAGED_HINT)


def _read_places(connection: sqlite3.Connection) -> dict[Place, bytes]:
    nonces: dict[Place, bytes] = {}
    before: Place | None = None
    query = "SELECT name, version, created, nonce FROM row ORDER BY name, version"
    for fields in connection.execute(query):
        place = _place(*fields)
        nonce = fields[3]
        if place is None or (before is not None and place <= before):
            raise IntegrityError("a row of the local store is malformed", hint=DAMAGED_HINT)
        nonces[place] = nonce
        before = place
    return nonces


def _place(name: object, version: object, created: object, nonce: object) -> Place | None:
    """SQLite stores any type in any column, so a damaged row may hold any."""
    if not (isinstance(name, bytes) and isinstance(version, int) and isinstance(created, int)):
        return None
    if not (isinstance(nonce, bytes) and len(nonce) == NONCE_BYTES):
        return None
    return Place(name, version, created) if version >= 1 and created >= 0 else None
