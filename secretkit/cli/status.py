"""``secretkit status``: what each credential is at, from the ledger. No store is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from secretkit.cli.root import Command
from secretkit.ports import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session

__all__ = ["command"]

_FAILED: Final = {Event.FETCH_FAILED, Event.FETCH_DENIED}
_SERVED: Final = {Event.LEASE_GRANTED, Event.LEASE_RENEWED}


@click.command("status", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """Show each credential's generation, its age, what is left of its longest lease, and errors.

    An error is shown until a later lease succeeds.
    """
    last = _last_errors(session)
    session.rows(
        "credentials",
        [_row(session, name, last.get(name, "")) for name in sorted(_names(session))],
        columns=["name", "generation", "age", "leases", "ttl_left", "last_error"],
    )


def _names(session: Session) -> list[str]:
    return list(session.toolkit.config.credentials)


def _row(session: Session, name: str, last_error: str) -> Mapping[str, Cell]:
    ledger, now = session.toolkit.ledger(), session.now()
    newest = next(iter(ledger.generations(name)), None)
    leases = ledger.leases(now=now, name=name)
    end = max((lease.expires_at for lease in leases), default=None)
    refused = newest is not None and newest.refused_until is not None
    return {
        "name": name,
        "kind": session.toolkit.config.credential(name).kind,
        "generation": newest.generation if newest else None,
        "ref": newest.ref if newest else None,
        "first_seen": newest.first_seen if newest else None,
        "age": now - newest.first_seen if newest else None,
        "refused_until": newest.refused_until if newest and refused else None,
        "leases": len(leases),
        "ttl_left": end - now if end else None,
        "last_error": last_error,
    }


def _last_errors(session: Session) -> dict[str, str]:
    """Give the name of each credential's last error that no lease has followed."""
    found: dict[str, str] = {}
    for entry in session.toolkit.ledger().audit():
        event = entry.event
        if event.event in _FAILED:
            found[event.name] = event.outcome
        elif event.event in _SERVED:
            found.pop(event.name, None)
    return found
