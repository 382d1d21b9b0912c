"""``secretkit config``: show, path, trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from secretkit.cli.output import print_json
from secretkit.cli.root import LazyGroup
from secretkit.config.load import project_file, user_file
from secretkit.config.place import state_dir
from secretkit.config.show import settings
from secretkit.config.trust import trust
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from secretkit.cli.session import Session

__all__ = ["command"]


@click.group("config", cls=LazyGroup)
def command() -> None:
    """Show, locate or trust a configuration."""


@command.command("show")
@click.option("--origin", is_flag=True, help="Say where each value came from.")
@click.pass_obj
def show(session: Session, *, origin: bool) -> None:
    """Print every value in force."""
    columns = ["key_path", "value", *(["origin"] if origin else [])]
    session.rows(
        "settings",
        [
            {"key_path": one.key_path, "value": one.value, "origin": str(one.origin)}
            for one in settings(session.config())
        ],
        columns=columns,
    )


@command.command("path")
@click.pass_obj
def path(session: Session) -> None:
    """Print the file in force, or where yours would be."""
    config = session.config()
    file = config.file or user_file(session.environ)
    if session.json:
        print_json({"path": str(file), "exists": config.file is not None})
        return
    click.echo(str(file))
    if config.file is None:
        session.say("there is no such file yet; secretkit init writes it")


@command.command("trust")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def trust_file(session: Session, file: Path | None) -> None:
    """Trust the project's configuration as it stands now; read it first.

    FILE defaults to secretkit.toml, or pyproject.toml, in the current directory. A later change
    ends the trust.
    """
    chosen = session.cwd / file if file else project_file(session.cwd)
    if chosen is None:
        raise ConfigError(
            f"there is neither secretkit.toml nor pyproject.toml in {session.cwd}",
            hint="secretkit config trust FILE",
        )
    noted = trust(chosen, state_dir=state_dir(session.environ))
    if session.json:
        print_json({"path": str(chosen.absolute()), "sha256": noted})
    else:
        session.say(f"trusted {chosen.absolute()} as it stands now (SHA-256 {noted[:12]}…)")
