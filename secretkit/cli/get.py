"""``secretkit get``: prints one secret."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from secretkit.cli.handout import leased, write_json_secret
from secretkit.cli.output import is_terminal, write_secret
from secretkit.cli.root import Command
from secretkit.cli.session import given_ref
from secretkit.ports import Event

if TYPE_CHECKING:
    from secretkit.cli.session import Session

__all__ = ["command", "confirm_shown"]


@click.command("get", cls=Command)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Show it on a terminal without asking.")
@click.pass_obj
def command(session: Session, name: str, *, yes: bool) -> None:
    """Print the secret of a credential in the configuration, or of a reference.

    In a pipe exactly the value is printed, without a line break.
    """
    confirm_shown(session, yes="yes" if yes else "ask")
    if ":" not in name:
        lease = leased(session, name)
        if session.json:
            write_json_secret(
                "value",
                lease.credential.secret,
                name=name,
                ref=lease.ref,
                generation=lease.generation,
                expires_at=lease.expires_at,
            )
        else:
            write_secret(lease.credential.secret)
        return
    ref = given_ref(name)
    session.toolkit.resolve(ref)  # first: a password such as root:… must not enter the audit
    session.audit(Event.SECRET_READ, ref=str(ref))
    fetched = session.toolkit.fetch(ref, timeout=session.fetch_timeout)
    if session.json:
        write_json_secret(
            "value",
            fetched.secret,
            name=str(ref),
            ref=str(ref),
            version=fetched.version,
            expires_at=fetched.expires_at,
        )
    else:
        write_secret(fetched.secret)


def confirm_shown(session: Session, *, yes: str) -> None:
    """Ask before a secret appears on a screen; JSON with a value is for pipes only.

    Raises:
        UsageError: if it must not be shown.
    """
    if not is_terminal():
        return
    if session.json:
        raise click.UsageError("--json with a value is for a pipe, not for a terminal")
    if yes == "yes":
        return
    if not sys.stdin.isatty() or not click.confirm("Show the value on this screen?", err=True):
        raise click.UsageError("nothing was shown; --yes shows it, or send it into a pipe")
