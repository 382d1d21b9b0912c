"""Claude on AWS as the SDK's own clients meet it, signed by the SDK."""

from __future__ import annotations

import base64
from datetime import timedelta

import anthropic
import httpx2
import pytest
from aws_bedrock_token_generator import BedrockTokenGenerator
from botocore.credentials import Credentials

from secretkit.core.sigv4 import presign, sign
from secretkit.testing.aws import Fault

MODEL = "us.anthropic.claude-sonnet-4-5-v1:0"
ASK = {
    "model": MODEL,
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hello"}],
}


@pytest.fixture
def keys(session):
    credentials = session(timedelta(minutes=15))
    return {
        "aws_access_key": credentials.access_key_id,
        "aws_secret_key": credentials.secret.reveal(),
        "aws_session_token": credentials.session_token.reveal(),
    }


@pytest.fixture(params=["bedrock", "bedrock-mantle", "claude-on-aws"])
def claude(request, aws, keys):
    """The SDK's client of each platform."""
    common = {"aws_region": "us-east-1", "max_retries": 0, **keys}
    if request.param == "bedrock":
        made = anthropic.AnthropicBedrock(base_url=aws.url(), **common)
    elif request.param == "bedrock-mantle":
        made = anthropic.AnthropicBedrockMantle(base_url=f"{aws.url()}/anthropic", **common)
    else:
        made = anthropic.AnthropicAWS(
            base_url=aws.url(), workspace_id=aws.claude.workspace, **common
        )
    with made:
        yield made


def test_a_message_is_given_whole(aws, claude):
    answer = claude.messages.create(**ASK)
    assert answer.content[0].text == aws.claude.reply
    assert answer.model == MODEL


def test_a_message_is_streamed(aws, claude):
    with claude.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == aws.claude.reply
    assert aws.calls[-1].status == 200


def test_a_session_that_has_ended_is_refused(aws, clock, claude, keys):
    aws.accounts.expire(keys["aws_access_key"])
    with pytest.raises(anthropic.PermissionDeniedError) as caught:
        claude.messages.create(**ASK)
    assert "expired" in str(caught.value)
    assert caught.value.response.headers["x-amzn-errortype"] == "ExpiredTokenException"


def test_a_wrong_secret_is_refused(aws, keys):
    with (
        anthropic.AnthropicBedrock(
            base_url=aws.url(), aws_region="us-east-1", **keys | {"aws_secret_key": "x" * 40}
        ) as client,
        pytest.raises(anthropic.PermissionDeniedError, match="signature"),
    ):
        client.messages.create(**ASK)


def test_a_caller_may_be_denied(aws, claude):
    for action in ("bedrock:InvokeModel", "bedrock-mantle:CreateInference"):
        aws.deny(action, arn="arn:aws:iam::123456789012:role/team/reader")
    aws.deny(
        "aws-external-anthropic:CreateInference", arn="arn:aws:iam::123456789012:role/team/reader"
    )
    with pytest.raises(anthropic.PermissionDeniedError, match="not authorized"):
        claude.messages.create(**ASK)


def test_a_throttle_is_429_here(aws, claude):
    aws.faults.add(Fault(code="ThrottlingException", retry_after="3"))
    with pytest.raises(anthropic.RateLimitError) as caught:
        claude.messages.create(**ASK)
    assert caught.value.response.headers["retry-after"] == "3"


def test_another_workspace_is_refused(aws, keys):
    with (
        anthropic.AnthropicAWS(
            base_url=aws.url(), workspace_id="wrkspc_other", aws_region="us-east-1", **keys
        ) as client,
        pytest.raises(anthropic.PermissionDeniedError, match="workspace"),
    ):
        client.messages.create(**ASK)


def test_a_body_that_bedrock_would_not_take_is_refused(aws, clock, broker):
    url, body = f"{aws.url()}/model/a%3Ab/invoke", b'{"model": "a"}'
    made = sign(
        method="POST",
        url=url,
        headers={},
        body=body,
        credentials=broker,
        service="bedrock",
        region="us-east-1",
        at=clock.now(),
    )
    answer = httpx2.post(url, content=body, headers=made)
    assert answer.status_code == 400
    assert "anthropic_version" in answer.json()["message"]


def bearer(clock, credentials, **changes):
    given = {
        "method": "POST",
        "url": "https://bedrock.amazonaws.com/?Action=CallWithBearerToken",
        "credentials": credentials,
        "service": "bedrock",
        "region": "us-east-1",
        "at": clock.now(),
        "expires": timedelta(hours=12),
    }
    text = presign(**given | changes).removeprefix("https://") + "&Version=1"
    return "bedrock-api-key-" + base64.b64encode(text.encode()).decode()


def asked(aws, token):
    with anthropic.AnthropicBedrock(
        base_url=aws.url(), aws_region="us-east-1", api_key=token, max_retries=0
    ) as client:
        return client.messages.create(**ASK)


def test_a_bearer_is_good_until_it_or_its_session_ends(aws, clock, broker, session):
    long, short = bearer(clock, broker), bearer(clock, session(timedelta(minutes=15)))
    for token in (long, short):
        assert asked(aws, token).content[0].text == aws.claude.reply
    clock.advance(timedelta(minutes=15))
    with pytest.raises(anthropic.PermissionDeniedError, match="expired"):
        asked(aws, short)
    clock.advance(timedelta(hours=11))
    asked(aws, long)
    clock.advance(timedelta(hours=1))
    with pytest.raises(anthropic.PermissionDeniedError):
        asked(aws, long)


def test_the_bearer_that_awss_own_generator_makes_is_accepted(aws, session):
    credentials = session()
    token = BedrockTokenGenerator().get_token(
        Credentials(
            credentials.access_key_id,
            credentials.secret.reveal(),
            credentials.session_token.reveal(),
        ),
        "us-east-1",
    )
    assert asked(aws, token).content[0].text == aws.claude.reply


def test_mantle_takes_the_bearer_as_an_api_key(aws, clock, broker):
    with anthropic.Anthropic(
        base_url=f"{aws.url()}/anthropic", api_key=bearer(clock, broker)
    ) as client:
        assert client.messages.create(**ASK).content[0].text == aws.claude.reply


@pytest.mark.parametrize(
    "changes",
    [
        {"region": "us-west-2"},
        {"service": "sts"},
        {"method": "GET"},
        {"url": "https://bedrock.amazonaws.com/?Action=Other"},
        {"url": "https://sts.amazonaws.com/?Action=CallWithBearerToken"},
    ],
)
def test_a_bearer_is_bound_to_what_it_is_for(aws, clock, broker, changes):
    with pytest.raises(anthropic.PermissionDeniedError):
        asked(aws, bearer(clock, broker, **changes))


@pytest.mark.parametrize("token", ["abc", "bedrock-api-key-%%%", "bedrock-api-key-/w=="])
def test_a_bearer_that_cannot_be_read_is_refused(aws, token):
    with pytest.raises(anthropic.PermissionDeniedError):
        asked(aws, token)
