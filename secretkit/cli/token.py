"""``secretkit token`` as click sees it; the plain form takes the way through ``fast``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from secretkit.cli.get import confirm_shown
from secretkit.cli.handout import hand_out_token
from secretkit.cli.root import Command

if TYPE_CHECKING:
    from secretkit.cli.session import Session

__all__ = ["command"]


@click.command("token", cls=Command)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Show it on a terminal without asking.")
@click.pass_obj
def command(session: Session, name: str, *, yes: bool) -> None:
    """Print the leased secret of credential NAME and nothing else.

    As Claude Code's apiKeyHelper: "secretkit token claude".
    """
    confirm_shown(session, yes="yes" if yes else "ask")
    hand_out_token(session, name)
