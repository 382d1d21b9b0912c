"""From the configuration to the wire: a role of 15 minutes, three platforms, twenty minutes."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import anthropic
import httpx2
import pytest

from secretkit.broker import AsyncBroker
from secretkit.claude import SigningAuth, connect, connect_async
from secretkit.config.parse import parse_config
from secretkit.testing import FakeClock
from secretkit.testing.aws import ACCOUNT, AwsStub, Trust
from secretkit.testing.trace import assert_no_trace
from secretkit.wiring import Toolkit

ROLE = f"arn:aws:iam::{ACCOUNT}:role/claude"
MESSAGE = {
    "model": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "hello"}],
}
NAMES = {
    "bedrock": "bedrock",
    "mantle": "bedrock-mantle",
    "claude": "claude-on-aws",
    "key": "bedrock",
}


@pytest.fixture
def aws():
    with AwsStub(clock=FakeClock(), regions=("us-west-2",)) as made:
        trust = Trust(principals=(f"arn:aws:iam::{ACCOUNT}:user/app",))
        made.accounts.add_role(ROLE, trust=trust)
        yield made


@pytest.fixture
def broker(aws, tmp_path):
    user = aws.accounts.add_user("app")
    pair = {"AccessKeyId": user.access_key_id, "SecretAccessKey": user.secret.reveal()}
    (tmp_path / "aws.json").touch(mode=0o600)
    (tmp_path / "aws.json").write_text(json.dumps(pair))
    role = f'assume_role = {{ role_arn = "{ROLE}", duration = "15m" }}'
    start = f'source = "file:{tmp_path}/aws.json"\nendpoint = "{aws.url()}"\nregion = "us-west-2"'
    text = f"""
[credentials.bedrock]
kind = "aws"
base_url = "{aws.url()}"
{start}
{role}

[credentials.mantle]
kind = "aws"
platform = "bedrock-mantle"
base_url = "{aws.url()}/anthropic"
{start}
{role}

[credentials.claude]
kind = "aws"
platform = "claude-on-aws"
workspace_id = "wrkspc_test"
base_url = "{aws.url()}"
{start}
{role}

[credentials.key]
kind = "bedrock-token"
base = "bedrock"
base_url = "{aws.url()}"
region = "us-west-2"
"""
    config = parse_config(text.encode(), file=tmp_path / "secretkit.toml")
    with Toolkit(config, environ={}, clock=aws.accounts.clock).broker() as made:
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_every_request_is_signed_by_a_session_that_lasts(aws, broker, name):
    platform = NAMES[name]

    async def go():
        aio = AsyncBroker(broker)
        with connect(name, platform=platform, broker=broker, max_retries=0) as client:
            async with connect_async(name, platform=platform, broker=aio, max_retries=0) as later:
                for _ in range(21):
                    await asyncio.to_thread(client.messages.create, **MESSAGE)
                    async with later.messages.stream(**MESSAGE) as stream:
                        assert await stream.get_final_text() == aws.claude.reply
                    aws.accounts.clock.advance(timedelta(minutes=1))

    asyncio.run(go())
    asked = [call for call in aws.calls if not call.action.startswith("sts:")]
    assert {(call.status, call.code) for call in asked} == {(200, "")}
    assert len(asked) == 42
    assert {call.caller.partition("/")[2].partition("/")[0] for call in asked} == {"claude"}
    assert 2 <= aws.count("sts:AssumeRole") <= 4


def test_a_thousand_signatures_by_fifty_threads_ask_sts_once(aws, broker):
    url = "https://bedrock-runtime.us-west-2.amazonaws.com"
    auth = SigningAuth(
        "bedrock", broker=broker, base_url=url, service="bedrock", region="us-west-2"
    )

    def sign(_: int) -> str:
        flow = auth.sync_auth_flow(httpx2.Request("POST", f"{url}/model/m/invoke", json={}))
        made = next(flow).headers["authorization"]
        flow.close()
        return made

    with ThreadPoolExecutor(50) as pool:
        assert len(list(pool.map(sign, range(1000)))) == 1000
    assert [call.action for call in aws.calls] == ["sts:AssumeRole"]


@pytest.mark.parametrize("name", NAMES)
def test_a_session_that_aws_ended_is_assumed_again_once(aws, broker, name):
    with connect(name, platform=NAMES[name], broker=broker, max_retries=0) as client:
        client.messages.create(**MESSAGE)
        for key_id in [one for one in aws.accounts._holders if one.startswith("ASIA")]:
            aws.accounts.expire(key_id)
        client.messages.create(**MESSAGE)
    asked = [call.status for call in aws.calls if not call.action.startswith("sts:")]
    assert asked == [200, 403, 200]
    assert aws.count("sts:AssumeRole") == 2


@pytest.mark.parametrize("name", NAMES)
def test_what_the_role_may_not_do_is_one_request_and_one_session(aws, broker, name):
    for action in ("bedrock:InvokeModel", "bedrock-mantle:CreateInference"):
        aws.deny(action, arn=ROLE)
    aws.deny("aws-external-anthropic:CreateInference", arn=ROLE)
    with (
        connect(name, platform=NAMES[name], broker=broker) as client,
        pytest.raises(anthropic.PermissionDeniedError, match="not authorized") as caught,
    ):
        client.messages.create(**MESSAGE)
    assert [call.action.startswith("sts:") for call in aws.calls] == [True, False]
    credential = broker.lease(name).credential
    assert_no_trace(caught.value, credential.secret.reveal())
