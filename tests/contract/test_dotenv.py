"""The dotenv provider keeps the contract."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from secretkit.core.ref import SecretRef
from secretkit.providers.dotenv import DotenvProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract


class TestDotenv(ProviderContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.file = tmp_path / ".env"
        self.values: dict[str, str] = {}

    def make_provider(self) -> DotenvProvider:
        return DotenvProvider.open({}, provider_context(config_dir=str(self.file.parent)))

    def put(self, name: str, value: str) -> None:
        self.values[name] = value.replace("\\", "\\\\").replace("'", "\\'")
        lines = [f"export {key.upper()}_KEY='{text}'\n" for key, text in self.values.items()]
        self.file.write_bytes("".join(lines).encode())

    def ref(self, name: str) -> SecretRef:
        return SecretRef("dotenv", ".env", f"{name.upper()}_KEY")

    def malformed(self) -> Sequence[SecretRef]:
        return (SecretRef("dotenv", ".env"), SecretRef("dotenv", "~nobody/.env", "KEY"))
