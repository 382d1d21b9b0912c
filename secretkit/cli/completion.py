"""``secretkit completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from secretkit.cli.root import Command, root

__all__ = ["command"]


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a completion script for SHELL.

    bash: secretkit completion bash > ~/.local/share/bash-completion/completions/secretkit
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    click.echo(found(root, {}, "secretkit", "_SECRETKIT_COMPLETE").source())
