"""What a configuration says, as frozen values. Reading it is in ``load``, checking in ``parse``."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from secretkit.config.origin import Origin
from secretkit.core.freshness import LeasePolicy
from secretkit.core.record import record
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from secretkit.core.ref import SecretRef

__all__ = [
    "BUILT_IN_PROVIDERS",
    "EXCHANGED_KINDS",
    "STORED_KINDS",
    "Config",
    "CredentialConfig",
    "ProviderConfig",
    "RotationConfig",
    "nearest",
]

BUILT_IN_PROVIDERS: Final = frozenset(
    {
        *("aws-parameter-store", "aws-secrets-manager", "chain", "command", "dotenv", "env"),
        *("file", "keyring", "local", "vault"),
    }
)
"""Usable in a reference without a ``[providers.NAME]`` table."""

STORED_KINDS: Final = ("anthropic-api-key", "anthropic-access-token", "opaque")
"""Kinds that one stored value becomes; they have a ``source``."""

EXCHANGED_KINDS: Final = ("aws", "bedrock-token", "anthropic-federation")
"""Kinds that an exchange gives: another credential or an identity for a short-lived one."""


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@record(kw_only=True)
class ProviderConfig:
    """One ``[providers.NAME]`` table: its type, and the rest as it stands, for the provider."""

    type: str
    options: Mapping[str, object] = _NOTHING
    key_path: str = ""


@record(kw_only=True)
class CredentialConfig:
    """One ``[credentials.NAME]`` table. ``sources`` is a pool: the first current one is used."""

    name: str
    kind: str
    sources: tuple[SecretRef, ...] = ()
    ttl: timedelta | None = None
    options: Mapping[str, object] = _NOTHING
    key_path: str = ""

    @property
    def label(self) -> str:
        """Where it comes from, for messages and the audit: the first reference, or kind:name."""
        return str(self.sources[0]) if self.sources else f"{self.kind}:{self.name}"

    def pool(self) -> tuple[SecretRef, ...]:
        """Give the references to read, at least one.

        Raises:
            ConfigError: for a kind that has none, because an exchange gives it.
        """
        if not self.sources:
            raise ConfigError(
                f"a credential of kind {self.kind!r} is exchanged, not read from a store",
                hint="secretkit provider test NAME says what it reaches",
                key_path=self.key_path,
            )
        return self.sources


@record(kw_only=True)
class RotationConfig:
    """One ``[rotation.NAME]`` table."""

    name: str
    target: str
    every: timedelta | None = None
    overlap: timedelta | None = None


@record(kw_only=True, hidden=("ledger_url", "origins"))
class Config:
    """Everything in force. ``file`` is None when no file was found and all values are defaults.

    ``origins`` maps key paths such as ``leases.ttl`` to where the value came from; a path without
    an entry is a default. ``notices`` are sentences for a person, such as an ignored project file.
    ``ledger_url`` is not in the repr: from the environment it may hold a password.
    """

    providers: Mapping[str, ProviderConfig] = _NOTHING
    credentials: Mapping[str, CredentialConfig] = _NOTHING
    identities: Mapping[str, Mapping[str, object]] = _NOTHING
    policy: LeasePolicy = LeasePolicy()
    rotations: Mapping[str, RotationConfig] = _NOTHING
    ledger_url: str = ""
    scan: Mapping[str, object] = _NOTHING
    file: Path | None = None
    origins: Mapping[str, Origin] = _NOTHING
    notices: tuple[str, ...] = ()

    def credential(self, name: str) -> CredentialConfig:
        """Give the table of one credential.

        Raises:
            ConfigError: if there is none, with the nearest name.
        """
        try:
            return self.credentials[name]
        except KeyError:
            pass
        where = str(self.file) if self.file else ""
        raise ConfigError(
            "there is no credential of this name",
            hint=nearest(name, self.credentials)
            or "declare it as [credentials.NAME]; secretkit init writes a file to start from",
            file=where,
            key_path=f"credentials.{name}" if len(name) <= _SHOWN else "credentials",
        )

    def origin(self, key_path: str) -> Origin:
        """Give where the value at ``key_path`` came from."""
        return self.origins.get(key_path, _DEFAULT)


_SHOWN: Final = 40  # shorter than every key a service issues
_DEFAULT: Final = Origin()


def nearest(name: str, known: Mapping[str, object] | frozenset[str] | tuple[str, ...]) -> str:
    """Give ``did you mean …?``, or an empty string when nothing is near."""
    import difflib  # noqa: PLC0415 - 3 ms, and only an error needs it

    found = difflib.get_close_matches(name[:_SHOWN], list(known), n=1)
    return f"did you mean {found[0]!r}?" if found else ""
