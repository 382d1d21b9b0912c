"""Read by ``mypy --strict`` in test_typing.py, never run: which client each platform gives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

import anthropic

from secretkit import AsyncBroker, Broker
from secretkit.claude import (
    SigningAuth,
    async_cloud_arguments,
    cloud_arguments,
    connect,
    connect_async,
)


def clients(broker: Broker, aio: AsyncBroker, named: str) -> None:
    assert_type(connect(), anthropic.Anthropic)
    assert_type(connect("claude", platform="anthropic", header="x-api-key"), anthropic.Anthropic)
    assert_type(connect("b", platform="bedrock", broker=broker), anthropic.AnthropicBedrock)
    assert_type(
        connect("b", platform="bedrock-mantle", region="us-east-1", max_retries=0),
        anthropic.AnthropicBedrockMantle,
    )
    assert_type(
        connect("b", platform="claude-on-aws", workspace_id="w", timeout=timedelta(seconds=5)),
        anthropic.AnthropicAWS,
    )
    assert_type(connect_async(broker=aio), anthropic.AsyncAnthropic)
    assert_type(connect_async("b", platform="bedrock"), anthropic.AsyncAnthropicBedrock)
    assert_type(
        connect_async("b", platform="bedrock-mantle"), anthropic.AsyncAnthropicBedrockMantle
    )
    assert_type(connect_async("b", platform="claude-on-aws"), anthropic.AsyncAnthropicAWS)
    connect("b", platform=named)  # type: ignore[call-overload]
    connect("b", platform="vertex")  # type: ignore[call-overload]
    connect("b", platform="bedrock", timeout=5)  # type: ignore[call-overload]


def seams(broker: Broker) -> None:
    SigningAuth("b", broker=broker, base_url="https://h", service="bedrock", region="us-east-1")
    SigningAuth("b", broker=broker, base_url="https://h", service="s3", region="us-east-1")  # type: ignore[arg-type]
    assert_type(cloud_arguments("v", platform="vertex"), dict[str, Any])
    assert_type(async_cloud_arguments("v", platform="foundry"), dict[str, Any])
    cloud_arguments("v", platform="bedrock")  # type: ignore[arg-type]
