"""``secretkit scan``: finds leaked keys in files, in what is staged, in history, in a stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from secretkit.cli.root import Command
from secretkit.scan.report import FORMATS

if TYPE_CHECKING:
    from secretkit.cli.session import Session

__all__ = ["command"]

_MODES: Final = ("staged", "history", "stdin")


@click.command("scan", cls=Command)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--staged", is_flag=True, help="Scan what is staged for the next commit.")
@click.option(
    "--history",
    is_flag=False,
    flag_value="",
    metavar="[RANGE]",
    help="Scan all history, or what RANGE brings: main..HEAD.",
)
@click.option("--stdin", is_flag=True, help="Scan standard input.")
@click.option("--path", "name", metavar="NAME", help="With --stdin: what to call it.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to report.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the report there, mode 0600.",
)
@click.option(
    "--confidence",
    type=click.Choice(("low", "medium", "high")),
    help="How sure a finding must be (default: medium).",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out paths, as in .gitignore; may be repeated.",
)
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Use these rules as well, ours or of gitleaks; may be repeated.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What is accepted (default: .secretkit-baseline at the top).",
)
@click.option("--accept", is_flag=True, help="Put what is found into the baseline.")
@click.option("--reason", metavar="TEXT", help="With --accept: why it may stay.")
@click.option(
    "--base",
    metavar="REV",
    help="For CI: the baseline as of REV counts, comments do not.",
)
@click.option("--no-accepted", is_flag=True, help="Report what is accepted as well.")
@click.pass_obj
def command(session: Session, /, **options: Any) -> int:  # noqa: ANN401 - click's signature
    """Find leaked keys in files (default: this directory).

    In a git work tree: what is tracked, and what is new and not ignored. Exit code: 0 nothing
    found, 1 findings, 2 usage, 3 nothing found, but not everything could be scanned.
    """
    _check(options)
    from secretkit.cli.scanning import Scanning  # noqa: PLC0415 - not for help

    return Scanning(session, options).run()


def _check(options: dict[str, Any]) -> None:
    """Refuse options that contradict each other."""
    history = options["history"]
    if history is not None and (history in {".", ".."} or history.startswith(("/", "./", "../"))):
        # No range looks so: it is a PATH that stands behind the option.
        options["paths"] = (Path(history), *options["paths"])
        options["history"] = ""
    modes = [f"--{mode}" for mode in _MODES if options[mode] not in {None, False}]
    if len(modes) > 1:
        raise click.UsageError(f"{' and '.join(modes)}: give one of them")
    if options["stdin"] and options["paths"]:
        raise click.UsageError("--stdin takes no PATH; --path NAME says what to call it")
    if options["name"] is not None and not options["stdin"]:
        raise click.UsageError("--path goes with --stdin")
    if modes and not options["stdin"] and len(options["paths"]) > 1:
        raise click.UsageError(f"{modes[0]} takes one PATH, the repository")
    _check_acceptance(options)
    missing = [path for path in options["paths"] if not os.path.lexists(path)]
    if missing:
        raise click.UsageError(f"there is no {missing[0]}")


def _check_acceptance(options: dict[str, Any]) -> None:
    if options["accept"] != bool(options["reason"]):
        raise click.UsageError("--accept and --reason TEXT go together")
    if options["accept"] and (options["base"] or options["no_accepted"]):
        raise click.UsageError("--accept adds to the baseline; --base and --no-accepted refuse it")
    if options["base"] and (options["baseline"] or options["no_accepted"]):
        raise click.UsageError("--base, --baseline and --no-accepted: give one of them")
