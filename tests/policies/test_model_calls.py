"""The clients that ``connect`` gives ask AWS for the actions of the policies, and for no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from claude.amazon_world import REGION, WORKSPACE, amazon_world
from policies.evaluator import texts
from secretkit.claude import connect

FOLDER = Path(__file__).parents[2] / "policies/aws"
HELLO = {"max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
PLATFORMS = {
    "bedrock": ("bedrock-invoke", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "bedrock-mantle": ("bedrock-mantle-invoke", "anthropic.claude-opus-4-7"),
    "claude-on-aws": ("claude-on-aws-invoke", "claude-opus-4-5"),
}
# What a signed call to /v1/messages does not use: bearer tokens, and the route that counts tokens.
OTHERWISE = {"bedrock:CallWithBearerToken", "aws-external-anthropic:CountTokens"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_client_asks_for_what_its_policy_allows(platform):
    name, model = PLATFORMS[platform]
    more = {"workspace_id": WORKSPACE} if platform == "claude-on-aws" else {}
    with amazon_world() as world:
        client = connect(
            "bedrock",
            broker=world.broker,
            platform=platform,
            region=REGION,
            base_url=world.urls()[platform],
            **more,
        )
        with client:
            client.messages.create(model=model, **HELLO)
            for _ in client.messages.create(model=model, stream=True, **HELLO):
                pass
        assert {call.status for call in world.aws.calls} == {200}
        asked = {call.action for call in world.aws.calls}
    statements = json.loads((FOLDER / f"{name}.json").read_text())["Statement"]
    allowed = {action for one in statements for action in texts(one["Action"])}
    assert asked == allowed - OTHERWISE
