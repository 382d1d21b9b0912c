"""Toolkit: builds each object of a configuration on first use."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from secretkit.broker.clock import SystemClock
from secretkit.broker.pool import ask
from secretkit.broker.state import BrokerContext, State
from secretkit.config.place import config_dir, state_dir
from secretkit.config.schema import Config, ProviderConfig
from secretkit.core.record import replace
from secretkit.errors import ConfigError
from secretkit.ports import Closable, ProviderContext
from secretkit.wiring.source import identity_table, open_identity, open_source, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta
    from types import TracebackType

    from secretkit.broker.blocking import Broker
    from secretkit.core.freshness import LeasePolicy
    from secretkit.core.lease import Lease
    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import (
        Clock,
        CredentialSource,
        Fetched,
        IdentitySource,
        Ledger,
        Provider,
        Rng,
        Transport,
    )

__all__ = ["Toolkit", "holder"]

_MEMORY: Final = "sqlite://"
_RECENT: Final = 256


def _random() -> float:
    """Throw the system's dice: they keep no state, so forked children do not throw the same."""
    return int.from_bytes(os.urandom(7), "big") / (1 << 56)


def holder() -> str:
    """Name this process in the ledger: host, process id and a random part."""
    return f"{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"


class Toolkit:
    """Builds each object of a configuration on first use, and closes what it opened.

    Thread-safe. ``clock``, ``rng`` and ``environ`` are parameters so that a test can own the world.
    ``prompt`` asks the person at the terminal for a one-time code; None where nobody sits there.
    """

    def __init__(  # noqa: PLR0913 - the parts of the world
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        clock: Clock | None = None,
        rng: Rng | None = None,
        providers: Mapping[str, Provider] | None = None,
        prompt: Callable[[str], Secret] | None = None,
    ) -> None:
        self.config = config
        self.environ = environ
        self.clock: Clock = clock or SystemClock()
        self.config_dir = config.file.parent if config.file else config_dir(environ)
        self.state_dir = state_dir(environ)
        self._rng: Rng = rng or _random
        self._prompt = prompt
        self._lock = threading.RLock()
        self._providers: dict[str, Provider] = dict(providers or {})
        self._sources: dict[str, CredentialSource] = {}
        self._opening: list[str] = []
        self._recent: deque[Secret] = deque(maxlen=_RECENT)  # the redactor holds them weakly
        self._ledger: Ledger | None = None
        self._broker: Broker | None = None

    def provider(self, name: str) -> Provider:
        """Give the provider instance called ``name``, opened once.

        Raises:
            ConfigError: if there is none, or if its options cannot be used.
            ProviderUnavailableError: if its package cannot be imported.
        """
        with self._lock:
            if name in self._providers:
                return self._providers[name]
            with self._in_turn(name, f"providers.{name}"):
                self._providers[name] = made = self._open(name)
            return made

    def _open(self, name: str) -> Provider:
        from secretkit.providers import registry  # noqa: PLC0415 - not for a --help

        table = self.config.providers.get(name) or ProviderConfig(type=name)
        return registry.factory(table.type).open(table.options, self.provider_context())

    @contextlib.contextmanager
    def _in_turn(self, name: str, key_path: str) -> Iterator[None]:
        """Refuse to open what is being opened."""
        if name in self._opening:
            what = key_path.partition(".")[0]
            way = " → ".join([*self._opening, name])
            raise ConfigError(
                f"{what} refer to each other in a circle: {way}",
                key_path=key_path,
                hint="take one of them out of the other's list",
            )
        self._opening.append(name)
        try:
            yield
        finally:
            self._opening.pop()

    def provider_context(self) -> ProviderContext:
        """Give what a provider, a source or an identity may use of the world."""
        return ProviderContext(
            clock=self.clock,
            environ=self.environ,
            rng=self._rng,
            config_dir=str(self.config_dir),
            state_dir=str(self.state_dir),
            resolve=self.provider,
            transport=self.transport,
            identity=self.identity,
            credential=self.source,
            prompt=self._prompt,
        )

    def transport(
        self, *, ca_bundle: str = "", certificate: str = "", private_key_file: str = ""
    ) -> Transport:
        """Give what sends requests, trusting ``ca_bundle`` instead of the system."""
        from secretkit.wire import HttpTransport  # noqa: PLC0415 - few configurations need it

        return HttpTransport(
            clock=self.clock,
            ca_bundle=ca_bundle,
            certificate=certificate,
            private_key_file=private_key_file,
        )

    def identity(self, table: Mapping[str, object], audience: str) -> IdentitySource:
        """Give the identity that ``table`` describes, for ``audience`` unless it names one."""
        whole = identity_table(table, self.config.identities)
        return open_identity(whole, audience, context=self.provider_context())

    def resolve(self, ref: SecretRef) -> Provider:
        """Give the provider that ``ref`` names."""
        return self.provider(ref.provider)

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Ask the store once; raises like ``Provider.fetch``."""
        return ask(self.resolve(ref), ref, timeout=timeout)

    def ledger(self) -> Ledger:
        """Give the ledger, opened once.

        Raises:
            LedgerError: if it cannot be opened.
        """
        from secretkit.ledger import open as open_ledger  # noqa: PLC0415 - not for a --help

        with self._lock:
            if self._ledger is None:
                self._ledger = open_ledger(self.config.ledger_url or _MEMORY)
            return self._ledger

    def source(self, name: str) -> CredentialSource:
        """Give the source of the credential called ``name``, opened once.

        Raises:
            ConfigError: if there is none, or if a provider cannot be opened.
        """
        table = self.config.credential(name)
        with self._lock:
            if name not in self._sources:
                with self._in_turn(f"credentials.{name}", f"credentials.{name}"):
                    self._sources[name] = open_source(table, self.provider_context())
            return self._sources[name]

    def policy(self, name: str) -> LeasePolicy:
        """Give how long leases on ``name`` last."""
        ttl = self.config.credential(name).ttl
        shared = self.config.policy
        return shared if ttl is None else replace(shared, ttl=ttl)

    def context(self) -> BrokerContext:
        """Give what a broker may use of the world."""
        return BrokerContext(
            clock=self.clock,
            ledger=self.ledger(),
            rng=self._rng,
            holder=holder,
            release=self._release,
            watch=self._watch,
        )

    def _watch(self, secret: Secret) -> None:
        """Have logs kept free of ``secret``, also for a while after it was replaced."""
        from secretkit.redact import default  # noqa: PLC0415 - not for a --help

        self._recent.append(secret)
        default().watch(secret)

    def lease_once(self, name: str) -> Lease:
        """Give one lease without a broker: for a command that ends at once.

        Counted and written down like any other; it ends in the ledger at its stated end. Raises
        like ``Broker.lease``, also when the provider hangs: its thread is left behind.
        """
        from secretkit.wiring.once import lease_once  # noqa: PLC0415 - for commands only

        state = State(name=name, source=self.source(name), policy=self.policy(name))
        return lease_once(state, self.context())

    def broker(self) -> Broker:
        """Give the broker over every credential of the configuration; the same one each time.

        Closing it closes the ledger and the providers.
        """
        from secretkit.broker.blocking import Broker  # noqa: PLC0415

        with self._lock:
            if self._broker is None:
                tables = self.config.credentials
                self._broker = Broker(
                    {name: self.source(name) for name in tables},
                    context=self.context(),
                    policies={name: self.policy(name) for name in tables},
                    targets={name: target_of(table) for name, table in tables.items()},
                )
            return self._broker

    def close(self) -> None:
        """Close what was opened; safe to repeat."""
        with self._lock:
            broker, self._broker = self._broker, None
        if broker is None:
            self._release()
        else:
            broker.close()

    def _release(self) -> None:
        with self._lock:
            ledger, self._ledger = self._ledger, None
            opened = [*self._sources.values(), *self._providers.values()]
            self._sources, self._providers = {}, {}
        for one in opened:
            if isinstance(one, Closable):
                one.close()
        if ledger is not None:
            ledger.close()

    def __enter__(self) -> Self:
        """Give the toolkit itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
