"""The local store keeps the contract, with its key in a file and in a keyring."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.providers.local import LocalProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import WritableContract
from secretkit.testing.memory import MemoryProvider


class TestLocal(WritableContract):
    key: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.context = provider_context(
            state_dir=str(tmp_path / "state"),
            providers={"keyring": MemoryProvider(clock=SystemClock())},
        )
        with closing(LocalProvider.open({"key": dict(self.key)}, self.context)) as made:
            made.create()
        self.provider = LocalProvider.open({"key": dict(self.key)}, self.context)
        self.writer = LocalProvider.open({"key": dict(self.key)}, self.context)

    def make_provider(self) -> LocalProvider:
        return self.provider

    def put(self, name: str, value: str) -> None:
        self.writer.write(self.ref(name), Secret(value))

    def ref(self, name: str) -> SecretRef:
        return SecretRef("local", name)

    def malformed(self) -> Sequence[SecretRef]:
        return (
            SecretRef("local", "/absolute"),
            SecretRef("local", "name", version="0"),
            SecretRef("local", "name", version="01"),
            SecretRef("local", "name", version="-1"),
            SecretRef("local", "name", version="\N{ARABIC-INDIC DIGIT ONE}"),
            SecretRef("local", "name", version="9" * 40),
        )


class TestLocalWithKeyring(TestLocal):
    key: ClassVar[Mapping[str, str]] = {"type": "keyring", "service": "secretkit"}
