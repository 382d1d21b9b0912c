"""``secretkit version``."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import click

import secretkit
from secretkit.cli.output import print_json
from secretkit.cli.root import Command

if TYPE_CHECKING:
    from secretkit.cli.session import Session

__all__ = ["command"]


@click.command("version", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """Print the versions of secretkit and of Python."""
    if session.json:
        print_json(
            {
                "secretkit": secretkit.__version__,
                "python": platform.python_version(),
                "system": platform.system(),
            }
        )
    else:
        click.echo(f"secretkit {secretkit.__version__} (Python {platform.python_version()})")
