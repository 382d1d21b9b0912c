"""Opening: from a table in the configuration to an identity of its kind."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError
from secretkit.identity.source import CheckedIdentity
from secretkit.providers.options import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["KINDS", "open_identity"]

# By name, so that each use loads one of them.
_OPENERS: Final = {
    "aws": ("aws", "open_aws"),
    "azure": ("azure", "open_azure"),
    "file": ("stored", "open_file"),
    "gcp": ("gcp", "open_gcp"),
    "github": ("github", "open_github"),
    "issuer": ("issued", "open_issued"),
    "kubernetes": ("stored", "open_kubernetes"),
    "secret": ("stored", "open_secret"),
    "spiffe": ("spiffe", "open_spiffe"),
}
KINDS: Final = tuple(_OPENERS)
"""The values of ``type`` in an identity's table."""

_AUDIENCE: Final = (
    "the name by which the other side knows itself, such as https://api.anthropic.com"
)


def open_identity(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> CheckedIdentity:
    """Give the identity that ``table`` describes: its ``type``, ``audience`` and own options.

    ``audience`` is used unless the table names one. Cheap: no network, no file.

    Raises:
        ConfigError: for an option that is unknown, missing or malformed.
    """
    kind = table.get("type")
    if not isinstance(kind, str) or kind not in _OPENERS:
        near = nearest(kind, KINDS) if isinstance(kind, str) else ""
        raise ConfigError(
            "this kind of identity is not known",
            key_path="type",
            hint=(f"did you mean {near}? " if near else "") + f"it is one of {', '.join(KINDS)}",
        )
    module, name = _OPENERS[kind]
    opener: Callable[..., tuple[Issuing, str]] = getattr(
        import_module(f"secretkit.identity.{module}"), name
    )
    issuing, wanted = opener(table, audience=audience, context=context)
    if not wanted:
        raise ConfigError(
            f"the option 'audience' of the {kind} identity is missing",
            key_path="audience",
            hint=f"write {_AUDIENCE}",
        )
    return CheckedIdentity(issuing, audience=wanted, clock=context.clock)
