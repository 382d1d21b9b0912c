"""Every HTTP library we meet, logging all it can, with real requests that carry a secret."""

from __future__ import annotations

import http.server
import io
import logging
import threading

import pytest

from secretkit.core.secret import Secret
from secretkit.redact import REDACTED, Redactor, install
from secretkit.testing import ClaudeStub

TALKATIVE = ("httpx2", "httpcore2", "anthropic", "botocore", "hvac", "urllib3", "requests", "h11")
VALUE = "canary-" + "no-rule-knows-this" * 3
KEY = "sk-ant" + "-api03-" + "k" * 95


@pytest.fixture
def log():
    """What a handler with our filter wrote, all loggers at DEBUG; and the records it was given."""
    redactor, written, records = Redactor(), io.StringIO(), []
    secrets = [Secret(VALUE), Secret(KEY)]
    for secret in secrets:
        redactor.watch(secret)
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    keep = logging.Handler()
    keep.emit = records.append
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in TALKATIVE}
    level = root.level
    root.setLevel(logging.DEBUG)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    root.addHandler(keep)
    install(handler, redactor=redactor)
    yield lambda: written.getvalue() + "".join(repr(vars(record)) for record in records)
    root.removeHandler(handler)
    root.removeHandler(keep)
    root.setLevel(level)
    for name, was in before.items():
        logging.getLogger(name).setLevel(was)
    del secrets


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the credentials it was sent, in headers and body, as a careless server does."""

    def do_any(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        sent = self.rfile.read(length).decode("latin-1")
        body = (str(self.headers) + sent).encode("latin-1")
        self.send_response(403)
        self.send_header("x-echo", self.headers.get("x-vault-token") or VALUE)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_LIST = do_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def assert_clean(text: str, *, names: tuple[str, ...]) -> None:
    assert all(f"{name}" in text for name in names)
    assert VALUE not in text
    assert KEY not in text


def test_the_libraries_do_log_secrets_without_the_filter(echo, caplog):
    import anthropic

    caplog.set_level(logging.DEBUG)
    with (
        anthropic.Anthropic(api_key="x", base_url=echo, max_retries=0) as client,
        pytest.raises(anthropic.PermissionDeniedError),
    ):
        client.post("/v1/x", cast_to=object, body={}, options={"headers": {"x-api-key": VALUE}})
    assert VALUE in caplog.text


@pytest.mark.parametrize("secret", [VALUE, KEY], ids=["watched", "key-shaped"])
def test_anthropic_and_httpx2_leak_nothing(echo, log, secret):
    import anthropic

    with anthropic.Anthropic(api_key=secret, base_url=echo, max_retries=1) as client:
        headers = {"X-Api-Key": secret, "x-other": secret}
        body = {"key": secret, "nested": [secret]}
        with pytest.raises(anthropic.PermissionDeniedError):
            client.post("/v1/x", cast_to=object, body=body, options={"headers": headers})
    with (
        anthropic.Anthropic(api_key=f"{secret}\n", base_url=echo, max_retries=1) as client,
        pytest.raises(anthropic.APIConnectionError),
    ):
        client.get("/v1/x", cast_to=object)
    text = log()
    assert REDACTED in text
    assert_clean(text, names=("anthropic", "httpx2", "httpcore2"))


def test_our_own_client_leaks_nothing_even_of_a_key_that_no_filter_watches(log, monkeypatch):
    import anthropic

    from secretkit import Broker
    from secretkit.claude import connect

    unwatched = "not-a-key-shape-" + "u" * 40
    monkeypatch.setenv("SECRETKIT_DEBUG_LOGGERS", unwatched)
    with ClaudeStub() as stub, Broker.from_refs(claude="env:SECRETKIT_DEBUG_LOGGERS") as broker:
        stub.keys.accept(unwatched, label="a")
        with connect(broker=broker, base_url=stub.url, max_retries=0) as client:
            client.get("/v1/models", cast_to=object)
            stub.keys.refuse("a")
            with pytest.raises(anthropic.AuthenticationError):
                client.get("/v1/models", cast_to=object)
            stub.down()
            with pytest.raises(anthropic.APIConnectionError):
                client.get("/v1/models", cast_to=object)
        assert [record.key for record in stub.log] == ["a", "a"]
    text = log()
    assert "httpcore2" in text
    assert unwatched not in text


def test_botocore_leaks_nothing(echo, log):
    botocore_session = pytest.importorskip("botocore.session")
    from botocore.config import Config
    from botocore.exceptions import ClientError

    session = botocore_session.Session()
    session.set_credentials("AKIA" + "QWERTYUIOPASDFGH", VALUE, KEY)
    client = session.create_client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=echo,
        config=Config(retries={"max_attempts": 1}),
    )
    with pytest.raises(ClientError):
        client.put_secret_value(SecretId="name", SecretString=VALUE)
    client.close()
    text = log()
    assert REDACTED in text
    assert_clean(text, names=("botocore",))


def test_hvac_leaks_nothing(echo, log):
    hvac = pytest.importorskip("hvac")
    client = hvac.Client(url=echo, token=VALUE)
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.kv.v2.create_or_update_secret(path="app", secret={"key": VALUE})
    logging.getLogger("hvac").debug("failed with %s", VALUE, extra={"token": VALUE})
    client.adapter.close()
    text = log()
    assert REDACTED in text
    assert_clean(text, names=("urllib3",))
