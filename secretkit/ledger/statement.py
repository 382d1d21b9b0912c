"""Every statement the ledger runs, written once for SQLite and PostgreSQL.

Parameters are ``?``; what differs between the two databases is data in :class:`Dialect`. Plain
SQL, no ORM: docs/decisions/0002-ledger-without-sqlalchemy.md says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

__all__ = ["MIGRATIONS", "Dialect"]


@record(kw_only=True)
class Dialect:
    """What differs between the databases. ``put`` and ``take`` carry instants in and out."""

    mark: str
    types: Mapping[str, str]
    has_schema: str
    put: Callable[[datetime], object]
    take: Callable[[object], datetime]

    def sql(self, statement: str) -> str:
        """Give the statement with this database's parameter mark."""
        return statement.replace("?", self.mark)

    def ddl(self, statement: str) -> str:
        """Give a schema statement with this database's types."""
        return statement.format_map(self.types)


MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE secretkit_meta (name TEXT PRIMARY KEY, content TEXT NOT NULL)",
        """CREATE TABLE secretkit_generation (
            name TEXT NOT NULL,
            generation {integer} NOT NULL,
            fingerprint TEXT NOT NULL,
            ref TEXT NOT NULL,
            first_seen {instant} NOT NULL,
            PRIMARY KEY (name, generation))""",
        """CREATE TABLE secretkit_refusal (
            name TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            refused_until {instant} NOT NULL,
            PRIMARY KEY (name, fingerprint))""",
        """CREATE TABLE secretkit_lease (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            holder TEXT NOT NULL,
            ref TEXT NOT NULL,
            generation {integer} NOT NULL,
            granted_at {instant} NOT NULL,
            expires_at {instant} NOT NULL,
            ended_at {instant},
            revoked {integer} NOT NULL DEFAULT 0,
            FOREIGN KEY (name, generation) REFERENCES secretkit_generation (name, generation))""",
        """CREATE INDEX secretkit_lease_running ON secretkit_lease (expires_at)
            WHERE ended_at IS NULL""",
        """CREATE INDEX secretkit_lease_revoked ON secretkit_lease (holder)
            WHERE revoked = 1 AND ended_at IS NULL""",
        """CREATE TABLE secretkit_call (
            source TEXT NOT NULL,
            starts {instant} NOT NULL,
            ends {instant} NOT NULL,
            kept_until {instant} NOT NULL,
            calls {integer} NOT NULL,
            PRIMARY KEY (source, starts, ends))""",
        """CREATE TABLE secretkit_audit (
            number {integer} PRIMARY KEY,
            event TEXT NOT NULL,
            at {instant} NOT NULL,
            holder TEXT NOT NULL,
            name TEXT NOT NULL,
            ref TEXT NOT NULL,
            generation {integer} NOT NULL,
            lease_id TEXT NOT NULL,
            outcome TEXT NOT NULL,
            digest TEXT NOT NULL)""",
    ),
)
"""Migration n takes the schema from version n - 1 to n. Never edit one that was released."""

META: Final = "SELECT content FROM secretkit_meta WHERE name = ?"
PUT_META: Final = (
    "INSERT INTO secretkit_meta (name, content) VALUES (?, ?) "
    "ON CONFLICT (name) DO UPDATE SET content = excluded.content"
)

NEWEST_GENERATION: Final = (
    "SELECT generation, fingerprint FROM secretkit_generation WHERE name = ? "
    "ORDER BY generation DESC LIMIT 1"
)
ADD_GENERATION: Final = (
    "INSERT INTO secretkit_generation (name, generation, fingerprint, ref, first_seen) "
    "VALUES (?, ?, ?, ?, ?)"
)
GENERATIONS: Final = (
    "SELECT g.name, g.generation, g.fingerprint, g.ref, g.first_seen, r.refused_until "
    "FROM secretkit_generation g LEFT JOIN secretkit_refusal r "
    "ON r.name = g.name AND r.fingerprint = g.fingerprint "
    "WHERE g.name = ? ORDER BY g.generation DESC"
)
REFUSE: Final = (
    "INSERT INTO secretkit_refusal (name, fingerprint, refused_until) VALUES (?, ?, ?) "
    "ON CONFLICT (name, fingerprint) DO UPDATE SET refused_until = excluded.refused_until"
)
REFUSED: Final = "SELECT fingerprint FROM secretkit_refusal WHERE name = ? AND refused_until > ?"

_LEASE: Final = (
    "SELECT id, name, holder, ref, generation, granted_at, expires_at, ended_at, revoked "
    "FROM secretkit_lease "
)
LEASE: Final = _LEASE + "WHERE id = ?"
LEASES_BY_PREFIX: Final = _LEASE + "WHERE substr(id, 1, ?) = ? LIMIT 2"
LEASES: Final = _LEASE + "WHERE ended_at IS NULL AND expires_at > ? ORDER BY granted_at, id"
LEASES_OF: Final = (
    _LEASE + "WHERE ended_at IS NULL AND expires_at > ? AND name = ? ORDER BY granted_at, id"
)
ADD_LEASE: Final = (
    "INSERT INTO secretkit_lease "
    "(id, name, holder, ref, generation, granted_at, expires_at, ended_at, revoked) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, NULL, 0)"
)
EXTEND_LEASE: Final = (
    "UPDATE secretkit_lease SET ref = ?, generation = ?, expires_at = ? WHERE id = ?"
)
END_LEASE: Final = "UPDATE secretkit_lease SET ended_at = ? WHERE id = ?"
REVOKE_LEASE: Final = "UPDATE secretkit_lease SET revoked = 1 WHERE id = ?"
REVOKED: Final = (
    "SELECT id FROM secretkit_lease WHERE holder = ? AND revoked = 1 AND ended_at IS NULL"
)

COUNT_CALL: Final = (
    "INSERT INTO secretkit_call (source, starts, ends, kept_until, calls) VALUES (?, ?, ?, ?, 1) "
    "ON CONFLICT (source, starts, ends) DO UPDATE SET calls = secretkit_call.calls + 1"
)
CALLS: Final = (
    "SELECT ends, calls FROM secretkit_call "
    "WHERE source = ? AND ends > ? AND starts < ? ORDER BY ends"
)
FORGET_CALLS: Final = "DELETE FROM secretkit_call WHERE source = ? AND kept_until <= ?"

ADD_ENTRY: Final = (
    "INSERT INTO secretkit_audit "
    "(number, event, at, holder, name, ref, generation, lease_id, outcome, digest) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ENTRIES: Final = (
    "SELECT number, event, at, holder, name, ref, generation, lease_id, outcome, digest "
    "FROM secretkit_audit WHERE number > ? ORDER BY number LIMIT ?"
)
