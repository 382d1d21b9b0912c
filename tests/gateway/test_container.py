"""The container endpoint: any AWS SDK on this machine, and nobody else.

Rows G01 G02 G04 G05 G19 G21 G22 G31 G33 of the scorecard; G19 and G21 are the command's.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import botocore.session
import pytest

from secretkit.core.credential import AwsCredentials, Credential, Opaque
from secretkit.core.lease import Lease
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretkitError
from secretkit.gateway.container import ContainerServer

TOKEN = "t" * 20 + "-" + "u" * 22
END = datetime(2999, 1, 1, tzinfo=UTC)
SESSION = AwsCredentials("ASIAEXAMPLE", Secret("s" * 30), Secret("session-" + "k" * 30), END)


class Served:
    """A server in a thread of its own; ``give`` is what it leases, ``count`` how often."""

    def __init__(self) -> None:
        self.give: Callable[[], Credential] = lambda: SESSION
        self.count = 0
        self.notes: list[SecretkitError] = []
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None

    async def _serve(self) -> None:
        server = ContainerServer(self._lease, token=Secret(TOKEN), note=self.notes.append)
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.url = await server.start()
        self._ready.set()
        await self._ended.wait()
        await server.stop()

    def _lease(self) -> Lease:
        self.count += 1
        now = datetime.now(UTC)  # noqa: TID251 - botocore reads the real clock
        return Lease(
            id="id",
            name="x",
            holder="h",
            ref="aws:x",
            generation=1,
            credential=self.give(),
            granted_at=now,
            expires_at=END,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._ended is not None
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def send(self, data: bytes) -> bytes:
        """Give the whole answer to raw bytes."""
        with socket.create_connection(self.place, timeout=10) as sock:
            sock.sendall(data)
            return received(sock)

    def ask(self, *lines: str, path: str = "/credentials", method: str = "GET") -> bytes:
        host = "" if any(line.startswith("Host:") for line in lines) else f"Host: {self.host}\r\n"
        text = f"{method} {path} HTTP/1.1\r\n{host}" + "".join(f"{line}\r\n" for line in lines)
        return self.send(text.encode() + b"\r\n")

    @property
    def host(self) -> str:
        return "{}:{}".format(*self.place)


def received(sock: socket.socket) -> bytes:
    found = b""
    while more := sock.recv(65536):
        found += more
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


GOOD = f"Authorization: {TOKEN}"


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as one:
        yield one


def test_an_sdk_is_given_the_session(served: Served) -> None:
    answer = served.ask(GOOD)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Cache-Control: no-store" in head
    assert json.loads(body) == {
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "s" * 30,
        "Token": "session-" + "k" * 30,
        "Expiration": "2999-01-01T00:00:00Z",
    }


def test_botocore_s_own_provider_takes_it(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", served.url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    found = botocore.session.Session().get_credentials()
    assert found.method == "container-role"
    assert found.get_frozen_credentials().token == "session-" + "k" * 30


def test_a_host_of_another_name_is_misdirected(served: Served) -> None:
    """G01."""
    port = served.place[1]
    for host in (f"evil.example:{port}", "evil.example", "127.0.0.1", f"127.0.0.1:{port + 1}"):
        assert status(served.ask(f"Host: {host}", GOOD)) == 421
    assert status(served.send(f"GET /credentials HTTP/1.1\r\n{GOOD}\r\n\r\n".encode())) == 421
    assert status(served.ask(f"Host: localhost:{port}", GOOD)) == 200
    assert served.count == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1"])
def test_a_browser_is_forbidden(served: Served, origin: str) -> None:
    """G02."""
    answer = served.ask(f"Origin: {origin}", GOOD)
    assert status(answer) == 403
    assert b"access-control" not in answer.lower()
    assert status(served.ask("Sec-Fetch-Site: cross-site", GOOD)) == 403
    assert served.count == 0


def test_every_wrong_token_is_answered_with_the_same_bytes(served: Served) -> None:
    """G04."""
    answers = {
        served.ask(),
        served.ask("Authorization: "),
        served.ask("Authorization: wrong"),
        served.ask(f"Authorization: Bearer {TOKEN}"),
        served.ask(f"Authorization: {TOKEN}x"),
        served.ask(f"Authorization: {TOKEN[:-1]}"),
        served.ask("Authorization: x", path="/other"),
        served.ask("Authorization: x", method="POST"),
    }
    assert len(answers) == 1
    assert status(answers.pop()) == 401
    assert served.count == 0


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked"],
        ["Transfer-Encoding : chunked"],
        ["Content-Length: +5"],
        ["Content-Length: 0", "Content-Length: 5"],
        ["X: a", " folded"],
        ["X: a\nY: b"],
        ["X: \x00"],
        ["no colon"],
        [GOOD],
        ["X: ü"],
    ],
    ids=str,
)
def test_what_could_be_read_in_two_ways_is_refused_and_closed(
    served: Served, lines: list[str]
) -> None:
    """G05; the last answer is the end of the connection, or ``send`` would not return."""
    assert status(served.ask(GOOD, *lines)) == 400
    assert served.count == 0


@pytest.mark.parametrize(
    "start", ["", "GET", "GET /credentials", "get /credentials HTTP/1.1", "GET  / HTTP/1.1"]
)
def test_a_request_line_that_is_none_is_refused(served: Served, start: str) -> None:
    assert status(served.send(f"{start}\r\nHost: {served.host}\r\n\r\n".encode())) == 400


def test_only_one_path_and_one_method_are_there(served: Served) -> None:
    assert status(served.ask(GOOD, path="/")) == 404
    assert status(served.ask(GOOD, path="/credentials?x")) == 404
    assert status(served.ask(GOOD, method="POST")) == 405


def test_heads_and_bodies_that_are_too_large_are_refused(served: Served) -> None:
    """G31."""
    assert status(served.ask(GOOD, f"X: {'a' * 1_000_000}")) == 431
    assert status(served.ask(GOOD, *(f"X{n}: a" for n in range(10_000)))) == 431
    assert status(served.ask(GOOD, *(f"X{n}: a" for n in range(100)))) == 431
    body = b"x" * 100_000
    head = f"GET /credentials HTTP/1.1\r\nHost: {served.host}\r\n{GOOD}\r\n"
    data = head.encode() + b"Content-Length: 100000\r\n\r\n" + body
    assert status(served.send(data)) == 413
    assert served.count == 0


def test_slow_connections_are_closed_and_hinder_nobody(served: Served) -> None:
    """G22: 200 of them, a header every 3 seconds; all are closed within 10 seconds."""
    start = time.monotonic()
    slow = [socket.create_connection(served.place, timeout=15) for _ in range(200)]
    for sock in slow:
        sock.sendall(b"GET /credentials HTTP/1.1\r\n")
    begun = time.monotonic()
    assert status(served.ask(GOOD)) == 200
    assert time.monotonic() - begun < 1
    threading.Event().wait(3)
    for sock in slow:
        sock.sendall(b"X: a\r\n")
    answers = {status(received(sock)) for sock in slow}
    assert time.monotonic() - start < 10
    assert answers == {408}
    for sock in slow:
        sock.close()


def test_a_token_that_begins_right_takes_as_long_as_any(served: Served) -> None:
    """G33, by the Mann-Whitney test: 200 samples each, taken in turn."""
    kinds = {"near": TOKEN[:-1] + "x", "far": "q" * len(TOKEN)}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(3):  # another try for a machine that was busy with something else
        for turn in range(200):
            for kind in ("near", "far") if turn % 2 else ("far", "near"):
                begun = time.perf_counter()
                served.ask(f"Authorization: {kinds[kind]}")
                times[kind].append(time.perf_counter() - begun)
        if mann_whitney(times["near"], times["far"]) > 0.01:
            return
    pytest.fail("the two differ in time")


def mann_whitney(one: list[float], two: list[float]) -> float:
    """Give the two-sided p by the normal approximation; ties do not occur among float times."""
    from statistics import NormalDist

    ranked = sorted([(x, 0) for x in one] + [(x, 1) for x in two])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(one), len(two)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5
    return 2 * (1 - NormalDist().cdf(abs(z)))


def test_what_cannot_be_leased_is_503_and_noted(served: Served) -> None:
    def fail() -> Credential:
        raise ProviderError("canary-text", ref="aws:x", hint="h", retry_after=timedelta(1))

    served.give = fail
    answer = served.ask(GOOD)
    assert status(answer) == 503
    assert b"canary" not in answer
    assert [str(one) for one in served.notes] == ["canary-text"]
    served.give = lambda: Opaque(Secret("a-password"))
    assert status(served.ask(GOOD)) == 503


def test_a_client_that_goes_away_hinders_nobody_and_leaves_no_word_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for data in (b"", b"GET", f"GET /credentials HTTP/1.1\r\nHost: {served.host}\r\n".encode()):
        with socket.create_connection(served.place, timeout=10) as sock:
            sock.sendall(data)
    assert status(served.ask(GOOD)) == 200
    assert not caplog.text  # a log that fills an unread pipe would stop the server
