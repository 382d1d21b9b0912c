"""``secretkit provider``: list, test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from secretkit.cli import exits
from secretkit.cli.probe import COLUMNS, OK, Exchanged, Identity, Reference, Store, row_of
from secretkit.cli.root import LazyGroup
from secretkit.cli.session import given_name, given_ref, provider_of
from secretkit.config.schema import BUILT_IN_PROVIDERS
from secretkit.errors import ConfigError, SecretkitError
from secretkit.ports import Probing
from secretkit.providers import registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.config.schema import CredentialConfig
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
    """Ask each source once: what is reached, as whom, how fast, until when, what we may not do.

    NAME is a credential, an identity or a provider; without any, everything in the configuration
    is asked. No value is shown, and what was leased to answer is given back.
    """
    subjects = _wanted(session, names)
    rows = [row_of(subject, session) for subject in subjects]
    session.rows("sources", rows, columns=COLUMNS)
    return exits.OK if all(row["result"] == OK for row in rows) else exits.CHECK_FAILED


def _wanted(
    session: Session, names: Sequence[str]
) -> list[Store | Reference | Identity | Exchanged]:
    """Give what to ask, each once: a store before what is read from it."""
    config = session.toolkit.config
    found: list[Store | Reference | Identity | Exchanged] = []
    for name in map(given_name, names or config.credentials):
        if ":" in name:
            ref = given_ref(name)
            provider_of(session, ref)
            found += _read(session, [ref])
        elif name in config.credentials:
            found += _credential(session, config.credentials[name])
        elif "type" in config.identities.get(name, {}):  # [identity.issuer] is asked of by others
            found.append(Identity(name=name))
        else:
            found += _provider(session, name)
    if not names:
        found += [Identity(name=name) for name, one in config.identities.items() if "type" in one]
        found += [one for name in config.providers for one in _known_to(session, name)]
    if not found:
        raise ConfigError("there is no source to test", hint="secretkit provider test env:NAME")
    return list(dict.fromkeys(found))


def _credential(
    session: Session, table: CredentialConfig
) -> Sequence[Store | Reference | Identity | Exchanged]:
    if not table.sources:
        return [Exchanged(name=table.name)]
    return _read(session, table.sources, kind=table.kind)


def _provider(session: Session, name: str) -> Sequence[Store | Reference]:
    """Give a provider, and what the credentials read from it."""
    config = session.toolkit.config
    tables = config.credentials.values()
    read = [(ref, one.kind) for one in tables for ref in one.sources if ref.provider == name]
    if not read and name not in config.providers.keys() | BUILT_IN_PROVIDERS:
        config.credential(name)
    found = [one for ref, kind in read for one in _read(session, [ref], kind=kind)]
    return found or [Store(name=name)]


def _read(
    session: Session, refs: Sequence[SecretRef], *, kind: str = ""
) -> Sequence[Store | Reference]:
    found: list[Store | Reference] = []
    for ref in refs:
        found += [*_known_to(session, ref.provider), Reference(ref=ref, kind=kind)]
    return found


def _known_to(session: Session, name: str) -> Sequence[Store]:
    """Give the provider, if it can say as whom it is known; one that fails to open cannot."""
    try:
        opened = session.toolkit.provider(name)
    except SecretkitError:
        return ()
    return [Store(name=name)] if isinstance(opened, Probing) else ()
