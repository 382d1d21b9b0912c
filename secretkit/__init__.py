"""secretkit: short-lived credentials for Claude, from the secret store you already have.

::

    import secretkit

    with secretkit.Broker.from_config() as broker:
        client = secretkit.claude.connect("claude", broker=broker)

Public names are imported on first use, so importing secretkit costs next to nothing: no network, no
file outside the package, no environment variable and no plug-in is touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from secretkit import claude, redact
    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.core.credential import AccessToken, ApiKey
    from secretkit.core.freshness import LeasePolicy
    from secretkit.core.lease import Lease
    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.errors import (
        AccessDeniedError,
        ConfigError,
        GrantError,
        LeaseExpiredError,
        LedgerError,
        ProviderError,
        SecretkitError,
        SecretNotFoundError,
    )

__all__ = [
    "AccessDeniedError",
    "AccessToken",
    "ApiKey",
    "AsyncBroker",
    "Broker",
    "ConfigError",
    "GrantError",
    "Lease",
    "LeaseExpiredError",
    "LeasePolicy",
    "LedgerError",
    "ProviderError",
    "Secret",
    "SecretNotFoundError",
    "SecretRef",
    "SecretkitError",
    "__version__",
    "claude",
    "redact",
]

__version__ = "0.1.0"

_HOME: Final = {
    "AccessDeniedError": "errors",
    "AccessToken": "core.credential",
    "ApiKey": "core.credential",
    "AsyncBroker": "broker.aio",
    "Broker": "broker.blocking",
    "ConfigError": "errors",
    "GrantError": "errors",
    "Lease": "core.lease",
    "LeaseExpiredError": "errors",
    "LeasePolicy": "core.freshness",
    "LedgerError": "errors",
    "ProviderError": "errors",
    "Secret": "core.secret",
    "SecretNotFoundError": "errors",
    "SecretRef": "core.ref",
    "SecretkitError": "errors",
}
_ROOMS: Final = frozenset({"claude", "redact", "testing"})


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what can be had."""
    return sorted(__all__)
