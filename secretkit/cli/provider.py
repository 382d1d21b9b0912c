"""``secretkit provider``: list, test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from secretkit.cli import exits
from secretkit.cli.root import LazyGroup
from secretkit.cli.session import given_name, given_ref, provider_of
from secretkit.config.schema import BUILT_IN_PROVIDERS
from secretkit.errors import ConfigError, SecretkitError
from secretkit.ports import Event
from secretkit.providers import registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.core.ref import SecretRef

__all__ = ["command"]


@click.group("provider", cls=LazyGroup)
def command() -> None:
    """List stores, or test that they answer."""


@command.command("list")
@click.pass_obj
def list_providers(session: Session) -> None:
    """List the providers a reference can name, and the installed types that no table uses."""
    tables = session.toolkit.config.providers
    rows: list[Mapping[str, Cell]] = [
        {"name": name, "type": one.type, "origin": str(session.toolkit.config.file)}
        for name, one in sorted(tables.items())
    ]
    rows += [
        {"name": name, "type": name, "origin": "built in"}
        for name in sorted(BUILT_IN_PROVIDERS - tables.keys())
    ]
    in_use = {one.type for one in tables.values()}
    rows += [
        {"name": None, "type": info.name, "origin": f"{info.distribution} {info.version}"}
        for info in registry.installed()
        if not info.built_in and info.name not in in_use
    ]
    session.rows("providers", rows, columns=["name", "type", "origin"])


@command.command("test")
@click.argument("names", nargs=-1, metavar="[NAME|REFERENCE]...")
@click.pass_obj
def test(session: Session, names: tuple[str, ...]) -> int:
    """Ask each store once: does it answer, how fast, which version, until when. No value.

    NAME is a credential or a provider; without any, every source in the configuration is asked.
    """
    refs = _wanted(session, names)
    rows = [_ask(session, ref) for ref in refs]
    session.rows(
        "sources",
        rows,
        columns=["ref", "result", "seconds", "version", "expires_at", "lacks"],
    )
    return exits.OK if all(row["result"] == "ok" for row in rows) else exits.CHECK_FAILED


def _wanted(session: Session, names: Sequence[str]) -> list[SecretRef]:
    credentials = session.toolkit.config.credentials
    every = [ref for one in credentials.values() for ref in one.sources]
    if not names:
        if not every:
            raise ConfigError("there is no source to test", hint="secretkit provider test env:NAME")
        return list(dict.fromkeys(every))
    found: dict[SecretRef, None] = {}
    for name in map(given_name, names):
        if ":" in name:
            matching = [given_ref(name)]
            provider_of(session, matching[0])
        elif name in credentials:
            matching = list(credentials[name].pool())
        else:
            matching = [ref for ref in every if ref.provider == name]
        if not matching:
            session.toolkit.config.credential(name)
        found |= dict.fromkeys(matching)
    return list(found)


def _ask(session: Session, ref: SecretRef) -> Mapping[str, Cell]:
    row: dict[str, Cell] = {"ref": str(ref), "version": None, "expires_at": None, "seconds": 0.0}
    try:
        session.toolkit.resolve(ref)
    except SecretkitError as error:  # what cannot be opened is not read, and not written down
        return row | _failure(error)
    session.audit(Event.SECRET_READ, ref=str(ref))
    clock = session.toolkit.clock
    start = clock.monotonic()
    try:
        fetched = session.toolkit.fetch(ref, timeout=session.fetch_timeout)
    except SecretkitError as error:
        row |= _failure(error)
    else:
        row |= {"result": "ok", "version": fetched.version, "expires_at": fetched.expires_at}
    row["seconds"] = round(clock.monotonic() - start, 3)
    return row


def _failure(error: SecretkitError) -> dict[str, Cell]:
    return {"result": exits.verdict(error), "lacks": f"{error} ({error.hint})"}
