"""The real anthropic SDK against the stand-in: it must not notice a difference."""

import asyncio

import anthropic
import httpx2
import pytest
from stubwire import KEY

from secretkit.testing.stub.issuer import TokenIssuer

HELLO = {
    "model": "claude-opus-4-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "hi"}],
}


@pytest.fixture
def client(stub):
    with anthropic.Anthropic(api_key=KEY, base_url=stub.url, max_retries=0) as made:
        yield made


def test_a_plain_message(client, stub):
    got = client.messages.create(**HELLO)
    assert got.content[0].text == stub.reply
    assert got.stop_reason == "end_turn"
    assert got.usage.output_tokens == len(stub.reply.split())
    assert got._request_id == stub.log[0].request_id


def test_both_streaming_styles_give_the_same_text(client, stub):
    with client.messages.create(**HELLO, stream=True) as events:
        text = "".join(e.delta.text for e in events if e.type == "content_block_delta")
    with client.messages.stream(**HELLO) as stream:
        assert "".join(stream.text_stream) == text == stub.reply
        final = stream.get_final_message()
    assert final.content[0].text == stub.reply
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == len(stub.reply.split())
    assert stub.count(stream=True, finished=True) == 2


def test_the_other_endpoints(client):
    counted = client.messages.count_tokens(model=HELLO["model"], messages=HELLO["messages"])
    assert counted.input_tokens > 0
    names = [model.id for model in client.models.list(limit=1)]
    assert len(names) == 3
    assert client.models.retrieve(names[1]).id == names[1]
    beta = client.beta.messages.create(**HELLO, betas=["a-2026-01-01"])
    assert beta.content[0].text


def test_the_async_client_does_all_of_it_concurrently(stub):
    async def everything():
        async with anthropic.AsyncAnthropic(
            api_key=KEY, base_url=stub.url, max_retries=0
        ) as client:
            plain = await asyncio.gather(*(client.messages.create(**HELLO) for _ in range(20)))
            events = await client.messages.create(**HELLO, stream=True)
            deltas = [e.delta.text async for e in events if e.type == "content_block_delta"]
            async with client.messages.stream(**HELLO) as stream:
                final = await stream.get_final_text()
            models = [model.id async for model in client.models.list()]
            return {m.content[0].text for m in plain} | {"".join(deltas), final}, models

    texts, models = asyncio.run(everything())
    assert texts == {stub.reply}
    assert len(models) == 3
    assert stub.count(status=200) == 23


ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    402: anthropic.PaymentRequiredError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.APIStatusError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    503: anthropic.ServiceUnavailableError,
    529: anthropic.OverloadedError,
}


@pytest.mark.parametrize("status", ERRORS)
def test_an_error_becomes_the_sdk_s_own_class(client, stub, status):
    stub.next(status=status)
    with pytest.raises(ERRORS[status]) as caught:
        client.messages.create(**HELLO)
    assert caught.value.status_code == status
    assert caught.value.request_id == stub.log[0].request_id
    assert caught.value.body["error"]["message"]


def test_a_refused_key_is_an_authentication_error(client, stub):
    stub.keys.refuse("a")
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(**HELLO)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(**HELLO, stream=True)


def test_a_request_the_sdk_lets_through_is_a_bad_request(client):
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**HELLO, extra_body={"surprise": 1})


def test_the_sdk_retries_what_it_should(stub):
    stub.next(status=529, retry_after=0, headers={"retry-after-ms": "1"})
    with anthropic.Anthropic(api_key=KEY, base_url=stub.url, max_retries=1) as client:
        client.messages.create(**HELLO)
    assert [record.status for record in stub.log] == [529, 200]


def test_a_stream_that_is_cut_is_not_a_clean_end(client, stub):
    stub.next(cut_after=4)
    with (
        pytest.raises(httpx2.RemoteProtocolError),
        client.messages.create(**HELLO, stream=True) as events,
    ):
        list(events)


def test_an_error_event_is_an_error_of_the_stream(client, stub):
    stub.next(error_after=4)
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
        client.messages.stream(**HELLO) as stream,
    ):
        list(stream)


def test_a_stub_that_is_down_is_a_connection_error(client, stub):
    stub.down()
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.create(**HELLO)
    stub.up()
    assert client.messages.create(**HELLO).content


def test_credentials_with_an_access_token(stub):
    token, label = stub.keys.mint(life=stub.tokens.ttl)
    provider = lambda *, force_refresh=False: anthropic.AccessToken(token.reveal(), 0)  # noqa: E731
    with anthropic.Anthropic(credentials=provider, base_url=stub.url, max_retries=0) as client:
        assert client.messages.create(**HELLO).content
    assert stub.count(key=label, spelling="bearer", status=200) == 1


def test_workload_identity_from_exchange_to_message(stub, fake_clock):
    issuer = TokenIssuer("https://id.example.org", clock=fake_clock)
    ids = stub.organization.federate(issuer, subject="me")
    credentials = anthropic.WorkloadIdentityCredentials(
        identity_token_provider=lambda: issuer.token("me").reveal(),
        federation_rule_id=ids.federation_rule_id,
        organization_id=ids.organization_id,
        service_account_id=ids.service_account_id,
    )
    with (
        credentials,
        anthropic.Anthropic(credentials=credentials, base_url=stub.url, max_retries=0) as client,
    ):
        for _ in range(3):
            assert client.messages.create(**HELLO).content
    assert stub.count(path="/v1/oauth/token", status=200) == 1
    assert stub.count(path="/v1/messages", key="token-1") == 3
