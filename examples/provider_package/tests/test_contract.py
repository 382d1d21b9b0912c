"""The contract that every provider keeps, over this one; and the two rules that are its own."""

from pathlib import Path

import pytest
from secretkit_systemd import SystemdProvider

from secretkit import ConfigError, SecretRef
from secretkit.errors import ProviderUnavailableError
from secretkit.ports import Provider
from secretkit.testing import ProviderContract
from secretkit.testing.context import provider_context


class TestSystemdProvider(ProviderContract):
    """Some thirty tests, inherited: they need to know how to store a value and how to name it."""

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def make_provider(self) -> Provider:
        """Open it the way secretkit does."""
        environ = {"CREDENTIALS_DIRECTORY": str(self.directory)}
        return SystemdProvider.open({}, provider_context(environ=environ))

    def put(self, name: str, value: str) -> None:
        """Do what systemd does."""
        (self.directory / name).write_bytes(value.encode())

    def ref(self, name: str) -> SecretRef:
        """Name it."""
        return SecretRef("systemd", name)


def test_outside_a_unit_it_says_that_it_did_not_ask() -> None:
    """So that a chain goes on."""
    provider = SystemdProvider.open({}, provider_context())
    with pytest.raises(ProviderUnavailableError):
        provider.fetch(SecretRef("systemd", "claude"), timeout=TestSystemdProvider.timeout)


def test_an_option_is_refused() -> None:
    """A typing error must not be ignored."""
    with pytest.raises(ConfigError):
        SystemdProvider.open({"path": "/x"}, provider_context())
