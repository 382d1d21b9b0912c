"""Hands one secret to stdout, after writing into the audit that it is about to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from secretkit.cli.output import cell, write_secret
from secretkit.cli.session import given_name
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.core.lease import Lease
    from secretkit.core.secret import Secret

__all__ = ["hand_out_token", "leased", "write_json_secret"]


def leased(session: Session, name: str) -> Lease:
    """Lease the credential ``name`` once, with an audit entry before it is read.

    Raises like ``given_name`` and ``Toolkit.lease_once``.
    """
    from secretkit.ports import Event  # noqa: PLC0415 - a light module stays light

    given_name(name)
    credential = session.toolkit.config.credential(name)
    session.audit(Event.SECRET_READ, name=name, ref=credential.label)
    return session.toolkit.lease_once(name)


def _refuse_half(session: Session, name: str) -> None:
    """Refuse to print one secret of a credential that is more than one value."""
    table = session.toolkit.config.credentials.get(name)
    if table is not None and table.kind == "aws":
        raise ConfigError(
            "a credential of kind 'aws' is three values, and this prints one",
            hint=f"secretkit aws credential-process {name}, or secretkit run -- CMD",
            key_path=table.key_path,
        )


def hand_out_token(session: Session, name: str) -> None:
    """Print a leased credential's secret alone, or as one JSON object."""
    _refuse_half(session, name)
    lease = leased(session, name)
    if not session.json:
        write_secret(lease.credential.secret)
        return
    write_json_secret(
        "token",
        lease.credential.secret,
        name=name,
        generation=lease.generation,
        expires_at=lease.expires_at,
    )


def write_json_secret(key: str, secret: Secret, **fields: Cell) -> None:
    """Print an object with the value under ``key`` after the other fields."""
    shown: Mapping[str, object] = {name: cell(value) for name, value in fields.items()}
    sys.stdout.flush()
    sys.stdout.buffer.write(_document(key, secret, shown))
    sys.stdout.buffer.flush()


def _document(key: str, secret: Secret, fields: Mapping[str, object]) -> bytes:
    import json  # noqa: PLC0415 - a bare token needs none

    return json.dumps({**fields, key: secret.reveal()}).encode() + b"\n"
