from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import socket
import ssl
import threading
import traceback
import warnings
from datetime import UTC, datetime, timedelta

import anthropic
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import secretkit.claude
from secretkit.broker import Broker
from secretkit.claude import (
    CredentialFaultError,
    OriginError,
    async_client_arguments,
    client_arguments,
    connect,
    connect_async,
)
from secretkit.claude.pinned import PLACEHOLDER
from secretkit.errors import ConfigError, SecretkitError
from secretkit.testing.memory import denied, unavailable

MESSAGE = {
    "model": "claude-sonnet-5",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "the-prompt-canary"}],
}
WAYS = ("plain", "raw stream", "message stream")
MODES = [(way, face) for way in WAYS for face in ("sync", "async")]
modes = pytest.mark.parametrize(("way", "face"), MODES)


def ask(client: anthropic.Anthropic, way: str) -> str:
    if way == "plain":
        return client.messages.create(**MESSAGE).content[0].text
    if way == "raw stream":
        with client.messages.create(stream=True, **MESSAGE) as events:
            return "".join(e.delta.text for e in events if e.type == "content_block_delta")
    with client.messages.stream(**MESSAGE) as stream:
        return stream.get_final_text()


async def ask_async(client: anthropic.AsyncAnthropic, way: str) -> str:
    if way == "plain":
        return (await client.messages.create(**MESSAGE)).content[0].text
    if way == "raw stream":
        async with await client.messages.create(stream=True, **MESSAGE) as events:
            return "".join([e.delta.text async for e in events if e.type == "content_block_delta"])
    async with client.messages.stream(**MESSAGE) as stream:
        return await stream.get_final_text()


def play(world, way, face, *steps, **options):
    """Ask with one client, once before and once after each step; give the texts."""
    options.setdefault("base_url", world.stub.url)
    if face == "sync":
        with connect(broker=world.broker, **options) as client:
            texts = [ask(client, way)]
            for step in steps:
                step()
                texts.append(ask(client, way))
            return texts

    async def all_of_it():
        async with connect_async(broker=world.aio, **options) as client:
            texts = [await ask_async(client, way)]
            for step in steps:
                await asyncio.to_thread(step)
                texts.append(await ask_async(client, way))
            return texts

    return asyncio.run(all_of_it())


def failure_of(world, way, face, **options):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
        play(world, way, face, **options)
    return caught.value


OPENED = {"builtins", "httpx2", "httpcore2", "anthropic", "h11"}


def reachable(error: BaseException) -> list[object]:
    """What an error leads to, but for modules and the broker, which rightly holds the secret."""
    found: dict[int, object] = {}
    left: list[object] = [error]
    while left and len(found) < 200_000:
        one = left.pop()
        if id(one) in found or isinstance(one, type | int):
            continue
        found[id(one)] = one
        if isinstance(one, BaseException):
            left += [one.args, one.__dict__, one.__cause__, one.__context__]
        elif type(one).__module__.partition(".")[0] in OPENED:
            left += gc.get_referents(one)
        elif type(one).__module__ == "secretkit.claude.stream":
            left += [vars(one)]
    return list(found.values())


def assert_no_value(error: BaseException, values) -> None:
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    texts = [str(error), repr(error), "".join(frames.format()), repr(vars(error))]
    with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
        texts.append(pickle.dumps(error).decode("latin-1"))
    texts += [one for one in reachable(error) if isinstance(one, str)]
    texts += [one.decode("latin-1") for one in reachable(error) if isinstance(one, bytes)]
    for value in values:
        assert not [text for text in texts if value in text]


@modes
def test_a_client_made_once_survives_a_refused_key_without_an_sdk_retry(world, way, face):
    texts = play(world, way, face, lambda: world.rotate("b", refuse="a"), max_retries=0)
    assert texts == [world.stub.reply] * 2
    assert world.answers() == [(200, "a"), (401, "a"), (200, "b")]
    assert world.store.fetches == 2


@modes
def test_a_key_renewed_ahead_is_used_by_the_next_request(world, way, face):
    def renew() -> None:
        world.rotate("b")
        world.broker.refresh("claude", seen=1)

    play(world, way, face, renew, max_retries=0)
    assert world.answers() == [(200, "a"), (200, "b")]


@modes
def test_a_dead_key_costs_one_refresh_and_is_then_an_authentication_error(world, way, face):
    world.stub.keys.refuse("a")
    error = failure_of(world, way, face, max_retries=3)
    assert isinstance(error, anthropic.AuthenticationError)
    assert world.answers() == [(401, "a")]
    assert world.store.fetches == 2
    assert_no_value(error, world.values())


@modes
def test_a_new_key_that_is_refused_too_is_not_tried_for_ever(world, way, face):
    world.broker.lease("claude")
    world.stub.keys.refuse("a")
    world.rotate("b", refuse="b")
    assert isinstance(failure_of(world, way, face), anthropic.AuthenticationError)
    assert world.answers() == [(401, "a"), (401, "b")]


def test_a_herd_of_threads_meets_a_refused_key_with_one_refresh(world):
    with connect(broker=world.broker, base_url=world.stub.url, max_retries=0) as client:
        ask(client, "plain")
        world.rotate("b", refuse="a")
        gate, texts = threading.Barrier(64), []

        def one() -> None:
            gate.wait()
            texts.append(ask(client, "plain"))

        threads = [threading.Thread(target=one) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == [world.stub.reply] * 64
    assert world.store.fetches == 2


def test_a_herd_of_tasks_meets_a_refused_key_with_one_refresh(world):
    async def herd():
        async with connect_async(broker=world.aio, base_url=world.stub.url) as client:
            await ask_async(client, "plain")
            world.rotate("b", refuse="a")
            return await asyncio.gather(*(ask_async(client, "plain") for _ in range(64)))

    assert asyncio.run(herd()) == [world.stub.reply] * 64
    assert world.store.fetches == 2


def test_an_access_token_goes_out_with_the_beta_header_it_needs(token_world):
    # The stand-in refuses an access token that comes without the header.
    for face in ("sync", "async"):
        assert play(token_world, "plain", face) == [token_world.stub.reply]
    with connect(broker=token_world.broker, base_url=token_world.stub.url) as client:
        headers = {"anthropic-beta": "files-api-2025-04-14"}
        assert client.messages.create(extra_headers=headers, **MESSAGE).content
    assert token_world.answers() == [(200, "a")] * 3


def test_the_older_header_is_there_for_servers_that_need_it(world):
    play(world, "plain", "sync", header="x-api-key")
    play(world, "plain", "async")
    assert [record.spelling for record in world.stub.log] == ["x-api-key", "bearer"]


@pytest.mark.parametrize("face", ["sync", "async"])
def test_headers_of_the_request_cannot_replace_the_credential(world, face):
    stranger = "sk-ant" + "-api03-" + "S" * 95
    headers = {"Authorization": f"Bearer {stranger}", "X-API-Key": stranger, "Host": "evil.example"}
    if face == "sync":
        with connect(broker=world.broker, base_url=world.stub.url) as client:
            client.messages.create(extra_headers=headers, **MESSAGE)
    else:

        async def ask_with_them():
            async with connect_async(broker=world.aio, base_url=world.stub.url) as client:
                await client.messages.create(extra_headers=headers, **MESSAGE)

        asyncio.run(ask_with_them())
    assert world.answers() == [(200, "a")]


def test_copies_of_the_client_keep_the_credential_and_its_rotation(world):
    with connect(broker=world.broker, base_url=world.stub.url) as client:
        copy = client.with_options(max_retries=0, timeout=30).copy()
        ask(copy, "plain")
        world.rotate("b", refuse="a")
        ask(copy, "plain")
        assert copy.max_retries == 0
    assert world.answers() == [(200, "a"), (401, "a"), (200, "b")]


def redirect_to(url: str, status: int = 307) -> bytes:
    return (
        f"HTTP/1.1 {status} Moved\r\nlocation: {url}/v1/messages\r\ncontent-length: 0\r\n"
        "connection: close\r\n\r\n"
    ).encode()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("asked", [None, True])
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_redirect_takes_neither_key_nor_body_elsewhere(world, listen, status, asked, face):
    second = listen(OK)
    first = listen(redirect_to(second.url, status))

    def post(client):
        options = {} if asked is None else {"follow_redirects": asked}
        return client.post("/v1/messages", cast_to=object, body=MESSAGE, options=options)

    with pytest.raises((anthropic.APIStatusError, OriginError)) as caught:  # noqa: PT012
        if face == "sync":
            with connect(broker=world.broker, base_url=first.url, max_retries=0) as client:
                post(client)
        else:

            async def go():
                arguments = {"broker": world.aio, "base_url": first.url, "max_retries": 0}
                async with connect_async(**arguments) as client:
                    await post(client)

            asyncio.run(go())
    assert second.received == []
    assert world.a.encode() in first.received[0]
    assert_no_value(caught.value, world.values())


def test_the_response_of_a_redirect_has_no_request_with_the_key(world, listen):
    first = listen(redirect_to("", 307))
    with (
        connect(broker=world.broker, base_url=first.url, max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        ask(client, "plain")
    assert_no_value(caught.value, world.values())


@pytest.mark.parametrize("face", ["sync", "async"])
def test_an_absolute_url_to_another_origin_is_refused_before_it_is_reached(world, listen, face):
    other = listen(OK)
    with pytest.raises(OriginError) as caught:  # noqa: PT012
        if face == "sync":
            with connect(broker=world.broker, base_url=world.stub.url) as client:
                client.post(f"{other.url}/v1/messages", cast_to=object, body=MESSAGE)
        else:

            async def go():
                async with connect_async(broker=world.aio, base_url=world.stub.url) as client:
                    await client.post(f"{other.url}/v1/messages", cast_to=object, body=MESSAGE)

            asyncio.run(go())
    assert other.received == []
    assert isinstance(caught.value, SecretkitError)
    assert caught.value.hint
    assert_no_value(caught.value, world.values())


def test_a_copy_with_another_base_url_is_refused(world, listen):
    other = listen(OK)
    with (
        connect(broker=world.broker, base_url=world.stub.url) as client,
        pytest.raises(OriginError),
    ):
        ask(client.with_options(base_url=other.url), "plain")
    assert other.received == []


def test_a_body_that_cannot_be_sent_twice_is_not_sent_twice(world):
    world.broker.lease("claude")
    world.rotate("b", refuse="a")
    with connect(broker=world.broker, base_url=world.stub.url, max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            client.post(
                "/v1/messages",
                cast_to=object,
                content=iter([b"{", b"}"]),
                options={"headers": {"content-length": "2", "content-type": "application/json"}},
            )
        assert world.answers() == [(401, "a")]
        assert ask(client, "plain") == world.stub.reply
    assert world.answers() == [(401, "a"), (200, "b")]


def test_nothing_is_sent_again_once_content_has_come(world):
    world.stub.next(cut_after=3)
    error = failure_of(world, "raw stream", "sync", max_retries=2)
    assert isinstance(error, httpx2.RemoteProtocolError)
    assert len(world.stub.log) == 1
    assert_no_value(error, world.values())


@modes
def test_a_cut_connection_leaves_no_key_in_the_error(world, way, face):
    world.stub.next(cut_after=0)
    error = failure_of(world, way, face, max_retries=0)
    assert isinstance(error, anthropic.APIConnectionError)
    assert_no_value(error, world.values())


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_refused_connection_leaves_no_key_in_the_error(world, face):
    world.stub.down()
    error = failure_of(world, "plain", face, max_retries=0)
    assert isinstance(error, anthropic.APIConnectionError)
    assert isinstance(error.__cause__, httpx2.ConnectError)
    assert_no_value(error, world.values())


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 429, 500, 529])
def test_no_status_error_holds_a_key(world, status):
    world.stub.next(status=status)
    error = failure_of(world, "plain", "sync", max_retries=0)
    assert isinstance(error, anthropic.APIStatusError)
    assert error.status_code == status
    assert_no_value(error, world.values())


def test_the_request_of_an_answer_has_the_placeholder_only(world):
    with connect(broker=world.broker, base_url=world.stub.url) as client:
        raw = client.messages.with_raw_response.create(**MESSAGE)
        assert raw.http_response.request.headers["authorization"] == f"Bearer {PLACEHOLDER}"
        assert raw.http_response.history == []


def test_neither_the_client_nor_what_it_is_made_of_shows_a_key(world):
    with connect(broker=world.broker, base_url=world.stub.url) as client:
        ask(client, "plain")
        transport = client._client._transport
        shown = [repr(vars(one)) for one in (client, client._client, transport, transport._auth)]
        shown += [repr(client), repr(transport._auth), repr(client.auth_headers)]
    assert not [text for text in shown if world.a in text]
    assert "claude" in repr(transport._auth)


HOSTILE = {
    "ANTHROPIC_API_KEY": "sk-ant" + "-api03-" + "H" * 95,
    "ANTHROPIC_AUTH_TOKEN": "sk-ant" + "-oat01-" + "H" * 95,
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Api-Key: hostile-key\nX-Evil: 1\nanthropic-version: 1999-01-01",
    "ANTHROPIC_WEBHOOK_SIGNING_KEY": "whsec" + "_" + "H" * 32,
    "ANTHROPIC_PROFILE": "nobody",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "",
    "SSL_CERT_FILE": "/nonexistent",
    "SSL_CERT_DIR": "/nonexistent",
    "SSLKEYLOGFILE": "/nonexistent/keys",
    "NETRC": "/nonexistent",
}


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_hostile_environment_changes_nothing(world, monkeypatch, listen, face):
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    echo = listen(OK)
    broker = world.broker if face == "sync" else world.aio
    client = (connect if face == "sync" else connect_async)(broker=broker, base_url=echo.url)
    for one in (client, client.with_options(max_retries=1)):
        asked = one.post("/v1/messages", cast_to=object, body=MESSAGE)
        if face == "async":

            async def go(asked=asked):
                await asked

            if one is client:
                asyncio.run(go())
            else:
                asked.close()
    sent = b"".join(echo.received).lower()
    assert f"bearer {world.a}".lower().encode() in sent
    assert b"evil" not in sent
    assert b"hostile" not in sent
    assert b"1999" not in sent
    assert client.webhook_key is None
    assert client.with_options(max_retries=1).webhook_key is None
    if face == "sync":
        client.close()
    else:
        asyncio.run(client.close())


def test_without_a_base_url_it_is_the_claude_api_whatever_the_environment_says(world, monkeypatch):
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    with connect(broker=world.broker) as client:
        assert client.base_url.host == "api.anthropic.com"
    with connect(broker=world.broker, ca_bundle=ssl.get_default_verify_paths().openssl_cafile):
        pass


def test_the_sdks_own_timeouts_limits_and_retries_are_kept(world):
    with connect(broker=world.broker) as client, anthropic.Anthropic(api_key="x") as plain:
        assert client.timeout == plain.timeout == anthropic.DEFAULT_TIMEOUT
        assert client._timeout_overridden is plain._timeout_overridden is False
        assert client.max_retries == plain.max_retries
        ours = client._client._transport._inner._pool
        theirs = plain._client._transport._pool
        assert ours._max_connections == theirs._max_connections
        assert ours._max_keepalive_connections == theirs._max_keepalive_connections
        assert sorted(ours._socket_options) == sorted(theirs._socket_options)
        assert client._client.follow_redirects is False
    with connect(broker=world.broker, timeout=timedelta(seconds=7)) as client:
        assert client.timeout == 7


@pytest.mark.parametrize(
    "option",
    ["api_key", "auth_token", "credentials", "config", "profile", "http_client", "_token_cache"],
)
@pytest.mark.parametrize("make", [connect, connect_async])
def test_an_option_that_carries_a_key_is_refused(world, option, make):
    with pytest.raises(TypeError, match="past the broker") as caught:
        make(broker=world.broker, **{option: "anything"})
    assert "anything" not in str(caught.value)


@pytest.mark.parametrize("method", ["copy", "with_options"])
@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "anything"},
        {"auth_token": "anything"},
        {"credentials": lambda: "anything"},
        {"config": {}},
        {"profile": "anything"},
        {"http_client": None},
        {"_extra_kwargs": {"credentials": "anything"}},
        {"default_headers": {"X-Api-Key": "anything"}},
        {"set_default_headers": {"Authorization": "anything"}},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_copy_with_a_key_of_its_own_is_refused(world, make, options, method):
    client = make(broker=world.broker, base_url=world.stub.url)
    with pytest.raises(TypeError, match="past the broker") as caught:
        getattr(client, method)(**options)
    assert "anything" not in str(caught.value)


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_timeout_that_is_no_timedelta_is_refused_by_name(world, make):
    with pytest.raises(TypeError, match="timedelta"):
        make(broker=world.broker, timeout=30)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_file_is_uploaded_with_the_new_key_after_a_refusal(world, listen, face):
    """The stand-in has no files; what counts is that the whole form comes a second time."""
    server = listen(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    world.broker.lease("claude")
    world.rotate("b")
    file = ("x.txt", b"the-file-canary", "text/plain")
    options = {"broker": world.broker, "base_url": server.url, "max_retries": 0}

    async def upload() -> None:
        async with connect_async(**options) as client:
            await client.beta.files.upload(file=file)

    with pytest.raises(anthropic.AuthenticationError):  # noqa: PT012 - one call each
        if face == "sync":
            with connect(**options) as client:
                client.beta.files.upload(file=file)
        else:
            asyncio.run(upload())
    assert [world.a.encode() in one for one in server.received] == [True, False]
    assert [world.b.encode() in one for one in server.received] == [False, True]
    assert all(b"the-file-canary" in one for one in server.received)


def test_a_trace_sees_no_key(world):
    shown: list[object] = []
    with connect(broker=world.broker, base_url=world.stub.url) as client:
        client._client.get(
            f"{world.stub.url}/v1/models", extensions={"trace": lambda *seen: shown.append(seen)}
        )
    assert shown == []


@pytest.mark.parametrize("option", ["trust_env", "verify", "cert"])
def test_an_option_that_changes_what_is_trusted_is_refused(world, option):
    with pytest.raises(TypeError, match="ca_bundle"):
        connect(broker=world.broker, **{option: False})


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "X-API-KEY"])
def test_a_default_header_that_carries_a_key_is_refused(world, header):
    with pytest.raises(TypeError, match="past the broker"):
        connect(broker=world.broker, default_headers={header: "x"})


def test_an_unknown_name_is_refused_at_once(world):
    with pytest.raises(ConfigError, match="cloud") as caught:
        connect("cloud", broker=world.broker)
    assert "claude" in caught.value.hint


@pytest.mark.parametrize(
    "proxy", ["ftp://h:1", "socks5://u:" + "proxy-pass-canary@h:1", "", "proxy:3128", 5]
)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(world, proxy):
    with pytest.raises(ConfigError, match="proxy") as caught:
        connect(broker=world.broker, proxy=proxy)
    assert "canary" not in f"{caught.value!r} {caught.value.__context__!r}"


def test_a_proxy_never_sees_a_plain_http_request(world):
    with pytest.raises(ConfigError, match="proxy"):
        connect(broker=world.broker, base_url=world.stub.url, proxy="http://127.0.0.1:9")


def test_an_https_request_goes_through_the_named_proxy_without_showing_it_the_key(world, listen):
    proxy = listen(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    options = {"proxy": proxy.url, "max_retries": 0}
    with (
        connect(broker=world.broker, **options) as client,
        pytest.raises(anthropic.APIConnectionError) as caught,
    ):
        ask(client, "plain")
    assert proxy.received[0].startswith(b"CONNECT api.anthropic.com:443 ")
    assert world.a.encode() not in b"".join(proxy.received)
    assert_no_value(caught.value, world.values())


def test_a_ca_bundle_must_hold_certificates(world, tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    for file in (tmp_path / "empty.pem", tmp_path / "absent.pem", tmp_path):
        with pytest.raises(ConfigError, match="CA bundle") as caught:
            connect(broker=world.broker, ca_bundle=file)
        assert "PEM" in caught.value.hint


def test_a_ca_bundle_is_what_is_trusted_and_no_key_log_is_written(world, tmp_path, monkeypatch):
    bundle, key_log = tmp_path / "ca.pem", tmp_path / "keys.log"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(bundle, tmp_path / "key.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(key_log))
    server = TlsServer(context)
    try:
        url = f"https://localhost:{server.port}"
        with connect(broker=world.broker, base_url=url, ca_bundle=bundle) as client:
            client.post("/v1/messages", cast_to=object, body=MESSAGE)
        with (
            connect(broker=world.broker, base_url=url, max_retries=0) as client,
            pytest.raises(anthropic.APIConnectionError),
        ):
            ask(client, "plain")
    finally:
        server.close()
    assert world.a.encode() in b"".join(server.received)
    assert len(server.received) == 1
    assert not key_log.exists()


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_request_reaches_its_server_through_a_proxys_tunnel(world, tmp_path, face):
    bundle = tmp_path / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(bundle, tmp_path / "key.pem"))
    server = TlsServer(context)
    options = {
        "base_url": f"https://localhost:{server.port}",
        "proxy": f"http://127.0.0.1:{server.port}",
        "ca_bundle": bundle,
    }

    async def post() -> None:
        async with connect_async(broker=world.aio, **options) as client:
            await client.post("/v1/messages", cast_to=object, body=MESSAGE)

    try:
        if face == "sync":
            with connect(broker=world.broker, **options) as client:
                client.post("/v1/messages", cast_to=object, body=MESSAGE)
        else:
            asyncio.run(post())
    finally:
        server.close()
    assert [world.a.encode() in one for one in server.received] == [True]
    assert len(server.tunnels) == 1
    assert world.a.encode() not in server.tunnels[0]


def self_signed(bundle, key_file):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    bundle.write_bytes(made.public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return bundle, key_file


class TlsServer:
    """Answers OK over TLS, to those who came through its tunnel too."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.received: list[bytes] = []
        self.tunnels: list[bytes] = []
        self._context = context
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            peer.settimeout(5)
            try:
                if peer.recv(1, socket.MSG_PEEK) == b"C":
                    self.tunnels.append(peer.recv(65536))
                    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self._context.wrap_socket(peer, server_side=True) as secure:
                    data = b""
                    while not data.endswith(b"}") and (more := secure.recv(65536)):
                        data += more
                    self.received.append(data)
                    secure.sendall(OK)
            except OSError:
                peer.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.anthropic.com",
        "ftp://127.0.0.1",
        "api.anthropic.com",
        "https://",
        "https://user:" + "url-pass-canary@api.anthropic.com",
        "https://api.anthropic.com/?key=1",
        "https://api.anthropic.com/#x",
        "https://[::1",
        "",
        5,
    ],
)
def test_a_base_url_that_would_give_the_key_away_is_refused(world, base_url):
    with pytest.raises(ConfigError) as caught:
        connect(broker=world.broker, base_url=base_url)
    assert caught.value.hint
    assert "canary" not in f"{caught.value!r} {caught.value.__context__!r}"


@pytest.mark.parametrize(
    "bad",
    ["\n", "\r\n", " ", "\t", '"', "'", "\u200b", "\uff53", "\u00a0", "\x7f", "\r\nX-Evil: 1"],
)
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_malformed_key_never_reaches_the_wire(world, bad, face):
    world.store.set("claude", world.a + bad)
    error = failure_of(world, "plain", face, max_retries=0)
    assert isinstance(error, CredentialFaultError)
    assert isinstance(error, anthropic.CredentialsError)
    assert error.hint
    assert world.stub.log == ()
    assert_no_value(error, world.values())


def test_a_secret_of_another_kind_is_not_sent(opaque_world):
    error = failure_of(opaque_world, "plain", "sync")
    assert isinstance(error, CredentialFaultError)
    assert "opaque" in str(error)
    assert "anthropic-api-key" in error.hint
    assert opaque_world.stub.log == ()
    assert_no_value(error, opaque_world.values())


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_store_that_refuses_is_an_error_at_once(world, face):
    world.store.otherwise = denied()
    error = failure_of(world, "plain", face, max_retries=2)
    assert isinstance(error, CredentialFaultError)
    assert world.store.fetches == 1
    assert pickle.loads(pickle.dumps(error)).hint == error.hint  # noqa: S301 - our own bytes


def test_a_store_that_is_away_is_tried_again_by_the_sdk(world):
    world.store.script.append(unavailable())
    assert play(world, "plain", "sync", max_retries=4) == [world.stub.reply]
    assert world.store.fetches == 2


def test_a_store_that_stays_away_is_named(world):
    world.store.otherwise = unavailable()
    error = failure_of(world, "plain", "sync", max_retries=0)
    assert isinstance(error, secretkit.claude.CredentialDelayError)
    assert isinstance(error, anthropic.RetryableError)
    assert "claude" in str(error)


def test_a_store_that_is_away_does_not_disturb_a_lease_in_hand(world):
    def away() -> None:
        world.store.otherwise = unavailable()

    assert play(world, "plain", "sync", away) == [world.stub.reply] * 2


def test_a_client_of_your_own_takes_it_with_one_argument(world):
    arguments = client_arguments(broker=world.broker, base_url=world.stub.url)
    with anthropic.Anthropic(**arguments, max_retries=0) as client:
        ask(client, "plain")
        world.rotate("b", refuse="a")
        ask(client, "raw stream")

    async def go():
        arguments = async_client_arguments(broker=world.broker, base_url=world.stub.url)
        async with anthropic.AsyncAnthropic(**arguments, max_retries=0) as client:
            await ask_async(client, "message stream")

    asyncio.run(go())
    assert world.answers() == [(200, "a"), (401, "a"), (200, "b"), (200, "b")]


def test_closing_the_client_leaves_the_given_broker_open(world):
    with connect(broker=world.broker, base_url=world.stub.url) as client:
        ask(client, "plain")
    assert world.broker.peek("claude") is not None


@pytest.fixture
def configured(world, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRETKIT_CONFIG", str(tmp_path / "secretkit.toml"))
    monkeypatch.setenv("A_KEY_FOR_THIS_TEST", world.a)
    (tmp_path / "secretkit.toml").write_text(
        '[credentials.claude]\nkind = "anthropic-api-key"\nsource = "env:A_KEY_FOR_THIS_TEST"\n'
        '[ledger]\nurl = "sqlite://"\n'
    )
    (tmp_path / "secretkit.toml").chmod(0o600)


@pytest.mark.usefixtures("configured")
def test_the_configurations_broker_is_closed_with_its_client(world):
    with connect(base_url=world.stub.url) as client:
        ask(client, "plain")
        broker = client._client._transport._auth._blocking
        assert broker.peek("claude") is not None
    assert broker._closed


def open_brokers() -> list[Broker]:
    return [one for one in gc.get_objects() if type(one) is Broker and not one._closed]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("cloud", {}, ConfigError),
        ("claude", {"header": "x-evil"}, ConfigError),
        ("claude", {"no_such_option": 1}, TypeError),
        ("claude", {"timeout": 30}, TypeError),
    ],
)
@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_client_that_cannot_be_made_leaves_no_broker_open(make, name, options, error):
    before = open_brokers()
    with pytest.raises(error) as caught:
        make(name, **options)
    for _ in range(100):  # the asyncio client's is closed in a thread
        if len(open_brokers()) <= len(before):
            break
        threading.Event().wait(0.02)
    assert [one for one in open_brokers() if one not in before] == []
    del caught


def test_unclosed_clients_give_their_connections_back(world):
    with warnings.catch_warnings():  # what other tests left is not this one's
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    client = connect(broker=world.broker, base_url=world.stub.url)
    ask(client, "plain")
    del client
    gc.collect()  # a socket left open would be a ResourceWarning, which is an error here
