"""Platform: ordinary anthropic clients with current credentials, whichever platform it is."""

# ruff: noqa: ANN401 - **client_options are the SDK's own
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

from secretkit.claude.amazon import ASYNC_CLIENTS, CLIENTS, Place, amazon_arguments
from secretkit.claude.client import (
    AsyncPinnedAnthropic,
    PinnedAnthropic,
    async_client_arguments,
    client_arguments,
)
from secretkit.claude.pinned import refuse_keys, seconds_of
from secretkit.core.target import PLATFORMS
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from datetime import timedelta
    from os import PathLike

    import anthropic
    import httpx2

    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.claude.auth import Header

__all__ = ["connect", "connect_async"]


@overload
def connect(
    name: str = ...,
    *,
    platform: Literal["anthropic"] = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    header: Header = ...,
    **client_options: Any,
) -> anthropic.Anthropic: ...
@overload
def connect(
    name: str = ...,
    *,
    platform: Literal["bedrock"],
    region: str | None = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    **client_options: Any,
) -> anthropic.AnthropicBedrock: ...
@overload
def connect(
    name: str = ...,
    *,
    platform: Literal["bedrock-mantle"],
    region: str | None = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    **client_options: Any,
) -> anthropic.AnthropicBedrockMantle: ...
@overload
def connect(
    name: str = ...,
    *,
    platform: Literal["claude-on-aws"],
    region: str | None = ...,
    workspace_id: str | None = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    **client_options: Any,
) -> anthropic.AnthropicAWS: ...
def connect(  # noqa: PLR0913 - each of them a setting of the connection, by keyword
    name: str = "claude",
    *,
    platform: str = "anthropic",
    region: str | None = None,
    workspace_id: str | None = None,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    timeout: timedelta | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
    **client_options: Any,
) -> object:
    """Give a client that carries the current credential of ``name``, for as long as it lives.

    ``platform`` says who serves Claude, and with it the client's type: an ``anthropic.Anthropic``,
    ``AnthropicBedrock``, ``AnthropicBedrockMantle`` or ``AnthropicAWS``. The last three sign each
    request with the credentials held at that moment, for one ``region``; it, the workspace and the
    base URL are those of ``[credentials.NAME]`` unless named here. Streams from Bedrock are read by
    the SDK with botocore: ``pip install "secretkit[aws]"``.

    Thread-safe; ``with_options()`` keeps the credential and refuses another. The SDK's timeouts,
    limits and retries stay, and ``client_options`` are its own (``max_retries``,
    ``default_headers``, …). Nothing is taken from the environment: not a key, a header, a base URL,
    a region, a proxy or a certificate; name a ``proxy`` or a ``ca_bundle`` here. Redirects are not
    followed; of a request's httpx2 extensions only ``timeout`` is kept. Without ``broker`` the
    configuration's is opened, and closed with the client.

    Raises:
        ConfigError: for a credential, platform, region, URL, proxy or certificate file that cannot
            be used.
        TypeError: for an option that would carry a key past the broker.
    """
    refuse_keys(client_options)
    client_options |= seconds_of(timeout)
    place = _place(platform, region, workspace_id, base_url, header)
    route = _Route(broker=broker, proxy=proxy, ca_bundle=ca_bundle)
    make: type[Any]
    if place is None:
        arguments = client_arguments(name, base_url=base_url, header=header, **route)
        make = PinnedAnthropic
    else:
        arguments = amazon_arguments(name, place, face="sync", **route)
        make = CLIENTS[place.platform]
    try:
        return make(**arguments, **client_options)
    except BaseException:
        arguments["http_client"].close()
        raise


@overload
def connect_async(
    name: str = ...,
    *,
    platform: Literal["anthropic"] = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    header: Header = ...,
    **client_options: Any,
) -> anthropic.AsyncAnthropic: ...
@overload
def connect_async(
    name: str = ...,
    *,
    platform: Literal["bedrock"],
    region: str | None = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    **client_options: Any,
) -> anthropic.AsyncAnthropicBedrock: ...
@overload
def connect_async(
    name: str = ...,
    *,
    platform: Literal["bedrock-mantle"],
    region: str | None = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    **client_options: Any,
) -> anthropic.AsyncAnthropicBedrockMantle: ...
@overload
def connect_async(
    name: str = ...,
    *,
    platform: Literal["claude-on-aws"],
    region: str | None = ...,
    workspace_id: str | None = ...,
    broker: Broker | AsyncBroker | None = ...,
    base_url: str | httpx2.URL | None = ...,
    timeout: timedelta | None = ...,
    proxy: str | None = ...,
    ca_bundle: str | PathLike[str] | None = ...,
    **client_options: Any,
) -> anthropic.AsyncAnthropicAWS: ...
def connect_async(  # noqa: PLR0913 - each of them a setting of the connection, by keyword
    name: str = "claude",
    *,
    platform: str = "anthropic",
    region: str | None = None,
    workspace_id: str | None = None,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    timeout: timedelta | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
    **client_options: Any,
) -> object:
    """Give an asyncio client that carries the current credential; see :func:`connect`."""
    refuse_keys(client_options)
    client_options |= seconds_of(timeout)
    place = _place(platform, region, workspace_id, base_url, header)
    route = _Route(broker=broker, proxy=proxy, ca_bundle=ca_bundle)
    make: type[Any]
    if place is None:
        arguments = async_client_arguments(name, base_url=base_url, header=header, **route)
        make = AsyncPinnedAnthropic
    else:
        arguments = amazon_arguments(name, place, face="async", **route)
        make = ASYNC_CLIENTS[place.platform]
    try:
        return make(**arguments, **client_options)
    except BaseException:
        arguments["http_client"].abandon()
        raise


class _Route(TypedDict):
    broker: Broker | AsyncBroker | None
    proxy: str | None
    ca_bundle: str | PathLike[str] | None


def _place(
    platform: str,
    region: str | None,
    workspace_id: str | None,
    base_url: str | httpx2.URL | None,
    header: Header,
) -> Place | None:
    """Give the place of one of AWS's platforms, or None for the Claude API itself."""
    if platform == "anthropic" or platform not in CLIENTS:
        _refuse_place(platform, region, workspace_id)
        return None
    if header != "authorization":
        raise ConfigError(f"{platform} reads no {header}", hint="leave out header=")
    if workspace_id is not None and platform != "claude-on-aws":
        raise ConfigError(f"{platform} has no workspaces", hint="leave out workspace_id=")
    return Place(
        platform=platform,
        region=region,
        workspace_id=workspace_id,
        base_url=base_url,
    )


def _refuse_place(platform: str, region: str | None, workspace_id: str | None) -> None:
    if platform != "anthropic":
        known = platform in PLATFORMS
        raise ConfigError(
            f"connect() makes no client for the platform {platform!r}",
            hint="build the SDK's own with secretkit.claude.cloud_arguments()"
            if known
            else f"use one of anthropic, {', '.join(CLIENTS)}",
        )
    if region is not None or workspace_id is not None:
        raise ConfigError(
            "the Claude API has no regions, and a credential of it has its workspace",
            hint="leave out region= and workspace_id=, or say platform=",
        )
