"""provider_context: the world a provider is opened in, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.broker.clock import SystemClock
from secretkit.errors import ConfigError
from secretkit.ports import ProviderContext
from secretkit.wire import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.ports import Clock, CredentialSource, Provider, Transport

__all__ = ["provider_context"]


def provider_context(  # noqa: PLR0913 - each is a part of the world
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    config_dir: str = "",
    state_dir: str = "",
    providers: Mapping[str, Provider] | None = None,
    credentials: Mapping[str, CredentialSource] | None = None,
) -> ProviderContext:
    """Give a context: the machine's clock, no variables, no directories, no other providers.

    ``providers`` is what ``resolve`` finds, ``credentials`` what ``credential`` finds; both are
    looked into at each call, so a test may fill them later. Requests really go out, over
    :class:`secretkit.wire.HttpTransport`.
    """
    known = {} if providers is None else providers
    sources = {} if credentials is None else credentials
    used = SystemClock() if clock is None else clock

    def resolve(name: str) -> Provider:
        if name not in known:
            raise ConfigError(f"there is no provider {name!r}", hint="add it to providers")
        return known[name]

    def credential(name: str) -> CredentialSource:
        if name not in sources:
            raise ConfigError(f"there is no credential {name!r}", hint="add it to credentials")
        return sources[name]

    def transport(
        *, ca_bundle: str = "", certificate: str = "", private_key_file: str = ""
    ) -> Transport:
        return HttpTransport(
            clock=used,
            ca_bundle=ca_bundle,
            certificate=certificate,
            private_key_file=private_key_file,
        )

    return ProviderContext(
        clock=used,
        environ={} if environ is None else environ,
        rng=lambda: 0.5,
        config_dir=config_dir,
        state_dir=state_dir,
        resolve=resolve,
        transport=transport,
        credential=credential,
    )
