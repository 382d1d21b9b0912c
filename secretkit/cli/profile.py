"""``secretkit federation profile``: a token where Claude's SDKs and tools look for one."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from secretkit.cli.output import cell, print_json, prose
from secretkit.cli.root import Command
from secretkit.cli.session import given_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretkit.claude.profile import Profile
    from secretkit.cli.session import Session

__all__ = ["command"]

_SHADOWS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")


@click.command("profile", cls=Command)
@click.argument("credential", metavar="NAME")
@click.option("--watch", is_flag=True, help="Stay, and keep it fresh.")
@click.option("--profile", "called", default="", metavar="NAME", help="Default: the credential's.")
@click.option("--activate", is_flag=True, help="Use it where no profile is named.")
@click.pass_obj
def command(session: Session, credential: str, *, watch: bool, called: str, activate: bool) -> None:
    """Write an Anthropic profile with the token of credential NAME.

    Written once, it is good until the token's end; with --watch it is replaced ahead of that.
    """
    from secretkit.claude.profile import Profile, profile_directory  # noqa: PLC0415 - not for help

    table = session.toolkit.config.credential(given_name(credential))
    kept = Profile(
        profile_directory(session.environ),
        name=given_name(called or credential),
        base_url=str(table.options.get("base_url", "")),
    )
    for shadow in _SHADOWS:
        if session.environ.get(shadow):
            prose(f"{shadow} is set, and stands above every profile: unset it for the program")
    if watch:
        _keep(session, credential, kept, activate=activate)
    else:
        _write(session, credential, kept, activate=activate)


def _write(session: Session, credential: str, kept: Profile, *, activate: bool) -> None:
    from secretkit.claude.profile import token_of  # noqa: PLC0415 - not for help
    from secretkit.cli.handout import leased  # noqa: PLC0415 - not for help

    token, end = token_of(leased(session, credential))
    kept.describe()
    kept.write(token, expires_at=end)
    if activate:  # last: until there is a token, the profile that is active goes on working
        kept.activate()
    if session.json:
        print_json({"profile": kept.name, "file": str(kept.credentials), "expires_at": end})
    else:
        session.say(f"wrote {kept.credentials}, good until {cell(end)}")


def _keep(session: Session, credential: str, kept: Profile, *, activate: bool) -> None:
    from secretkit.claude.keeper import ProfileKeeper  # noqa: PLC0415 - not for help
    from secretkit.claude.profile import token_of  # noqa: PLC0415 - not for help
    from secretkit.ports import Event  # noqa: PLC0415 - not for help

    table = session.toolkit.config.credential(credential)
    session.audit(Event.SECRET_READ, name=credential, ref=table.label)
    broker = session.toolkit.broker()
    if activate:  # only what has a token; the profile that was active works until then
        token_of(broker.lease(credential))
    kept.describe()
    if activate:
        kept.activate()
    keeper = ProfileKeeper(
        credential,
        broker=broker,
        profile=kept,
        clock=session.toolkit.clock,
        say=prose,
    )
    session.say(f"keeping {kept.credentials} fresh; Ctrl-C ends this")
    with _until_signal(keeper.stop):
        keeper.run()


@contextmanager
def _until_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at SIGTERM, SIGINT and SIGHUP: what is written stays good to its near end."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
