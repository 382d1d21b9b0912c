"""``secretkit list``: credentials and stored secrets, never a value."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from secretkit.cli.output import print_json
from secretkit.cli.root import Command
from secretkit.errors import ProviderUnavailableError
from secretkit.ports import Listable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.core.ref import SecretRef
    from secretkit.ports import StoredVersion

__all__ = ["command"]

_COLUMNS = ["name", "kind", "source", "version", "created_at"]


@click.command("list", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List the credentials of the configuration, and what else the local store holds."""
    stored = _stored(session)
    credentials: list[Mapping[str, Cell]] = []
    used: set[str] = set()
    for name, credential in sorted(session.toolkit.config.credentials.items()):
        for ref in credential.sources or (None,):
            credentials.append(_row(name, credential.kind, ref, stored))
            used.add("" if ref is None else str(ref))
    others: list[Mapping[str, Cell]] = [
        {"ref": text, "version": one.version, "created_at": one.created_at}
        for text, one in sorted(stored.items())
        if text not in used
    ]
    if session.json:
        print_json({"credentials": credentials, "stored": others})
        return
    rows = [*credentials, *({**row, "name": "", "source": row["ref"]} for row in others)]
    session.rows("credentials", rows, columns=_COLUMNS)


def _row(
    name: str, kind: str, ref: SecretRef | None, stored: Mapping[str, StoredVersion]
) -> Mapping[str, Cell]:
    one = stored.get(str(ref))
    return {
        "name": name,
        "kind": kind,
        "source": None if ref is None else str(ref),
        "version": one.version if one else None,
        "created_at": one.created_at if one else None,
    }


def _stored(session: Session) -> dict[str, StoredVersion]:
    """Give what the stores that can list hold, by reference; a store not made yet holds nothing."""
    from secretkit.core.ref import SecretRef  # noqa: PLC0415 - beside its use

    found: dict[str, StoredVersion] = {}
    table = session.toolkit.config
    names = {"local", *(name for name, one in table.providers.items() if one.type == "local")}
    for name in sorted(names):
        provider = session.toolkit.provider(name)
        if isinstance(provider, Listable):
            with suppress(ProviderUnavailableError):
                found |= {str(SecretRef(name, one.name)): one for one in provider.names()}
    return found
