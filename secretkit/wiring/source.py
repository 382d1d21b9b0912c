"""Source: opens where a credential comes from: a pool of references, or an exchange."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from secretkit.broker.pool import PoolSource
from secretkit.core.target import Target
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.config.schema import CredentialConfig
    from secretkit.ports import CredentialSource, IdentitySource, ProviderContext

__all__ = ["identity_table", "open_identity", "open_source", "target_of"]

# By name, so that a configuration without them loads none of them.
_EXCHANGES: Final = {
    "anthropic-federation": "secretkit.claude.exchange",
    "aws": "secretkit.providers.aws.source",
    "bedrock-token": "secretkit.providers.aws.bearer",
}
_IDENTITY: Final = "secretkit.identity"


def open_source(table: CredentialConfig, context: ProviderContext) -> CredentialSource:
    """Give the source that one ``[credentials.NAME]`` table describes. No network, no file.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    if table.kind not in _EXCHANGES:
        members = [(ref, context.resolve(ref.provider)) for ref in table.pool()]
        return PoolSource(members, kind=table.kind, clock=context.clock)
    opener = import_module(_EXCHANGES[table.kind]).open_source
    try:
        made: CredentialSource = opener(table.options, ref=table.label, context=context)
    except ConfigError as error:
        raise _placed(error, table.key_path) from None
    return made


def open_identity(
    table: Mapping[str, object], audience: str, *, context: ProviderContext
) -> IdentitySource:
    """Give the identity that ``table`` describes, for ``audience`` unless the table names one.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    opener: Callable[..., IdentitySource] = import_module(_IDENTITY).open_identity
    return opener(table, audience=audience, context=context)


def identity_table(
    table: Mapping[str, object], named: Mapping[str, Mapping[str, object]]
) -> Mapping[str, object]:
    """Give ``table``, over the ``[identity.NAME]`` that its ``type`` names, where one is named."""
    kind = table.get("type")
    found = named.get(kind, {}) if isinstance(kind, str) else {}
    if "type" not in found:  # none of that name, or the table of our own issuer
        return table
    return {**found, **{key: value for key, value in table.items() if key != "type"}}


def target_of(table: CredentialConfig) -> Target:
    """Give where the credential is used, as far as its table says."""
    stated = {key: table.options.get(key) for key in ("region", "workspace_id", "base_url")}
    texts = {key: value for key, value in stated.items() if isinstance(value, str)}
    platform = table.options.get("platform")
    if not isinstance(platform, str):
        platform = "bedrock" if table.kind in {"aws", "bedrock-token"} else "anthropic"
    return Target(platform=platform, **texts)


def _placed(error: ConfigError, key_path: str) -> ConfigError:
    inner = error.key_path
    whole = inner if inner.startswith(key_path) else ".".join(filter(None, (key_path, inner)))
    return ConfigError(error.args[0], hint=error.hint, file=error.file, key_path=whole)
