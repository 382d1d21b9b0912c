"""A chain whose first member cannot be asked keeps the contract of its second."""

from datetime import timedelta

from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.providers.chain import ChainProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract
from secretkit.testing.memory import MemoryProvider, slow, unavailable


class TestChain(ProviderContract):
    def setup_method(self) -> None:
        self.store = MemoryProvider(clock=SystemClock())
        self.down = MemoryProvider(clock=SystemClock())
        self.down.otherwise = unavailable()

    def make_provider(self) -> ChainProvider:
        known = {"down": self.down, "store": self.store}
        return ChainProvider.open({"of": ["down", "store"]}, provider_context(providers=known))

    def put(self, name: str, value: str) -> None:
        self.store.set(name, value)

    def ref(self, name: str) -> SecretRef:
        return SecretRef("chain", name)

    def stalled(self, name: str):
        from contextlib import nullcontext

        self.store.otherwise = slow(timedelta(minutes=1))
        return nullcontext()
