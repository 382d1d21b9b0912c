"""The env provider keeps the contract."""

from collections.abc import Sequence

from secretkit.core.ref import SecretRef
from secretkit.providers.env import EnvProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract


class TestEnv(ProviderContract):
    def setup_method(self) -> None:
        self.environ: dict[str, str] = {}

    def make_provider(self) -> EnvProvider:
        return EnvProvider.open({}, provider_context(environ=self.environ))

    def put(self, name: str, value: str) -> None:
        self.environ[f"{name.upper()}_KEY"] = value

    def ref(self, name: str) -> SecretRef:
        return SecretRef("env", f"{name.upper()}_KEY")

    def malformed(self) -> Sequence[SecretRef]:
        return (SecretRef("env", "A=B"), SecretRef("env", "="))
