"""Schema: making a new ledger, bringing an old one up to date, refusing one that is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.errors import IntegrityError
from secretkit.ledger import statement
from secretkit.ledger.chain import GENESIS, Head
from secretkit.ledger.failure import lasting
from secretkit.ledger.statement import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.ledger.keys import Keys
    from secretkit.ledger.link import Run
    from secretkit.ledger.statement import Dialect

__all__ = ["check_keys", "create", "upgrade", "version"]

_LONGEST = 5


def create(run: Run, dialect: Dialect, *, keys: Keys) -> None:
    """Make tables, version and an empty sealed chain, inside the caller's transaction."""
    upgrade(run, dialect, start=0)
    put = dialect.sql(statement.PUT_META)
    run(put, "key_id", keys.id)
    run(put, "head", keys.write_head(Head(0, GENESIS)))


def upgrade(
    run: Run, dialect: Dialect, *, start: int, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> None:
    """Run the migrations after version ``start``, inside the caller's transaction."""
    for migration in migrations[start:]:
        for step in migration:
            run(dialect.ddl(step))
    run(dialect.sql(statement.PUT_META), "schema", str(len(migrations)))


def version(run: Run, dialect: Dialect) -> int:
    """Give the version of the stored schema, 0 where there is none yet.

    Raises:
        IntegrityError: if there are tables without a version.
        LedgerError: if a newer secretkit made them.
    """
    if not run(dialect.has_schema)[0][0]:
        return 0
    rows = run(dialect.sql(statement.META), "schema")
    text = str(rows[0][0]) if rows else ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else 0
    if number == 0:
        raise IntegrityError(
            "the ledger does not say which schema it has",
            hint="restore it from a backup, or move it away to begin a new one",
        )
    if number > len(MIGRATIONS):
        raise lasting(
            f"the ledger has schema {number}; this secretkit knows schemas up to {len(MIGRATIONS)}",
            hint="a newer secretkit made it: pip install --upgrade secretkit",
        )
    return number


def check_keys(run: Run, dialect: Dialect, *, keys: Keys, where: str) -> None:
    """Refuse keys that are not this ledger's.

    Raises:
        IntegrityError: naming ``where`` they came from.
    """
    rows = run(dialect.sql(statement.META), "key_id")
    if not rows or rows[0][0] != keys.id:
        raise IntegrityError(
            f"the keys in {where} belong to another ledger",
            hint="restore the ledger and its keys from the same backup",
        )
