"""Wiring: configuration to objects. The only module that knows every concrete class.

It is also the only one, beside the ``env`` provider it feeds, that reads the process environment.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from secretkit.broker.clock import SystemClock
from secretkit.broker.fetch import Fetching
from secretkit.broker.flight import Flight
from secretkit.broker.pool import PoolSource, ask
from secretkit.broker.state import BrokerContext, State, defect, overdue
from secretkit.broker.worker import Workers
from secretkit.config.load import find_and_load
from secretkit.config.place import config_dir, state_dir
from secretkit.config.schema import Config, CredentialConfig, ProviderConfig
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError, SecretkitError
from secretkit.ports import Closable, ProviderContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from types import TracebackType

    from secretkit.broker.blocking import Broker
    from secretkit.core.freshness import LeasePolicy
    from secretkit.core.lease import Lease
    from secretkit.core.secret import Secret
    from secretkit.ports import Clock, CredentialSource, Fetched, Ledger, Provider, Rng

__all__ = ["Toolkit", "from_refs", "holder", "load"]

_MEMORY: Final = "sqlite://"
_RECENT: Final = 256
# A wait on a lock ends early only if the signal meets the waiting thread itself. Met by another
# one, say while that starts a program, Ctrl-C would be seen at the end of the wait.
_SLICE: Final = 0.1


def load(
    file: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Toolkit:
    """Give the objects that the configuration in force describes.

    Raises:
        ConfigError: naming the file and the key that cannot be used.
    """
    world = os.environ if environ is None else environ  # noqa: TID251 - the one place that reads it
    here = Path.cwd() if cwd is None else cwd
    config = find_and_load(None if file is None else Path(file), environ=world, cwd=here)
    return Toolkit(config, environ=world)


def from_refs(kind: str, refs: Mapping[str, str | Sequence[str]]) -> Broker:
    """Give a broker for references in code, with a ledger in memory.

    Raises:
        ConfigError: if there is no name, or a name without a reference.
        RefError: for a reference that cannot be read.
    """
    if not refs or not all(refs.values()):
        raise ConfigError(
            "each name needs a reference, and there must be a name",
            hint='Broker.from_refs(claude="env:ANTHROPIC_API_KEY")',
        )
    credentials = {
        name: CredentialConfig(
            name=name,
            kind=kind,
            sources=tuple(map(SecretRef.parse, [given] if isinstance(given, str) else given)),
        )
        for name, given in refs.items()
    }
    made = Config(credentials=MappingProxyType(credentials), ledger_url=_MEMORY)
    world = os.environ  # noqa: TID251 - the one place that reads it
    return Toolkit(made, environ=world).broker()


def _random() -> float:
    """Throw the system's dice: they keep no state, so forked children do not throw the same."""
    return int.from_bytes(os.urandom(7), "big") / (1 << 56)


def holder() -> str:
    """Name this process in the ledger: host, process id and a random part."""
    return f"{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"


class Toolkit:
    """Builds each object of a configuration on first use, and closes what it opened.

    Thread-safe. ``clock``, ``rng`` and ``environ`` are parameters so that a test can own the world.
    """

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        clock: Clock | None = None,
        rng: Rng | None = None,
        providers: Mapping[str, Provider] | None = None,
    ) -> None:
        self.config = config
        self.environ = environ
        self.clock: Clock = clock or SystemClock()
        self.config_dir = config.file.parent if config.file else config_dir(environ)
        self.state_dir = state_dir(environ)
        self._rng: Rng = rng or _random
        self._lock = threading.RLock()
        self._providers: dict[str, Provider] = dict(providers or {})
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
            if name in self._opening:
                way = " → ".join([*self._opening, name])
                raise ConfigError(
                    f"providers refer to each other in a circle: {way}",
                    key_path=f"providers.{name}",
                    hint="take one of them out of the other's list",
                )
            self._opening.append(name)
            try:
                self._providers[name] = made = self._open(name)
            finally:
                self._opening.pop()
            return made

    def _open(self, name: str) -> Provider:
        from secretkit.providers import registry  # noqa: PLC0415 - not for a --help

        table = self.config.providers.get(name) or ProviderConfig(type=name)
        context = ProviderContext(
            clock=self.clock,
            environ=self.environ,
            rng=self._rng,
            config_dir=str(self.config_dir),
            state_dir=str(self.state_dir),
            resolve=self.provider,
        )
        return registry.factory(table.type).open(table.options, context)

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
        """Give the source of the credential called ``name``.

        Raises:
            ConfigError: if there is none, or if a provider cannot be opened.
        """
        table = self.config.credential(name)
        members = [(ref, self.resolve(ref)) for ref in table.pool()]
        return PoolSource(members, kind=table.kind, clock=self.clock)

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
        policy = self.policy(name)
        state = State(name=name, source=self.source(name), policy=policy)
        timeout = policy.fetch_timeout.total_seconds()
        flight = Flight()
        flight.deadline = self.clock.monotonic() + timeout
        # No redactor here: its rules cost 7 ms, and a command that prints the value logs nothing.
        fetching = Fetching(replace(self.context(), watch=lambda _: None))

        def fetch() -> None:
            try:
                flight.land(lease=fetching.fetch(state, flight).lease)
            except SecretkitError as error:
                flight.land(error=error)
            except BaseException as error:  # noqa: BLE001 - whatever happens, the waiter must wake
                flight.land(error=defect(state, error))

        Workers().submit(fetch)
        landed = threading.Event()
        flight.when_landed(landed.set)
        while not self.clock.wait(landed, min(_SLICE, timeout)):
            if self.clock.monotonic() >= flight.deadline:
                flight.land(error=overdue(state))
        return flight.outcome()

    def broker(self) -> Broker:
        """Give the broker over every credential of the configuration; the same one each time.

        Closing it closes the ledger and the providers.
        """
        from secretkit.broker.blocking import Broker  # noqa: PLC0415

        with self._lock:
            if self._broker is None:
                names = [name for name, table in self.config.credentials.items() if table.sources]
                self._broker = Broker(
                    {name: self.source(name) for name in names},
                    context=self.context(),
                    policies={name: self.policy(name) for name in names},
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
            providers, self._providers = self._providers, {}
        for provider in providers.values():
            if isinstance(provider, Closable):
                provider.close()
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
