"""Leases and generations inside the ledger: each function is the work of one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import replace
from secretkit.errors import GrantError, IntegrityError, SecretNotFoundError
from secretkit.ledger import audit, statement
from secretkit.ledger.chain import check_instant, check_text
from secretkit.ledger.failure import lasting
from secretkit.ports import AuditEvent, Event, GenerationRecord, LeaseRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from secretkit.ledger.link import Transaction
    from secretkit.ledger.statement import Dialect
    from secretkit.ports import Issuance

__all__ = [
    "check_issuance",
    "end",
    "find",
    "generations",
    "issue",
    "refuse",
    "refused",
    "revoke",
    "revoked",
    "running",
]

_SHORTEST_PREFIX: Final = 6


def check_issuance(grant: Issuance) -> None:
    """Refuse a grant that could not be written down; raises LedgerError."""
    for field in ("lease_id", "name", "holder", "ref", "fingerprint"):
        check_text(getattr(grant, field), what=f"{field} of a lease")
        if not getattr(grant, field):
            raise lasting(f"the {field} of a lease is empty", hint="pass one")
    check_instant(grant.granted_at, what="start of a lease")
    check_instant(grant.expires_at, what="end of a lease")


def issue(transaction: Transaction, grant: Issuance) -> int:
    """Write a lease, its generation and its audit entries; give the generation.

    Raises:
        GrantError: if the lease to renew was revoked, given back, or is not this holder's.
    """
    known = _exact(transaction, grant.lease_id)
    if grant.renews:
        _check_renewal(known, grant)
    newest = _newest(transaction, grant.name)
    is_new = newest[1] != grant.fingerprint
    generation = newest[0] + 1 if is_new else newest[0]
    if known is not None and not grant.renews:
        if not is_new and _same(known, grant, generation):
            return generation  # the caller did not hear our first answer and asks again
        raise lasting(f"lease {grant.lease_id} exists already", hint="give each lease a new id")
    _write(transaction, grant, generation=generation, is_new=is_new)
    return generation


def _check_renewal(known: LeaseRecord | None, grant: Issuance) -> None:
    if known is None:
        problem = "is not on record"
    elif known.revoked:
        problem = "was revoked"
    elif known.ended_at is not None:
        problem = "was given back"
    elif (known.name, known.holder) != (grant.name, grant.holder):
        problem = "is for another holder or name"
    else:
        return
    raise GrantError(
        f"lease {grant.lease_id} cannot be renewed: it {problem}",
        hint="drop it and lease again; secretkit lease show tells its history",
    )


def _same(known: LeaseRecord, grant: Issuance, generation: int) -> bool:
    return known == LeaseRecord(
        id=grant.lease_id,
        name=grant.name,
        holder=grant.holder,
        ref=grant.ref,
        generation=generation,
        granted_at=grant.granted_at,
        expires_at=grant.expires_at,
    )


def _write(transaction: Transaction, grant: Issuance, *, generation: int, is_new: bool) -> None:
    run, dialect = transaction.run, transaction.dialect
    granted, expires = dialect.put(grant.granted_at), dialect.put(grant.expires_at)
    first = Event.LEASE_RENEWED if grant.renews else Event.LEASE_GRANTED
    events = [_event(first, grant, generation=generation)]
    if is_new:
        sql = dialect.sql(statement.ADD_GENERATION)
        run(sql, grant.name, generation, grant.fingerprint, grant.ref, granted)
        events.insert(0, _event(Event.GENERATION_NEW, grant, generation=generation))
    if grant.renews:
        sql = dialect.sql(statement.EXTEND_LEASE)
        run(sql, grant.ref, generation, expires, grant.lease_id)
    else:
        sql = dialect.sql(statement.ADD_LEASE)
        who = (grant.lease_id, grant.name, grant.holder, grant.ref)
        run(sql, *who, generation, granted, expires)
    audit.append(transaction, *events)


def end(transaction: Transaction, lease_id: str, *, at: datetime) -> None:
    """Mark a lease as given back, once; raises SecretNotFoundError."""
    known = _exact(transaction, lease_id)
    if known is None:
        raise _missing()
    if known.ended_at is not None:
        return
    dialect = transaction.dialect
    transaction.run(dialect.sql(statement.END_LEASE), dialect.put(at), lease_id)
    audit.append(transaction, _about(known, Event.LEASE_ENDED, at=at, holder=known.holder))


def revoke(transaction: Transaction, lease_id: str, *, at: datetime, holder: str) -> LeaseRecord:
    """Mark a running lease as revoked, once, and give it as it is then."""
    known = find(transaction, lease_id)
    if known.ended_at is not None or known.revoked:
        return known
    transaction.run(transaction.dialect.sql(statement.REVOKE_LEASE), known.id)
    audit.append(transaction, _about(known, Event.LEASE_REVOKED, at=at, holder=holder))
    return replace(known, revoked=True)


def find(transaction: Transaction, lease_id: str) -> LeaseRecord:
    """Give a lease by id or unique prefix; raises SecretNotFoundError."""
    if not lease_id.isprintable():
        raise _missing()
    known = _exact(transaction, lease_id)
    if known is not None:
        return known
    if len(lease_id) < _SHORTEST_PREFIX:
        raise SecretNotFoundError(
            "there is no such lease",
            hint=f"give its id, or the first {_SHORTEST_PREFIX} characters or more of it",
        )
    dialect = transaction.dialect
    sql = dialect.sql(statement.LEASES_BY_PREFIX)
    rows = transaction.run(sql, len(lease_id), lease_id)
    if not rows:
        raise _missing()
    if len(rows) > 1:
        raise SecretNotFoundError(
            f"more than one lease begins with {lease_id}",
            hint="it is ambiguous: give more characters; secretkit lease list shows the ids",
        )
    return _record(dialect, rows[0])


def running(
    transaction: Transaction, *, now: datetime, name: str | None
) -> tuple[LeaseRecord, ...]:
    """Give the leases that neither ended nor expired, oldest first."""
    dialect = transaction.dialect
    instant = dialect.put(now)
    if name is None:
        rows = transaction.run(dialect.sql(statement.LEASES), instant)
    else:
        rows = transaction.run(dialect.sql(statement.LEASES_OF), instant, name)
    return tuple(_record(dialect, row) for row in rows)


def generations(transaction: Transaction, name: str) -> tuple[GenerationRecord, ...]:
    """Give the generations of a name, newest first."""
    dialect = transaction.dialect
    rows = transaction.run(dialect.sql(statement.GENERATIONS), name)
    try:
        return tuple(
            GenerationRecord(
                name=row[0],
                generation=row[1],
                fingerprint=row[2],
                ref=row[3],
                first_seen=dialect.take(row[4]),
                refused_until=None if row[5] is None else dialect.take(row[5]),
            )
            for row in rows
        )
    except (ValueError, TypeError, OverflowError):
        raise _damaged() from None


def revoked(transaction: Transaction, holder: str) -> frozenset[str]:
    """Give the ids of this holder's revoked leases that were not given back."""
    rows = transaction.run(transaction.dialect.sql(statement.REVOKED), holder)
    return frozenset(row[0] for row in rows)


def refuse(
    transaction: Transaction, name: str, *, fingerprint: str, until: datetime, event: AuditEvent
) -> None:
    """Remember until when a secret is refused, with ``event``."""
    dialect = transaction.dialect
    transaction.run(dialect.sql(statement.REFUSE), name, fingerprint, dialect.put(until))
    audit.append(transaction, event)


def refused(transaction: Transaction, name: str, *, now: datetime) -> frozenset[str]:
    """Give the fingerprints of ``name`` that are refused at ``now``."""
    dialect = transaction.dialect
    rows = transaction.run(dialect.sql(statement.REFUSED), name, dialect.put(now))
    return frozenset(row[0] for row in rows)


def _newest(transaction: Transaction, name: str) -> tuple[int, str]:
    sql = transaction.dialect.sql(statement.NEWEST_GENERATION)
    rows = transaction.run(sql, name)
    if not rows:
        return 0, ""
    number, fingerprint = rows[0]
    if type(number) is not int:
        raise _damaged()
    return number, str(fingerprint)


def _exact(transaction: Transaction, lease_id: str) -> LeaseRecord | None:
    dialect = transaction.dialect
    rows = transaction.run(dialect.sql(statement.LEASE), lease_id)
    return _record(dialect, rows[0]) if rows else None


def _record(dialect: Dialect, row: Sequence[Any]) -> LeaseRecord:
    try:
        return LeaseRecord(
            id=row[0],
            name=row[1],
            holder=row[2],
            ref=row[3],
            generation=row[4],
            granted_at=dialect.take(row[5]),
            expires_at=dialect.take(row[6]),
            ended_at=None if row[7] is None else dialect.take(row[7]),
            revoked=row[8] != 0,
        )
    except (ValueError, TypeError, OverflowError):
        raise _damaged() from None


def _event(event: Event, grant: Issuance, *, generation: int) -> AuditEvent:
    return AuditEvent(
        event=event,
        at=grant.granted_at,
        holder=grant.holder,
        name=grant.name,
        ref=grant.ref,
        generation=generation,
        lease_id=grant.lease_id,
    )


def _about(lease: LeaseRecord, event: Event, *, at: datetime, holder: str) -> AuditEvent:
    return AuditEvent(
        event=event,
        at=at,
        holder=holder,
        name=lease.name,
        ref=lease.ref,
        generation=lease.generation,
        lease_id=lease.id,
    )


def _missing() -> SecretNotFoundError:
    return SecretNotFoundError(
        "there is no such lease", hint="secretkit lease list shows the running ones"
    )


def _damaged() -> IntegrityError:
    return IntegrityError(
        "a row of the ledger is not as it was written",
        hint="keep a copy of the ledger as it is, then restore it from a backup",
    )
