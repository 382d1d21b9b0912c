"""What users of secretkit test with: fakes that pass the same tests as the real thing.

``FakeClock``, ``MemoryProvider``, ``broker_over``, ``ProviderContract``, ``IdentityContract``,
``ClaudeStub``, ``WorkloadStub``, ``FaultServer``, ``Bao`` and ``LeakGuard``, each imported on first
use. The pytest plugin ``secretkit.testing.plugin`` gives some of them as fixtures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from secretkit.testing.bao import Bao
    from secretkit.testing.brokers import broker_over
    from secretkit.testing.claude import ClaudeStub
    from secretkit.testing.clock import FakeClock
    from secretkit.testing.contract import ProviderContract
    from secretkit.testing.contract_identity import IdentityContract
    from secretkit.testing.fault import FaultServer
    from secretkit.testing.guard import LeakGuard
    from secretkit.testing.memory import MemoryProvider
    from secretkit.testing.workload import WorkloadStub

__all__ = [
    "Bao",
    "ClaudeStub",
    "FakeClock",
    "FaultServer",
    "IdentityContract",
    "LeakGuard",
    "MemoryProvider",
    "ProviderContract",
    "WorkloadStub",
    "broker_over",
]

_HOMES: Final = {
    "Bao": "bao",
    "ClaudeStub": "claude",
    "FakeClock": "clock",
    "FaultServer": "fault",
    "IdentityContract": "contract_identity",
    "LeakGuard": "guard",
    "MemoryProvider": "memory",
    "ProviderContract": "contract",
    "WorkloadStub": "workload",
    "broker_over": "brokers",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
