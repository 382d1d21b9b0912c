"""Ports: what secretkit asks of the world, as Protocols. Each has a fake in ``secretkit.testing``.

A provider is one required method and optional abilities as separate Protocols; a store that cannot
write simply is not :class:`Writable`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn, Protocol, runtime_checkable

from secretkit.core.credential import Credential
from secretkit.core.message import Reply, Request
from secretkit.core.record import record
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, SecretError

__all__ = [
    "Acquired",
    "Assertion",
    "AuditEntry",
    "AuditEvent",
    "AuditReport",
    "Change",
    "Clock",
    "Closable",
    "CredentialSource",
    "Event",
    "Fetched",
    "GenerationRecord",
    "IdentitySource",
    "Issuance",
    "LeaseRecord",
    "Ledger",
    "Listable",
    "Probe",
    "Probing",
    "Provider",
    "ProviderContext",
    "ProviderFactory",
    "Renewable",
    "Revocable",
    "Rng",
    "StoredVersion",
    "Transport",
    "TransportFactory",
    "Versioned",
    "Waitable",
    "Writable",
]

Rng = Callable[[], float]
"""Gives a float in [0, 1), for jitter. Keys come from :mod:`secrets`, never from here."""


class Waitable(Protocol):
    """The part of ``threading.Event`` that a clock needs."""

    def is_set(self) -> bool:
        """Say whether it happened."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it happens or ``timeout`` seconds passed; say whether it happened."""
        ...

    def set(self) -> None:
        """Let it happen."""
        ...


class Clock(Protocol):
    """Two clocks: one for stated ends, one for ageing."""

    def now(self) -> datetime:
        """Give the wall-clock time, aware, in UTC."""
        ...

    @property
    def monotonic(self) -> Callable[[], float]:
        """A function giving seconds that never go back and that count a suspended machine."""
        ...

    def wait(self, event: Waitable, timeout: float | None = None) -> bool:
        """Wait for ``event`` at most ``timeout`` seconds of this clock; say whether it happened."""
        ...

    def wait_until(self, event: Waitable, moment: float) -> bool:
        """Wait for ``event`` until ``monotonic`` reads ``moment``; say whether it happened."""
        ...


@record(kw_only=True)
class Fetched:
    """What a provider found: the secret, the store's version, and its end if the store states one.

    ``handle`` is what :meth:`Revocable.revoke` takes, where the store leased the secret to us.
    """

    secret: Secret
    version: str | None = None
    expires_at: datetime | None = None
    handle: str | None = None

    def __post_init__(self) -> None:
        """Refuse what a provider got wrong here, where the provider's author will see it."""
        given: object = self.secret
        if not isinstance(given, Secret):
            kind = type(given).__name__
            del self, given  # so that a traceback that shows locals does not show it
            raise SecretError(f"a provider must give a Secret, not {kind}")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise SecretError("a provider must state an end with its time zone")


@runtime_checkable
class Provider(Protocol):
    """Reads one kind of store. Blocking; called from worker threads, so it must be thread-safe."""

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Ask the store once, without retries, and answer before ``timeout``.

        Raises:
            ProviderUnavailableError: if the store could not be asked at all.
            SecretNotFoundError: if the store was asked and does not have it.
            AccessDeniedError: if the store refuses.
            ProviderTimeoutError: if no answer came in time.
            ProviderError: for any other failure of the store.
        """
        ...


@record(kw_only=True)
class StoredVersion:
    """One entry of a store's listing; never the value."""

    name: str
    version: str
    created_at: datetime | None = None


@runtime_checkable
class Writable(Protocol):
    """A store that can be written."""

    def write(
        self, ref: SecretRef, secret: Secret, *, expected_version: str | None = None
    ) -> StoredVersion:
        """Store a new version, which becomes the current one.

        ``expected_version`` makes it a compare-and-swap: the write happens only while that version
        (``"0"``: none) is the current one.

        Raises:
            AccessDeniedError: if the store refuses.
            LedgerError: if the store is locked, full or damaged; the old value stays readable.
            ProviderError: also when ``expected_version`` is no longer the current one.
        """
        ...

    def delete(self, ref: SecretRef) -> None:
        """Remove the secret and its versions.

        Raises:
            SecretNotFoundError: if there is none.
        """
        ...


@runtime_checkable
class Listable(Protocol):
    """A store that can say what it holds."""

    def names(self) -> Sequence[StoredVersion]:
        """Give the current version of every secret, sorted by name, without values."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A store that can tell cheaply whether a secret changed."""

    def version(self, ref: SecretRef, *, timeout: timedelta) -> str:
        """Give the current version's id; raises like :meth:`Provider.fetch`."""
        ...


@runtime_checkable
class Revocable(Protocol):
    """A store that leases secrets and can take one back."""

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """End the store's own lease; safe to repeat."""
        ...


@runtime_checkable
class Renewable(Protocol):
    """A store that leases secrets and can let a lease last longer."""

    def renew(self, handle: str, *, timeout: timedelta) -> datetime:
        """Ask once for a longer life of the lease ``handle``; give the end it has now.

        Raises:
            SecretNotFoundError: if there is no such lease any more.
            AccessDeniedError: if the store refuses.
            ProviderError: as for :meth:`Provider.fetch`.
        """
        ...


@record(kw_only=True)
class Probe:
    """What a test of a provider or a credential shows to a person. Holds no secret.

    ``reached`` is the store (a host, a file), ``identity`` as whom we are known there, ``lacks``
    what we may not do, each a short phrase.
    """

    reached: str = ""
    identity: str = ""
    expires_at: datetime | None = None
    lacks: tuple[str, ...] = ()


@runtime_checkable
class Probing(Protocol):
    """A provider or a source that can say what it reaches, as whom, and what it may not do."""

    def probe(self, *, timeout: timedelta) -> Probe:
        """Ask the store who we are; nothing is leased that is not given back.

        Raises like :meth:`Provider.fetch`.
        """
        ...


@runtime_checkable
class Closable(Protocol):
    """A provider that holds something open, such as a connection."""

    def close(self) -> None:
        """Let it go; safe to repeat. The provider may be used again, and opens it again."""
        ...


class Transport(Protocol):
    """Sends one HTTP request. Thread-safe. Reads no environment, follows no redirect."""

    def send(self, request: Request, *, ref: str, timeout: timedelta) -> Reply:
        """Give the whole reply, whatever its status; ``timeout`` covers all of it.

        ``ref`` names in errors what the request is for. Nothing is sent twice.

        Raises:
            ProviderUnavailableError: if nobody was reached: no address, refused, not trusted.
            ProviderTimeoutError: if the reply was not whole in time.
            ProviderError: if it is no HTTP, or larger than 1 MiB (64 KiB of headers).
        """
        ...


class TransportFactory(Protocol):
    """Makes transports; each keeps to one set of certificates."""

    def __call__(
        self, *, ca_bundle: str = "", certificate: str = "", private_key_file: str = ""
    ) -> Transport:
        """Give a transport that trusts ``ca_bundle`` instead of the system, both being files."""
        ...


@record(kw_only=True, hidden=("secret",))
class Assertion:
    """A signed statement of who we are, for one use: a JWT. Never cached, never sent twice."""

    secret: Secret
    expires_at: datetime
    issuer: str = ""
    subject: str = ""


class IdentitySource(Protocol):
    """Says who this workload is, in a form that another service can check. Thread-safe."""

    @property
    def ref(self) -> str:
        """What it is, for messages: ``spiffe``, ``github``, ``file:/run/id.jwt``."""
        ...

    def assertion(self, *, timeout: timedelta) -> Assertion:
        """Give a fresh assertion for the audience it was opened for; each call asks anew.

        Raises like :meth:`Provider.fetch`.
        """
        ...


def _refuse(*_given: object, **_named: object) -> NoReturn:
    raise ConfigError(
        "this needs more of the world than was given",
        hint="open it through the configuration, or give provider_context() what it needs",
    )


@record(kw_only=True, hidden=("environ",))
class ProviderContext:
    """What a provider or a source may use of the world; wiring fills it, tests pass their own.

    ``resolve`` gives another provider by name, for a provider whose own login is a reference.
    ``identity`` opens the identity that a table describes, for an audience unless the table names
    one. ``credential`` gives the source of another credential by name. ``prompt`` asks the person
    at the terminal for a one-time code; None where nobody sits there.
    """

    clock: Clock
    environ: Mapping[str, str]
    rng: Rng
    config_dir: str
    state_dir: str
    resolve: Callable[[str], Provider]
    transport: TransportFactory = _refuse
    identity: Callable[[Mapping[str, object], str], IdentitySource] = _refuse
    credential: Callable[[str], CredentialSource] = _refuse
    prompt: Callable[[str], Secret] | None = None


class ProviderFactory(Protocol):
    """What an entry point in the group ``secretkit.providers`` names: usually the class itself."""

    def open(self, options: Mapping[str, object], context: ProviderContext) -> Provider:
        """Build a provider from its table in the configuration.

        Cheap: no network, no file read; those belong to ``fetch``.

        Raises:
            ConfigError: for an option that is unknown, missing or malformed.
        """
        ...


@record(kw_only=True)
class Acquired:
    """A credential as it came from its source, with the reference that gave it."""

    credential: Credential
    ref: str
    version: str | None = None
    handle: str | None = None


class CredentialSource(Protocol):
    """Gives the current credential of one name, from a pool of references or by an exchange.

    An error that it raises carries its own ``ref``, also when another store is the cause.
    """

    @property
    def ref(self) -> str:
        """The first reference, for messages and for counting calls."""
        ...

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        """Fetch it, passing over secrets that ``refused`` says the service no longer takes.

        Raises like :meth:`Provider.fetch`, and SecretError for a value of the wrong shape.
        """
        ...

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Give back what was acquired, where the store can take it back; else nothing."""
        ...


@record(kw_only=True)
class Change:
    """What ``on_change`` callbacks get: a credential has a new generation."""

    name: str
    previous: int | None
    generation: int


class Event(enum.StrEnum):
    """What the audit can record. A closed list: the audit has no free text."""

    LEASE_GRANTED = "lease.granted"
    LEASE_RENEWED = "lease.renewed"
    LEASE_ENDED = "lease.ended"
    LEASE_REVOKED = "lease.revoked"
    FETCH_FAILED = "fetch.failed"
    FETCH_DENIED = "fetch.denied"
    GENERATION_NEW = "generation.new"
    GENERATION_REFUSED = "generation.refused"
    SECRET_WRITTEN = "secret.written"  # noqa: S105 - the name of an event
    SECRET_DELETED = "secret.deleted"  # noqa: S105 - the name of an event
    SECRET_READ = "secret.read"  # noqa: S105 - the name of an event
    RUN_STARTED = "run.started"
    ROTATION_STEP = "rotation.step"


@record(kw_only=True)
class AuditEvent:
    """One fact for the audit: fixed fields, no value, no free text.

    ``outcome`` is an error class name or empty; ``holder`` is who did it.
    """

    event: Event
    at: datetime
    holder: str
    name: str = ""
    ref: str = ""
    generation: int = 0
    lease_id: str = ""
    outcome: str = ""


@record(kw_only=True)
class AuditEntry:
    """An :class:`AuditEvent` in its place in the chain; ``digest`` covers it and all before it."""

    number: int
    event: AuditEvent
    digest: str


@record(kw_only=True)
class AuditReport:
    """What verifying the chain found. ``broken_at`` is the first bad entry's number, or None."""

    entries: int
    head: str
    broken_at: int | None = None
    reason: str = ""

    @property
    def intact(self) -> bool:
        """Whether every entry is as it was written."""
        return self.broken_at is None


@record(kw_only=True)
class LeaseRecord:
    """A lease as the ledger keeps it; ``ended_at`` is None while it runs."""

    id: str
    name: str
    holder: str
    ref: str
    generation: int
    granted_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    revoked: bool = False


@record(kw_only=True)
class GenerationRecord:
    """One version of a secret, told apart by its keyed fingerprint."""

    name: str
    generation: int
    fingerprint: str
    ref: str
    first_seen: datetime
    refused_until: datetime | None = None


@record(kw_only=True)
class Issuance:
    """What a broker asks the ledger to write down before it hands out a lease."""

    lease_id: str
    name: str
    holder: str
    ref: str
    fingerprint: str
    granted_at: datetime
    expires_at: datetime
    renews: bool = False


class Ledger(Protocol):
    """What must survive a restart. Thread-safe, and safe between processes.

    Every method raises LedgerError when it cannot be read or written (locked past its bound, full,
    damaged), and IntegrityError when what is stored is not what was written.
    """

    def fingerprint(self, secret: Secret) -> str:
        """Give the keyed digest that tells this secret from another: 32 hex digits.

        The key belongs to this ledger, so a digest found elsewhere cannot be guessed against.
        """
        ...

    def issue(self, grant: Issuance) -> int:
        """Record a lease and its audit entries in one durable commit; give the generation.

        The generation is the newest one of ``grant.name`` if its fingerprint is the same, else the
        next number. ``renews`` extends the row of ``lease_id`` instead of adding one.

        Raises:
            GrantError: if the lease to renew was revoked.
        """
        ...

    def end(self, lease_id: str, *, at: datetime) -> None:
        """Mark a lease as given back; safe to repeat."""
        ...

    def revoke(self, lease_id: str, *, at: datetime, holder: str) -> LeaseRecord:
        """Mark a lease as revoked: its holder may not renew it, and drops it when it looks.

        ``lease_id`` may be a unique prefix of at least 6 characters.

        Raises:
            SecretNotFoundError: if there is no such lease.
        """
        ...

    def revoked(self, holder: str) -> frozenset[str]:
        """Give the ids of this holder's revoked leases that have not ended. One cheap read."""
        ...

    def leases(self, *, now: datetime, name: str | None = None) -> Sequence[LeaseRecord]:
        """Give the leases that run at ``now``, oldest first."""
        ...

    def lease(self, lease_id: str) -> LeaseRecord:
        """Give one lease by id or unique prefix; raises SecretNotFoundError."""
        ...

    def generations(self, name: str) -> Sequence[GenerationRecord]:
        """Give all generations of a name, newest first."""
        ...

    def refuse(self, name: str, fingerprint: str, *, until: datetime, event: AuditEvent) -> None:
        """Remember, with its audit entry, that the service refused this secret."""
        ...

    def refused(self, name: str, *, now: datetime) -> frozenset[str]:
        """Give the fingerprints of ``name`` that are refused at ``now``."""
        ...

    def count_call(self, source: str, *, now: datetime, limit: int, per: timedelta) -> None:
        """Count one call to a source, across restarts and processes.

        Raises:
            GrantError: if ``limit`` calls in the last ``per`` are used up; with ``retry_after``.
        """
        ...

    def calls(self, source: str, *, now: datetime, per: timedelta) -> int:
        """Give the calls counted in the last ``per``."""
        ...

    def record(self, event: AuditEvent) -> None:
        """Append to the audit, durably, before the effect it speaks of."""
        ...

    def audit(self, *, after: int = 0) -> Iterator[AuditEntry]:
        """Give the audit's entries with a number above ``after``, in order."""
        ...

    def verify(self, *, head: str = "") -> AuditReport:
        """Recompute the whole chain; ``head``, a digest noted earlier, must still be in it."""
        ...

    def after_fork(self) -> None:
        """Forget inherited connections in a forked child, without closing the parent's."""
        ...

    def close(self) -> None:
        """Close connections; the ledger may not be used afterwards."""
        ...
