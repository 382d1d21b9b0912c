"""A token from our own issuer keeps the contract, whoever sits behind the socket."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from secretkit.identity import open_identity
from secretkit.testing.context import provider_context
from secretkit.testing.contract_identity import IdentityContract


class Door:
    """Answers each question with what it was told to."""

    def __init__(self, path):
        self.path, self.answer, self.asked = path, b"", 0
        self.open = threading.Event()
        self.open.set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)  # so that many who ask find it full
        self.listener.settimeout(0.05)
        self.over = False
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.over:
            try:
                line, _ = self.listener.accept()
            except TimeoutError:
                continue
            with line:
                line.settimeout(5)
                line.recv(4096)
                self.asked += 1
                self.open.wait(20)
                try:
                    line.sendall(self.answer)
                except OSError:
                    continue  # the one who asked has gone

    def close(self):
        self.over = True
        self.open.set()
        self.thread.join(10)
        self.listener.close()


class TestIssued(IdentityContract):
    @pytest.fixture(autouse=True)
    def _door(self, tmp_path_factory):
        self.path = tmp_path_factory.mktemp("i") / "issuer.sock"
        self.door = Door(self.path)
        yield
        self.door.close()

    def make_identity(self, audience):
        table = {"type": "issuer", "socket": f"unix://{self.path}"}
        return open_identity(table, audience=audience, context=provider_context())

    def give(self, token):
        self.door.answer = json.dumps({"token": token}).encode() + b"\n"

    def asked(self):
        return self.door.asked

    @contextmanager
    def stalled(self):
        self.door.open.clear()
        yield
        self.door.open.set()

    @contextmanager
    def gone(self):
        self.path.unlink()
        yield
