"""The audit inside the ledger: appending in the caller's transaction, paging, verifying."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secretkit.errors import ConfigError, IntegrityError
from secretkit.ledger import statement
from secretkit.ledger.chain import GENESIS, Head
from secretkit.ledger.link import Mode
from secretkit.ports import AuditEntry, AuditEvent, AuditReport, Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretkit.ledger.link import Link, Transaction

__all__ = ["append", "entries", "verify"]

_PAGE: Final = 500
_LOWEST: Final = -(2**63)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def append(transaction: Transaction, *events: AuditEvent) -> None:
    """Add events at the end of the chain, in a transaction that is its only writer.

    Raises:
        IntegrityError: if the sealed head is not what was written.
    """
    run, dialect, keys = transaction.run, transaction.dialect, transaction.keys
    head = _head(transaction)
    for event in events:
        number = head.entries + 1
        digest = keys.digest(previous=head.digest, number=number, event=event)
        run(
            dialect.sql(statement.ADD_ENTRY),
            number,
            event.event.value,
            dialect.put(event.at),
            event.holder,
            event.name,
            event.ref,
            event.generation,
            event.lease_id,
            event.outcome,
            digest,
        )
        head = Head(number, digest)
    run(dialect.sql(statement.PUT_META), "head", keys.write_head(head))


def _head(transaction: Transaction) -> Head:
    return transaction.keys.read_head(_head_text(transaction))


def _head_text(transaction: Transaction) -> object:
    rows = transaction.run(transaction.dialect.sql(statement.META), "head")
    return rows[0][0] if rows else ""


def entries(link: Link, *, after: int) -> Iterator[AuditEntry]:
    """Give the entries above ``after`` in order, a page at a time, so others can write meanwhile.

    Raises:
        IntegrityError: at a row that cannot be an entry, or where some are missing. Whether each
            is as it was written, :func:`verify` tells.
    """
    while True:
        rows, text = _page(link, after=after)
        for row in rows:
            entry = _entry(link, row)
            after += 1
            if entry.number != after:
                raise _missing(after)
            yield entry
        if len(rows) < _PAGE:
            if after < link.keys().read_head(text).entries:
                raise _missing(after + 1)
            return


def _missing(number: int) -> IntegrityError:
    return IntegrityError(
        f"audit entry {number} is missing",
        hint="keep a copy of the ledger as it is, then run: secretkit audit verify",
    )


class _Page(NamedTuple):
    rows: Sequence[tuple[Any, ...]]
    head: object


def _page(link: Link, *, after: int) -> _Page:
    def read(transaction: Transaction) -> _Page:
        sql = transaction.dialect.sql(statement.ENTRIES)
        return _Page(transaction.run(sql, after, _PAGE), _head_text(transaction))

    return link.transact(Mode.READ, read)


def _entry(link: Link, row: tuple[Any, ...]) -> AuditEntry:
    number, event, at, holder, name, ref, generation, lease_id, outcome, digest = row
    try:
        if type(number) is not int or type(generation) is not int:
            raise TypeError("a number is a whole one")  # noqa: TRY301 - one way out for a bad row
        for text in (holder, name, ref, lease_id, outcome, digest):
            text.encode()
        fact = AuditEvent(
            event=Event(event),
            at=link.dialect.take(at),
            holder=holder,
            name=name,
            ref=ref,
            generation=generation,
            lease_id=lease_id,
            outcome=outcome,
        )
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise IntegrityError(
            f"audit entry {number!r} cannot have been written by secretkit"[:99],
            hint="keep a copy of the ledger as it is, then run: secretkit audit verify",
        ) from None
    return AuditEntry(number=number, event=fact, digest=digest)


def verify(link: Link, *, head: str) -> AuditReport:
    """Recompute every digest, in constant memory; entries may be added meanwhile.

    Raises:
        ConfigError: if ``head`` is not a digest at all.
    """
    if head and not _DIGEST.fullmatch(head):
        raise ConfigError(
            "a head is the 64 hex digits of an earlier report",
            hint="take it from: secretkit audit verify",
        )
    walk = _Walk(link, wanted=head)
    after = _LOWEST
    while True:
        rows, sealed = _page(link, after=after)
        for row in rows:
            problem = walk.step(row)
            if problem:
                return walk.report(problem)
        if len(rows) < _PAGE:
            return walk.report(walk.finish(sealed))
        after = rows[-1][0]


class _Walk:
    """One pass over the chain: the last good place, and whether the wanted head was seen."""

    def __init__(self, link: Link, *, wanted: str) -> None:
        self._link = link
        self._keys = link.keys()
        self._at = Head(0, GENESIS)
        self._wanted = wanted

    def step(self, row: tuple[Any, ...]) -> str:
        """Check the next row; give what is wrong with it, or an empty string."""
        number = self._at.entries + 1
        if row[0] != number:
            return "an entry is missing here, or one was put in"
        try:
            entry = _entry(self._link, row)
        except IntegrityError:
            return "this entry cannot have been written by secretkit"
        due = self._keys.digest(previous=self._at.digest, number=number, event=entry.event)
        if due != entry.digest:
            return "this entry was changed, put in, or moved"
        self._at = Head(number, due)
        if due == self._wanted:
            self._wanted = ""
        return ""

    def finish(self, text: object) -> str:
        """Compare the end with the sealed head that was read in the same snapshot."""
        try:
            sealed = self._keys.read_head(text)
        except IntegrityError:
            return "the sealed head after this place was changed"
        if sealed != self._at:
            return "entries are missing at the end, or were put back to an earlier day"
        if self._wanted:
            return "the head noted earlier is not in this chain: it was put back or replaced"
        return ""

    def report(self, problem: str) -> AuditReport:
        """Give what was found up to here."""
        return AuditReport(
            entries=self._at.entries,
            head=self._at.digest if self._at.entries else "",
            broken_at=self._at.entries + 1 if problem else None,
            reason=problem,
        )
