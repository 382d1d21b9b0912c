"""``secretkit lease``: list, show, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from secretkit.cli.root import LazyGroup
from secretkit.cli.session import given_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.ports import LeaseRecord

__all__ = ["command"]


@click.group("lease", cls=LazyGroup)
def command() -> None:
    """Look at leases, or revoke one."""


@command.command("list")
@click.argument("name", required=False)
@click.pass_obj
def list_leases(session: Session, name: str | None) -> None:
    """List the leases that run now, oldest first; only those of credential NAME, if given."""
    name = None if name is None else given_name(name)
    now = session.now()
    found = session.toolkit.ledger().leases(now=now, name=name)
    session.rows(
        "leases",
        [_row(lease, now) for lease in found],
        columns=["id", "name", "generation", "state", "ttl_left", "holder"],
    )


@command.command("show")
@click.argument("lease_id", metavar="ID")
@click.pass_obj
def show(session: Session, lease_id: str) -> None:
    """Show one lease by its id or at least 6 characters of it."""
    _one(session, session.toolkit.ledger().lease(given_name(lease_id)))


@command.command("revoke")
@click.argument("lease_id", metavar="ID")
@click.pass_obj
def revoke(session: Session, lease_id: str) -> None:
    """Revoke one lease: its holder may not renew it, and drops it when it next looks."""
    lease_id = given_name(lease_id)
    record = session.toolkit.ledger().revoke(lease_id, at=session.now(), holder=session.holder)
    _one(session, record)


def _one(session: Session, record: LeaseRecord) -> None:
    row = _row(record, session.now())
    if session.json:
        session.rows("leases", [row], columns=[])
        return
    fields: list[Mapping[str, Cell]] = [{"field": k, "value": v} for k, v in row.items()]
    session.rows("fields", fields, columns=["field", "value"])


def _row(lease: LeaseRecord, now: datetime) -> Mapping[str, Cell]:
    state = "running"
    if lease.revoked:
        state = "revoked"  # listed until its end: its holder may not have looked yet
    elif lease.ended_at is not None or lease.expires_at <= now:
        state = "ended"
    return {
        "id": lease.id,
        "name": lease.name,
        "generation": lease.generation,
        "ref": lease.ref,
        "holder": lease.holder,
        "granted_at": lease.granted_at,
        "expires_at": lease.expires_at,
        "state": state,
        "ttl_left": None if state != "running" else lease.expires_at - now,
        "ended_at": lease.ended_at,
        "revoked": lease.revoked,
    }
