"""``secretkit audit``: tail, verify."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import click

from secretkit.cli import exits
from secretkit.cli.output import print_json
from secretkit.cli.root import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.ports import AuditEntry

__all__ = ["command"]


@click.group("audit", cls=LazyGroup)
def command() -> None:
    """Read the audit, or verify its chain."""


@command.command("tail")
@click.option("-n", "--lines", type=click.IntRange(1, 100_000), default=20, show_default=True)
@click.pass_obj
def tail(session: Session, *, lines: int) -> None:
    """Print the last entries, oldest first. The audit holds no value and no free text."""
    entries = deque(session.toolkit.ledger().audit(), maxlen=lines)
    session.rows(
        "entries",
        [_row(entry) for entry in entries],
        columns=["number", "at", "event", "name", "ref", "generation", "outcome", "holder"],
    )


@command.command("verify")
@click.option("--head", default="", metavar="DIGEST", help="A digest noted earlier must be in it.")
@click.pass_obj
def verify(session: Session, *, head: str) -> int:
    """Recompute the whole chain; exit 1 if an entry is not as it was written.

    Note the digest it prints somewhere else: only against that can a cut-off end be seen.
    """
    report = session.toolkit.ledger().verify(head=head)
    if session.json:
        print_json(
            {
                "intact": report.intact,
                "entries": report.entries,
                "head": report.head,
                "broken_at": report.broken_at,
                "reason": report.reason,
            }
        )
    else:
        row: Mapping[str, Cell] = (
            {"chain": "intact", "entries": report.entries, "head": report.head}
            if report.intact
            else {"chain": "broken", "broken_at": report.broken_at, "reason": report.reason}
        )
        session.rows("reports", [row], columns=list(row))
    return exits.OK if report.intact else exits.CHECK_FAILED


def _row(entry: AuditEntry) -> Mapping[str, Cell]:
    event = entry.event
    return {
        "number": entry.number,
        "at": event.at,
        "event": str(event.event),
        "name": event.name,
        "ref": event.ref,
        "generation": event.generation or None,
        "lease_id": event.lease_id,
        "outcome": event.outcome,
        "holder": event.holder,
        "digest": entry.digest,
    }
