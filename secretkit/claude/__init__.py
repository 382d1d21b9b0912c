"""Claude clients whose every request carries the current credential.

::

    client = secretkit.claude.connect("claude", broker=broker)      # an anthropic.Anthropic
    client = secretkit.claude.connect("bedrock", platform="bedrock")    # an AnthropicBedrock

Or plugged into a client you build yourself, with one argument::

    anthropic.Anthropic(**secretkit.claude.client_arguments("claude", broker=broker))

Two more seams, each with limits that its own text names, are there for where that does not fit::

    anthropic.Anthropic(credentials=secretkit.claude.TokenProvider("claude", broker=broker))
    httpx2.Client(auth=secretkit.claude.RotatingAuth("claude", broker=broker))

This room alone knows the anthropic SDK, and imports it on first use: it takes 1.7 s.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from secretkit.claude.auth import RotatingAuth
    from secretkit.claude.client import async_client_arguments, client_arguments
    from secretkit.claude.fault import CredentialDelayError, CredentialFaultError, OriginError
    from secretkit.claude.platform import connect, connect_async
    from secretkit.claude.platform_cloud import async_cloud_arguments, cloud_arguments
    from secretkit.claude.signing import SigningAuth
    from secretkit.claude.tokens import AsyncTokenProvider, TokenProvider
    from secretkit.claude.transport import AsyncSealedTransport, SealedTransport

__all__ = [
    "AsyncSealedTransport",
    "AsyncTokenProvider",
    "CredentialDelayError",
    "CredentialFaultError",
    "OriginError",
    "RotatingAuth",
    "SealedTransport",
    "SigningAuth",
    "TokenProvider",
    "async_client_arguments",
    "async_cloud_arguments",
    "client_arguments",
    "cloud_arguments",
    "connect",
    "connect_async",
]

_HOMES: Final = {
    "AsyncSealedTransport": "transport",
    "AsyncTokenProvider": "tokens",
    "CredentialDelayError": "fault",
    "CredentialFaultError": "fault",
    "OriginError": "fault",
    "RotatingAuth": "auth",
    "SealedTransport": "transport",
    "SigningAuth": "signing",
    "TokenProvider": "tokens",
    "async_client_arguments": "client",
    "async_cloud_arguments": "platform_cloud",
    "client_arguments": "client",
    "cloud_arguments": "platform_cloud",
    "connect": "platform",
    "connect_async": "platform",
}
_EXTRA: Final = frozenset({"anthropic", "httpx2"})


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562).

    Raises:
        ConfigError: if the anthropic SDK is not installed.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise ConfigError(
            f"the package {error.name!r} is not installed, and Claude clients need it",
            hint='pip install "secretkit[claude]"',
        ) from None
    value: object = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
