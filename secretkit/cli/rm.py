"""``secretkit rm``: removes a secret and its versions."""

from __future__ import annotations

import sys

import click

from secretkit.cli.output import print_json
from secretkit.cli.root import Command
from secretkit.cli.session import Session, local_ref
from secretkit.errors import ConfigError
from secretkit.ports import Event, Writable

__all__ = ["command"]


@click.command("rm", cls=Command)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(session: Session, name: str, *, yes: bool) -> None:
    """Remove NAME from the local store, or what a reference names, with all its versions."""
    ref = local_ref(name)
    provider = session.toolkit.resolve(ref)
    if not isinstance(provider, Writable):
        raise ConfigError(
            f"the provider {ref.provider!r} cannot be written",
            hint="remove it there with its own tool",
        )
    if not yes and (
        not sys.stdin.isatty() or not click.confirm(f"Remove {ref} and all its versions?", err=True)
    ):
        raise click.UsageError("nothing was removed; --yes removes it without asking")
    session.audit(Event.SECRET_DELETED, name=ref.path, ref=str(ref))
    provider.delete(ref)
    if session.json:
        print_json({"ref": str(ref), "removed": True})
    else:
        session.say(f"removed {ref}")
