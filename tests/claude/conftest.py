from __future__ import annotations

import socket
import threading
from types import MappingProxyType

import pytest

from secretkit.broker import AsyncBroker, SystemClock
from secretkit.config.schema import Config, CredentialConfig
from secretkit.core.ref import SecretRef
from secretkit.testing import ClaudeStub, MemoryProvider
from secretkit.wiring import Toolkit


class World:
    """A store, a broker over it, the stand-in, and keys that are made up at run time."""

    def __init__(self, stub: ClaudeStub, kind: str) -> None:
        prefix = "sk-ant" + ("-oat01-" if kind == "anthropic-access-token" else "-api03-")
        self.a, self.b, self.c = (prefix + letter * 95 for letter in "QWZ")
        self.stub = stub
        self.store = MemoryProvider(clock=SystemClock())
        self.store.set("claude", self.a)
        credential = CredentialConfig(
            name="claude", kind=kind, sources=(SecretRef.parse("memory:claude"),)
        )
        config = Config(
            credentials=MappingProxyType({"claude": credential}), ledger_url="sqlite://"
        )
        self._toolkit = Toolkit(config, environ={}, providers={"memory": self.store})
        self.broker = self._toolkit.broker()
        self.aio = AsyncBroker(self.broker)
        for label, key in (("a", self.a), ("b", self.b), ("c", self.c)):
            stub.keys.accept(key, label=label)

    def rotate(self, label: str, *, refuse: str = "") -> None:
        self.store.set("claude", getattr(self, label))
        if refuse:
            self.stub.keys.refuse(refuse)

    def answers(self) -> list[tuple[int, str]]:
        return [(record.status, record.key) for record in self.stub.log]

    def values(self) -> tuple[str, ...]:
        return self.a, self.b, self.c


def _world(kind: str):
    with ClaudeStub() as stub:
        world = World(stub, kind)
        yield world
        world.broker.close()


@pytest.fixture
def world():
    yield from _world("anthropic-api-key")


@pytest.fixture
def token_world():
    yield from _world("anthropic-access-token")


@pytest.fixture
def opaque_world():
    yield from _world("opaque")


class Listener:
    """A second server: keeps every byte it gets and answers each connection with ``answer``."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.received: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                data = b""
                while b"\r\n\r\n" not in data and (more := peer.recv(65536)):
                    data += more
                length = [
                    int(line.split(b":")[1])
                    for line in data.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ]
                body = data.partition(b"\r\n\r\n")[2]
                while length and len(body) < length[0] and (more := peer.recv(65536)):
                    data, body = data + more, body + more
                self.received.append(data)
                peer.sendall(self.answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def listen():
    opened: list[Listener] = []

    def one(answer: bytes) -> Listener:
        opened.append(Listener(answer))
        return opened[-1]

    yield one
    for listener in opened:
        listener.close()
