"""The keyring provider keeps the contract, over a back end of the real library."""

import threading
from collections.abc import Sequence
from contextlib import contextmanager
from typing import ClassVar

import keyring.errors
from keyring.backend import KeyringBackend

from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.providers.keyring import KeyringProvider
from secretkit.testing.contract import WritableContract


class InMemory(KeyringBackend):
    priority = 2  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.answering = threading.Event()
        self.answering.set()

    def get_password(self, service: str, username: str) -> str | None:
        self.answering.wait(60)
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.entries:
            raise keyring.errors.PasswordDeleteError("not found")
        del self.entries[service, username]


class TestKeyring(WritableContract):
    keeps_versions: ClassVar[bool] = False

    def setup_method(self) -> None:
        self.backend = InMemory()

    def make_provider(self) -> KeyringProvider:
        return KeyringProvider(self.backend, clock=SystemClock())

    def put(self, name: str, value: str) -> None:
        self.backend.set_password("secretkit", name, value)

    def ref(self, name: str) -> SecretRef:
        return SecretRef("keyring", f"secretkit/{name}")

    def malformed(self) -> Sequence[SecretRef]:
        paths = ("service", "/user", "service/", "service/ ".strip())
        return [SecretRef("keyring", path) for path in paths]

    @contextmanager
    def stalled(self, name: str):
        self.backend.answering.clear()
        yield
        self.backend.answering.set()
