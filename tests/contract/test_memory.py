"""MemoryProvider keeps the contract it exists to script against."""

from datetime import timedelta
from typing import ClassVar

from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.testing.contract import WritableContract
from secretkit.testing.memory import MemoryProvider


class TestMemory(WritableContract):
    timeout: ClassVar[timedelta] = timedelta(seconds=5)

    def setup_method(self) -> None:
        self.store = MemoryProvider(clock=SystemClock())

    def make_provider(self) -> MemoryProvider:
        return self.store

    def put(self, name: str, value: str) -> None:
        self.store.set(name, value)

    def ref(self, name: str) -> SecretRef:
        return SecretRef("memory", name)

    def stalled(self, name: str):
        from contextlib import contextmanager

        from secretkit.testing.memory import slow

        @contextmanager
        def stall():
            self.store.otherwise = slow(timedelta(seconds=60))
            yield
            self.store.otherwise = None

        return stall()
