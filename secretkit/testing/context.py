"""provider_context: the world a provider is opened in, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.broker.clock import SystemClock
from secretkit.errors import ConfigError
from secretkit.ports import ProviderContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.ports import Clock, Provider

__all__ = ["provider_context"]


def provider_context(
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    config_dir: str = "",
    state_dir: str = "",
    providers: Mapping[str, Provider] | None = None,
) -> ProviderContext:
    """Give a context: the machine's clock, no variables, no directories, no other providers.

    ``providers`` is what ``resolve`` finds; it is looked into at each call, so a test may fill it
    later.
    """
    known = {} if providers is None else providers

    def resolve(name: str) -> Provider:
        if name not in known:
            raise ConfigError(f"there is no provider {name!r}", hint="add it to providers")
        return known[name]

    return ProviderContext(
        clock=SystemClock() if clock is None else clock,
        environ={} if environ is None else environ,
        rng=lambda: 0.5,
        config_dir=config_dir,
        state_dir=state_dir,
        resolve=resolve,
    )
