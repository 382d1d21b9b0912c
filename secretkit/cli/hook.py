"""``secretkit hook``: install, run, selftest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from secretkit.cli import exits
from secretkit.cli.root import LazyGroup
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.cli.session import Session
    from secretkit.scan.hook.framework import Framework
    from secretkit.scan.hook.install import Place
    from secretkit.scan.hook.stage import Custom

__all__ = ["command"]

_STAGES = ("pre-commit", "pre-push", "pre-receive", "update")


@click.group("hook", cls=LazyGroup)
def command() -> None:
    """Stop commits and pushes that bring leaked keys."""


@command.command("install")
@click.option("--global", "everywhere", is_flag=True, help="For every repository of this user.")
@click.option("--pre-push", is_flag=True, help="Scan what is pushed as well.")
@click.option("--plain", is_flag=True, help="Install beside pre-commit, lefthook or husky.")
@click.option("--write", is_flag=True, help="Write the lines into their configuration.")
@click.option("--undo", is_flag=True, help="Take it out, and put back what was there before.")
@click.pass_obj
def install(session: Session, /, **asked: bool) -> int:
    """Have git scan what is staged before each commit.

    A hook that is there already runs first. Where pre-commit, prek, lefthook or husky manages the
    hooks, the lines for their configuration are printed instead, or written with --write.
    """
    from secretkit.scan.hook import install as installing  # noqa: PLC0415 - not for help
    from secretkit.scan.hook.framework import frameworks  # noqa: PLC0415 - not for help

    if asked["everywhere"]:
        place = installing.global_place(environ=session.environ)
    else:
        place = installing.repository_place(session.cwd, environ=session.environ)
    if asked["undo"]:
        paths = installing.uninstall(place)
        for path in paths:
            session.say(f"{path}: as it was before")
        if not paths:
            session.say(f"{place.folder}: there is no hook of ours")
        return exits.OK
    found = [] if asked["everywhere"] or asked["plain"] else frameworks(place.top)
    if found:
        return _managed(session, found, asked)
    _refuse_shared(place)
    hooks = ("pre-commit", "pre-push") if asked["pre_push"] else ("pre-commit",)
    for path in installing.install(place, hooks=hooks):
        session.say(f"{path}: installed")
    session.say("hint: secretkit hook selftest proves that it works")
    return exits.OK


def _managed(session: Session, found: Sequence[Framework], asked: dict[str, bool]) -> int:
    """Write or print the lines for the tools that manage the hooks here."""
    from secretkit.scan.hook.framework import write  # noqa: PLC0415 - only with such a tool

    missing = [one for one in found if not one.present]
    for one in found:
        if one not in missing:
            session.say(f"{one.file}: runs secretkit already")
        elif asked["write"]:
            write(one)
            session.say(f"{one.file}: written")
        else:
            session.say(f"{one.name} manages the hooks here; put this into {one.file}:")
            click.echo(one.lines, nl=False)
    if missing and not asked["write"]:
        session.say("hint: --write does it; --plain installs beside it")
        return exits.CHECK_FAILED
    return exits.OK


def _refuse_shared(place: Place) -> None:
    if place.shared:
        raise ConfigError(
            f"{place.folder} is part of the work tree, and others share what is in it",
            hint="put this line into its pre-commit: secretkit hook run",
        )


@command.command("run")
@click.option("--stage", type=click.Choice(_STAGES), default="pre-commit", show_default=True)
@click.option("--git", "program", default="", hidden=True)
@click.argument("words", nargs=-1, metavar="[FILE]...")
@click.pass_obj
def run(session: Session, *, stage: str, program: str, words: tuple[str, ...]) -> int:
    """Scan what is staged or pushed: git calls this.

    Exit code: 0 clean, 1 leaked keys, 2 usage, 3 not scanned in full. With FILEs, only those are
    looked at: as they are staged, or as they stand in the work tree if they are not.
    """
    from secretkit.scan.hook.stage import main  # noqa: PLC0415 - not for help

    try:
        custom = _custom(session)
    except ConfigError:
        session.say("this is stopped: it was not scanned, because of the configuration")
        raise
    return main(stage, words, program=program, environ=session.environ, custom=custom)


def _custom(session: Session) -> Custom:
    """Give what the configuration in force says of scans, and the secrets that were handed out."""
    from secretkit.cli.live import known_secrets  # noqa: PLC0415 - not for help
    from secretkit.cli.table import ScanTable  # noqa: PLC0415 - not for help
    from secretkit.scan.hook.stage import Custom  # noqa: PLC0415 - not for help
    from secretkit.scan.run import excluding  # noqa: PLC0415 - not for help

    table = ScanTable(session.toolkit.config)
    return Custom(
        own_rules=table.rules(say=session.say),
        live=known_secrets(session),
        confidence=table.confidence(None),
        excluded=excluding(table.listed("exclude")),
    )


@command.command("selftest")
@click.pass_obj
def selftest(session: Session) -> int:
    """Prove that the hook stops a key.

    In a repository made for that; then it looks at the hook of the one around.
    """
    from secretkit.scan.hook import selftest as testing  # noqa: PLC0415 - not for help

    wrong = 0
    for check in testing.selftest(session.cwd, environ=session.environ):
        wrong += bool(check.wrong)
        session.say(f"{'FAILED' if check.wrong else 'ok'}: {check.what}")
        if check.wrong:
            session.say(f"  {check.wrong}")
    if wrong:
        session.say("hint: secretkit hook install")
    return exits.CHECK_FAILED if wrong else exits.OK
