"""Load: from a file, or from references in code, to a toolkit or a broker.

The only module, beside the ``env`` provider it feeds, that reads the process environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from secretkit.config.load import find_and_load
from secretkit.config.schema import Config, CredentialConfig
from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError
from secretkit.wiring.toolkit import Toolkit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.broker.blocking import Broker

__all__ = ["from_refs", "load"]

_MEMORY: Final = "sqlite://"


def load(
    file: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Toolkit:
    """Give the objects that the configuration in force describes.

    Raises:
        ConfigError: naming the file and the key that cannot be used.
    """
    world = os.environ if environ is None else environ  # noqa: TID251 - the one place that reads it
    here = Path.cwd() if cwd is None else cwd
    config = find_and_load(None if file is None else Path(file), environ=world, cwd=here)
    return Toolkit(config, environ=world)


def from_refs(kind: str, refs: Mapping[str, str | Sequence[str]]) -> Broker:
    """Give a broker for references in code, with a ledger in memory.

    Raises:
        ConfigError: if there is no name, or a name without a reference.
        RefError: for a reference that cannot be read.
    """
    if not refs or not all(refs.values()):
        raise ConfigError(
            "each name needs a reference, and there must be a name",
            hint='Broker.from_refs(claude="env:ANTHROPIC_API_KEY")',
        )
    credentials = {
        name: CredentialConfig(
            name=name,
            kind=kind,
            sources=tuple(map(SecretRef.parse, [given] if isinstance(given, str) else given)),
        )
        for name, given in refs.items()
    }
    made = Config(credentials=MappingProxyType(credentials), ledger_url=_MEMORY)
    world = os.environ  # noqa: TID251 - the one place that reads it
    return Toolkit(made, environ=world).broker()
