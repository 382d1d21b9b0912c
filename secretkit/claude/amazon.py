"""Amazon: what makes the SDK's three clients for AWS carry the current credentials."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Literal

import anthropic

from secretkit.claude.client import async_sealed_client, sealed_client
from secretkit.claude.origin import checked_base_url
from secretkit.claude.pinned import PLACEHOLDER, Pinned, broker_for, target_of
from secretkit.claude.signing import SigningAuth
from secretkit.core.record import record
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from os import PathLike

    import httpx2

    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.claude.signing import Service

__all__ = ["ASYNC_CLIENTS", "CLIENTS", "AmazonPlatform", "Place", "amazon_arguments"]

AmazonPlatform = Literal["bedrock", "bedrock-mantle", "claude-on-aws"]

_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
_SERVICES: Final[dict[AmazonPlatform, Service]] = {
    "bedrock": "bedrock",
    "bedrock-mantle": "bedrock-mantle",
    "claude-on-aws": "aws-external-anthropic",
}
# As lib/bedrock/_client.py, lib/bedrock/_mantle.py and lib/aws/_credentials.py of anthropic 2.12.
_URLS: Final[dict[AmazonPlatform, str]] = {
    "bedrock": "https://bedrock-runtime.{}.amazonaws.com",
    "bedrock-mantle": "https://bedrock-mantle.{}.api.aws/anthropic",
    "claude-on-aws": "https://aws-external-anthropic.{}.api.aws",
}


class _Bedrock(Pinned, anthropic.AnthropicBedrock):
    pass


class _AsyncBedrock(Pinned, anthropic.AsyncAnthropicBedrock):
    pass


class _Mantle(Pinned, anthropic.AnthropicBedrockMantle):
    pass


class _AsyncMantle(Pinned, anthropic.AsyncAnthropicBedrockMantle):
    pass


class _ClaudeOnAws(Pinned, anthropic.AnthropicAWS):
    pass


class _AsyncClaudeOnAws(Pinned, anthropic.AsyncAnthropicAWS):
    pass


CLIENTS: Final[dict[AmazonPlatform, type[Any]]] = {
    "bedrock": _Bedrock,
    "bedrock-mantle": _Mantle,
    "claude-on-aws": _ClaudeOnAws,
}
ASYNC_CLIENTS: Final[dict[AmazonPlatform, type[Any]]] = {
    "bedrock": _AsyncBedrock,
    "bedrock-mantle": _AsyncMantle,
    "claude-on-aws": _AsyncClaudeOnAws,
}


@record(kw_only=True)
class Place:
    """Which platform, and what of it the caller named; the rest is the configuration's."""

    platform: AmazonPlatform
    region: str | None = None
    workspace_id: str | None = None
    base_url: str | httpx2.URL | None = None


def amazon_arguments(  # noqa: PLR0913 - as connect
    name: str,
    place: Place,
    *,
    broker: Broker | AsyncBroker | None,
    proxy: str | None,
    ca_bundle: str | PathLike[str] | None,
    face: Literal["sync", "async"],
) -> dict[str, Any]:
    """Give the arguments for a client of ``CLIENTS`` or ``ASYNC_CLIENTS``.

    Nothing that the SDK would look up in the environment is left out: with a placeholder or
    ``skip_auth`` it opens no boto3 session, so no secret is in its cache of 512 of them.

    Raises:
        ConfigError: for a name, region, workspace, URL, proxy or file that cannot be used.
    """
    make = sealed_client if face == "sync" else async_sealed_client
    with ExitStack() as undo:
        known, on_close = broker_for(name, broker, undo=undo)
        arguments, url = _arguments(name, known, place)
        auth = SigningAuth(
            name,
            broker=known,
            base_url=url,
            service=_SERVICES[place.platform],
            region=arguments["aws_region"],
        )
        client = make(auth, url=url, proxy=proxy, ca_bundle=ca_bundle, on_close=on_close)
        undo.pop_all()
    return arguments | {"base_url": url, "http_client": client}


def _arguments(
    name: str, broker: Broker | AsyncBroker, place: Place
) -> tuple[dict[str, Any], httpx2.URL]:
    platform = place.platform
    target = target_of(name, broker, platform=platform)
    region = place.region or target.region
    if not _REGION.fullmatch(region):
        raise ConfigError(
            f"{platform} needs an AWS region such as us-east-1",
            hint=f'add region = "us-east-1" to [credentials.{name}], or pass region=',
        )
    # A configured URL is that of the configured platform and region.
    fits = target.platform == platform and target.region in {"", region}
    given = place.base_url if place.base_url is not None else target.base_url if fits else ""
    url = checked_base_url(given or _URLS[platform].format(region))
    arguments: dict[str, Any] = {"aws_region": region}
    if platform == "bedrock":
        return arguments | {"api_key": PLACEHOLDER}, url
    arguments["skip_auth"] = True
    if platform == "claude-on-aws":
        arguments["workspace_id"] = _workspace(name, place.workspace_id or target.workspace_id)
    return arguments, url


def _workspace(name: str, workspace_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", workspace_id):
        raise ConfigError(
            "claude-on-aws needs the workspace that pays for the calls",
            hint=f'add workspace_id = "wrkspc_…" to [credentials.{name}], or pass workspace_id=',
        )
    return workspace_id
