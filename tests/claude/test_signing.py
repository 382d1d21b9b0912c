from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import threading
from datetime import timedelta

import anthropic
import httpx2
import pytest

from claude.amazon_world import REGION, ROLE, WORKSPACE, amazon_world
from secretkit.broker import AsyncBroker
from secretkit.claude import CredentialDelayError, CredentialFaultError, OriginError, SigningAuth
from secretkit.claude.platform import connect, connect_async
from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.core.target import Target
from secretkit.errors import AccessDeniedError, ProviderUnavailableError
from secretkit.ports import Acquired
from secretkit.testing import broker_over
from secretkit.testing.aws import Fault
from secretkit.testing.memory import MemoryProvider
from secretkit.testing.trace import assert_no_trace

MESSAGE = {
    "model": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "the-prompt-canary"}],
}
PLATFORMS = ("bedrock", "bedrock-mantle", "claude-on-aws")
FACES = ("sync", "async")
platforms = pytest.mark.parametrize("platform", PLATFORMS)
faces = pytest.mark.parametrize("face", FACES)
EXPIRED = {"code": "ExpiredTokenException", "status": 403}
SAID = "The security token included in the request is expired"


@pytest.fixture
def world():
    with amazon_world() as made:
        yield made


def client_of(world, platform, face, **options):
    more = {"workspace_id": WORKSPACE} if platform == "claude-on-aws" else {}
    make = connect if face == "sync" else connect_async
    return make(
        "bedrock",
        platform=platform,
        broker=world.broker if face == "sync" else world.aio,
        base_url=world.urls()[platform],
        **({"max_retries": 0} | more | options),
    )


def ask(client):
    client.messages.create(**MESSAGE)
    with client.messages.create(stream=True, **MESSAGE) as events:
        return "".join(e.delta.text for e in events if e.type == "content_block_delta")


async def ask_async(client):
    await client.messages.create(**MESSAGE)
    async with await client.messages.create(stream=True, **MESSAGE) as events:
        return "".join([e.delta.text async for e in events if e.type == "content_block_delta"])


def once(world, platform, face):
    """One plain request with a client of its own; the error it ends in, or None."""
    try:
        if face == "sync":
            with client_of(world, platform, face) as client:
                client.messages.create(**MESSAGE)
            return None

        async def go():
            async with client_of(world, platform, face) as client:
                await client.messages.create(**MESSAGE)

        asyncio.run(go())
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return error
    return None


@platforms
def test_every_request_of_twenty_minutes_is_validly_signed_though_sessions_end_after_fifteen(
    world, platform
):
    """One client object each, plain and streamed, sync and asyncio; the SDK's signer: 0 of 5."""

    async def go():
        async with client_of(world, platform, "async") as later:
            with client_of(world, platform, "sync") as client:
                for _ in range(21):
                    said = [await asyncio.to_thread(ask, client), await ask_async(later)]
                    assert set(said) == {world.aws.claude.reply}
                    world.clock.advance(timedelta(minutes=1))

    asyncio.run(go())
    assert set(world.answers()) == {(200, "")}
    assert len(world.aws.calls) == 21 * 4
    assert 2 <= len(world.sessions.begun) <= 4
    assert world.sessions.begun[0].ends_at < world.clock.now()


@platforms
@faces
def test_a_session_that_ended_early_costs_one_new_one_and_the_caller_nothing(world, platform, face):
    assert once(world, platform, face) is None
    world.aws.accounts.expire(world.sessions.begun[0].credentials.access_key_id)
    assert once(world, platform, face) is None
    assert world.answers() == [(200, ""), (403, "ExpiredTokenException"), (200, "")]
    assert len(world.sessions.begun) == 2


@platforms
@faces
def test_a_session_that_was_taken_away_is_replaced_as_well(world, platform, face):
    assert once(world, platform, face) is None
    world.aws.accounts.deactivate(world.sessions.begun[0].credentials.access_key_id)
    assert once(world, platform, face) is None
    assert world.answers()[1:] == [(403, "UnrecognizedClientException"), (200, "")]


@faces
def test_a_server_that_says_expired_for_ever_is_asked_twice(world, face):
    world.aws.faults.add(Fault(times=0, message=SAID, **EXPIRED))
    error = once(world, "bedrock", face)
    assert isinstance(error, anthropic.PermissionDeniedError)
    assert len(world.aws.calls) == 2
    assert len(world.sessions.begun) == 2


@platforms
@faces
def test_what_the_role_may_not_do_is_asked_once(world, platform, face):
    world.aws.deny("*", arn=ROLE)
    error = once(world, platform, face)
    assert isinstance(error, anthropic.PermissionDeniedError)
    assert "not authorized" in str(error)
    assert world.answers() == [(403, "AccessDeniedException")]
    assert len(world.sessions.begun) == 1


@pytest.mark.parametrize("off", [timedelta(hours=-1), timedelta(hours=1)])
@faces
def test_a_wrong_clock_is_asked_once_and_said(world, off, face):
    """Scorecard B02: new credentials would be refused as well."""
    world.sessions.life = timedelta(hours=3)
    world.broker.engine.clock = _Moved(world.clock, off)
    error = once(world, "bedrock", face)
    assert isinstance(error, anthropic.PermissionDeniedError)
    assert re.search("Signature (expired|not yet current)", str(error))
    assert [code for _, code in world.answers()] == ["InvalidSignatureException"]
    assert len(world.sessions.begun) == 1


class _Moved:
    """A clock that is off."""

    def __init__(self, clock, off):
        self._clock, self._off = clock, off
        self.monotonic = clock.monotonic
        self.wait, self.wait_until = clock.wait, clock.wait_until

    def now(self):
        return self._clock.now() + self._off


@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_a_signature_that_does_not_match_is_not_tried_again(world, code):
    message = "The request signature we calculated does not match the signature you provided."
    world.aws.faults.add(Fault(code=code, message=message, status=403))
    assert isinstance(once(world, "bedrock", "sync"), anthropic.PermissionDeniedError)
    assert len(world.aws.calls) == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredTokenException", SAID),
        ("ExpiredToken", "The provided token has expired."),
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        ("InvalidClientTokenId", "The security token included in the request is invalid"),
        ("AccessDeniedException", "Bearer Token has expired"),
    ],
)
def test_each_way_aws_says_that_credentials_are_over_is_known(world, code, message):
    world.aws.faults.add(Fault(code=code, message=message, status=403))
    assert once(world, "bedrock", "sync") is None
    assert [status for status, _ in world.answers()] == [403, 200]


def test_the_sdks_retries_are_not_needed_and_are_not_added_to(world):
    world.aws.faults.add(Fault(times=0, message=SAID, **EXPIRED))
    with (
        client_of(world, "bedrock", "sync", max_retries=2) as client,
        pytest.raises(anthropic.PermissionDeniedError),
    ):
        client.messages.create(**MESSAGE)
    assert len(world.aws.calls) == 2


def test_a_thousand_signers_begin_one_session(world):
    auth = SigningAuth(
        "bedrock",
        broker=world.broker,
        base_url="https://bedrock-runtime.us-west-2.amazonaws.com",
        service="bedrock",
        region=REGION,
    )
    start = threading.Barrier(50)
    made = []

    def sign():
        start.wait(10)
        for _ in range(20):
            request = httpx2.Request(
                "POST", "https://bedrock-runtime.us-west-2.amazonaws.com/model/m/invoke", json={}
            )
            flow = auth.sync_auth_flow(request)
            made.append(next(flow).headers["authorization"])
            flow.close()

    threads = [threading.Thread(target=sign) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1000
    assert len(world.sessions.begun) == 1


def test_the_copy_for_the_wire_is_signed_over_its_bytes_and_then_masked(world):
    url = f"{world.aws.url()}/model/m%3A0/invoke"
    auth = auth_of(world)
    given = {
        "authorization": "Bearer theirs",
        "x-amz-date": "19990101T000000Z",
        "x-amz-security-token": "theirs",
        "x-amz-content-sha256": "theirs",
        "traceparent": "00-1-2-01",
    }
    request = httpx2.Request("POST", url, json={"a": 1}, headers=given)
    flow = auth.sync_auth_flow(request)
    sealed = next(flow)
    session = world.sessions.begun[0].credentials
    assert sealed.headers["x-amz-security-token"] == session.session_token.reveal()
    names = re.search("SignedHeaders=([^,]+)", sealed.headers["authorization"])[1].split(";")
    assert names == ["content-type", "host", "x-amz-date", "x-amz-security-token"]
    lines = "".join(f"{name}:{sealed.headers[name]}\n" for name in names)
    body = hashlib.sha256(b'{"a":1}').hexdigest()
    canonical = f"POST\n/model/m%253A0/invoke\n\n{lines}\n{';'.join(names)}\n{body}"
    assert sealed.headers["authorization"].endswith(signature(session, sealed, canonical))
    flow.close()
    for header in ("authorization", "x-amz-security-token", "x-amz-date"):
        assert sealed.headers[header] == "[secretkit]"
    assert {name: request.headers[name] for name in given} == given


def signature(session, sealed, canonical):
    stamp = sealed.headers["x-amz-date"]
    key = f"AWS4{session.secret.reveal()}".encode()
    for part in (stamp[:8], REGION, "bedrock", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    scope = f"{stamp[:8]}/{REGION}/bedrock/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def auth_of(world, broker=None, name="bedrock", service="bedrock"):
    return SigningAuth(
        name,
        broker=broker or world.broker,
        base_url=world.aws.url(),
        service=service,
        region=REGION,
    )


@faces
@pytest.mark.parametrize("body", ["form", "iterator"])
def test_a_body_of_any_kind_is_read_signed_and_can_be_sent_again(world, listen, body, face):
    refusal = b'{"message":"The security token included in the request is expired"}'
    echo = listen(
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
        % (len(refusal), refusal)
    )
    auth = SigningAuth(
        "bedrock",
        broker=world.broker,
        base_url=echo.url,
        service="aws-external-anthropic",
        region=REGION,
    )

    async def pieces():
        yield b"the-file"

    if body == "form":
        given = {"files": {"file": ("a.txt", b"the-file")}}
    else:
        given = {"content": pieces() if face == "async" else iter([b"the-file"])}

    async def go():
        async with httpx2.AsyncClient(auth=auth) as client:
            return await client.post(f"{echo.url}/v1/files", **given)

    if face == "async":
        answer = asyncio.run(go())
    else:
        with httpx2.Client(auth=auth) as client:
            answer = client.post(f"{echo.url}/v1/files", **given)
    assert answer.status_code == 403
    assert len(echo.received) == 2
    assert all(b"the-file" in one for one in echo.received)
    assert len(world.sessions.begun) == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke",
        "https://bedrock-runtime.us-west-2.amazonaws.com.evil.example/",
        "https://evil.example/",
    ],
)
def test_another_region_or_host_gets_no_signature(world, url):
    auth = SigningAuth(
        "bedrock",
        broker=world.broker,
        base_url="https://bedrock-runtime.us-west-2.amazonaws.com",
        service="bedrock",
        region=REGION,
    )
    request = httpx2.Request("POST", url, json={})
    with pytest.raises(OriginError, match="bedrock"):
        next(auth.sync_auth_flow(request))
    assert "authorization" not in request.headers
    assert not world.sessions.begun


@platforms
def test_a_stream_goes_on_when_its_session_ends_and_the_next_request_has_another(world, platform):
    with client_of(world, platform, "sync") as client:
        with client.messages.create(stream=True, **MESSAGE) as events:
            said = [next(events)]
            world.clock.advance(timedelta(minutes=16))
            said += events
        assert said[-1].type == "message_stop"
        client.messages.create(**MESSAGE)
    assert world.answers() == [(200, "")] * 2
    assert len(world.sessions.begun) == 2


@platforms
@faces
def test_no_log_holds_the_secret_or_the_session(world, platform, face, caplog):
    with caplog.at_level(logging.DEBUG):
        assert once(world, platform, face) is None
        world.aws.accounts.expire(world.sessions.begun[0].credentials.access_key_id)
        assert once(world, platform, face) is None
    assert "anthropic" in {record.name.split(".")[0] for record in caplog.records}
    for session in world.sessions.begun:
        for one in (session.credentials.secret, session.credentials.session_token):
            assert one.reveal() not in caplog.text
    assert "AWS4-HMAC-SHA256" not in caplog.text


@platforms
@faces
def test_no_error_holds_the_secret_or_the_session(world, platform, face):
    world.aws.deny("*", arn=ROLE)
    error = once(world, platform, face)
    session = world.sessions.begun[0].credentials
    for one in (session.secret, session.session_token):
        assert_no_trace(error, one.reveal())


@faces
def test_a_cut_connection_leaves_no_session_in_the_error(world, face):
    world.aws.faults.add(Fault(code="drop"))
    error = once(world, "bedrock", face)
    assert isinstance(error, anthropic.APIConnectionError)
    assert_no_trace(error, world.sessions.begun[0].credentials.session_token.reveal())


@faces
def test_credentials_that_cannot_be_had_are_the_sdks_own_kinds_of_error(world, face):
    world.sessions.error = ProviderUnavailableError("STS is away", ref=world.sessions.ref)
    assert isinstance(once(world, "bedrock", face), CredentialDelayError)
    assert not world.aws.calls


@faces
def test_a_role_that_may_not_be_assumed_is_an_error_at_once(world, face):
    world.sessions.error = AccessDeniedError("no", ref=world.sessions.ref)
    assert isinstance(once(world, "bedrock", face), CredentialFaultError)


@faces
def test_a_refusal_while_the_source_is_away_is_the_services_own(world, face):
    assert once(world, "bedrock", face) is None
    world.aws.accounts.expire(world.sessions.begun[0].credentials.access_key_id)
    world.sessions.error = ProviderUnavailableError("STS is away", ref=world.sessions.ref)
    assert isinstance(once(world, "bedrock", face), anthropic.PermissionDeniedError)
    assert world.answers() == [(200, ""), (403, "ExpiredTokenException")]


@pytest.mark.parametrize(
    ("kind", "service"),
    [
        ("anthropic-api-key", "bedrock"),
        ("anthropic-access-token", "bedrock-mantle"),
        ("opaque", "aws-external-anthropic"),
    ],
)
def test_a_credential_of_another_platform_is_not_sent(world, kind, service):
    store = MemoryProvider(clock=world.clock)
    key = "sk-ant" + "-api03-" + "K" * 95
    store.set("other", key)
    with broker_over(store, kind=kind, names=("other",), clock=world.clock) as broker:
        auth = auth_of(world, broker=broker, name="other", service=service)
        request = httpx2.Request("POST", f"{world.aws.url()}/x", json={})
        with pytest.raises(CredentialFaultError, match=kind) as caught:
            next(auth.sync_auth_flow(request))
    assert_no_trace(caught.value, key)


def test_a_stored_bedrock_key_goes_out_as_a_bearer(world):
    store = MemoryProvider(clock=world.clock)
    key = "ABSK" + "Q" * 60
    store.set("key", key)
    with broker_over(store, kind="opaque", names=("key",), clock=world.clock) as broker:
        auth = auth_of(world, broker=AsyncBroker(broker), name="key")
        flow = auth.sync_auth_flow(httpx2.Request("POST", f"{world.aws.url()}/x", json={}))
        sealed = next(flow)
        assert sealed.headers["authorization"] == f"Bearer {key}"
        assert "x-amz-date" not in sealed.headers
        flow.close()


def test_a_stored_bedrock_key_that_was_replaced_is_fetched_again(world, listen):
    said = b'{"message":"Authentication failed: Please make sure your API Key is valid."}'
    echo = listen(
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
        % (len(said), said)
    )
    store = MemoryProvider(clock=world.clock)
    old, new = "ABSK" + "O" * 60, "ABSK" + "N" * 60
    store.set("key", old)
    with (
        broker_over(store, kind="opaque", names=("key",), clock=world.clock) as broker,
        connect(
            "key", platform="bedrock", region=REGION, broker=broker, base_url=echo.url
        ) as client,
    ):
        broker.lease("key")
        store.set("key", new)
        with pytest.raises(anthropic.PermissionDeniedError):
            client.messages.create(**MESSAGE)
    sent = [
        re.search(rb"authorization: Bearer (\S+)", one, re.IGNORECASE)[1] for one in echo.received
    ]
    assert sent == [old.encode(), new.encode()]


def test_a_key_with_a_line_break_never_reaches_the_wire(world):
    store = MemoryProvider(clock=world.clock)
    store.set("key", "ABSK" + "Q" * 60 + "\n")
    with broker_over(store, kind="opaque", names=("key",), clock=world.clock) as broker:
        auth = auth_of(world, broker=broker, name="key")
        with pytest.raises(CredentialFaultError, match="line break"):
            next(auth.sync_auth_flow(httpx2.Request("POST", f"{world.aws.url()}/x", json={})))


def test_it_prints_name_and_origin_only(world):
    once(world, "bedrock", "sync")
    auth = auth_of(world)
    assert repr(auth) == f"SigningAuth('bedrock', base_url={world.aws.url()!r})"
    shown = repr(vars(auth))
    session = world.sessions.begun[0].credentials
    assert session.secret.reveal() not in shown
    assert session.session_token.reveal() not in shown


def test_long_term_keys_sign_without_a_session(world):
    user = world.aws.accounts.add_user("app")
    assert user.session_token is None
    held = AwsCredentials(user.access_key_id, Secret(user.secret.reveal()))

    class Fixed:
        ref = "aws:app"

        def acquire(self, *, timeout, refused):
            return Acquired(credential=held, ref=self.ref)

        def revoke(self, handle, *, timeout):
            raise NotImplementedError

    with (
        amazon_world(
            clock=world.clock,
            sources=lambda _: {"bedrock": Fixed()},
            targets={
                "bedrock": Target(platform="bedrock", region=REGION, base_url=world.aws.url())
            },
        ) as other,
        connect("bedrock", platform="bedrock", broker=other.broker) as client,
    ):
        client.messages.create(**MESSAGE)
    assert world.answers() == [(200, "")]
