"""Counting calls to a source in a sliding window, in rows that stay few.

A call falls into a bucket of a 60th of the window. A bucket counts until its end has left the
window, so the count is never too low and at most a 60th of the window late.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.errors import GrantError, IntegrityError
from secretkit.ledger import statement
from secretkit.ledger.chain import EPOCH, check_instant, check_text
from secretkit.ledger.failure import lasting

if TYPE_CHECKING:
    from datetime import datetime

    from secretkit.ledger.link import Transaction

__all__ = ["check", "count", "total"]

_BUCKETS: Final = 60
_TICK: Final = timedelta(microseconds=1)
_LONGEST: Final = timedelta(days=366)


def check(source: str, *, now: datetime, per: timedelta) -> None:
    """Refuse what cannot be counted; raises LedgerError."""
    check_text(source, what="source of a call")
    check_instant(now, what="instant of a call")
    if not timedelta() < per <= _LONGEST:
        raise lasting(
            "calls are counted per a time above 0 and up to a year", hint="set leases.per"
        )


def count(
    transaction: Transaction, source: str, *, now: datetime, limit: int, per: timedelta
) -> None:
    """Count one call, in a transaction that is the only one counting.

    Raises:
        GrantError: if the window is full; says when the next call is possible.
    """
    run, dialect = transaction.run, transaction.dialect
    rows = _window(transaction, source, now=now, per=per)
    over = sum(calls for _, calls in rows) - limit + 1
    if over > 0:
        raise _refusal(rows, source=source, now=now, limit=limit, per=per)
    width = -(-per // _BUCKETS) if per > _BUCKETS * _TICK else _TICK
    starts = EPOCH + (now - EPOCH) // width * width
    ends = starts + width
    put = dialect.put
    run(dialect.sql(statement.FORGET_CALLS), source, put(now))
    run(dialect.sql(statement.COUNT_CALL), source, put(starts), put(ends), put(ends + 2 * per))


def total(transaction: Transaction, source: str, *, now: datetime, per: timedelta) -> int:
    """Give the calls in the window that ends at ``now``."""
    return sum(calls for _, calls in _window(transaction, source, now=now, per=per))


def _window(
    transaction: Transaction, source: str, *, now: datetime, per: timedelta
) -> list[tuple[datetime, int]]:
    """Give the buckets that count at ``now``: end and calls, oldest first.

    Buckets up to ``per`` ahead count too: they are of processes whose clock is ahead, or of before
    ours was set back. Further ahead they cannot be in one window with ``now``.
    """
    dialect = transaction.dialect
    rows = transaction.run(
        dialect.sql(statement.CALLS), source, dialect.put(now - per), dialect.put(now + per)
    )
    try:
        return [(dialect.take(ends), int(calls)) for ends, calls in rows]
    except (ValueError, TypeError, OverflowError):
        raise IntegrityError(
            "a counted call is not as it was written", hint="restore the ledger from a backup"
        ) from None


def _refusal(
    rows: list[tuple[datetime, int]], *, source: str, now: datetime, limit: int, per: timedelta
) -> GrantError:
    over = sum(calls for _, calls in rows) - limit + 1
    free_at = now + per
    for ends, calls in rows:
        over -= calls
        if over <= 0:
            free_at = ends + per
            break
    wait = max(_TICK, free_at - now)
    return GrantError(
        f"{source}: all {limit} calls in {per} are used; the next is possible in {wait}",
        hint="find what asks so often (a crash loop?), or raise leases.calls in the configuration",
        retry_after=wait,
    )
