"""What ``secretkit provider test`` asks: stores, references, identities, exchanged credentials.

Each gives one row, whatever happens. What the question leased is given back; no value is shown.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.cli import exits
from secretkit.core.credential import of_kind
from secretkit.core.record import record
from secretkit.errors import ConfigError, SecretkitError
from secretkit.ports import Event, Probing, Revocable

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.core.ref import SecretRef
    from secretkit.ports import CredentialSource, IdentitySource, Probe, Provider

__all__ = ["COLUMNS", "OK", "Exchanged", "Identity", "Reference", "Store", "row_of"]

COLUMNS: Final = (
    *("ref", "result", "seconds", "reached", "identity"),
    *("version", "expires_at", "lacks"),
)
OK: Final = "ok"
_AUDIENCE: Final = "https://api.anthropic.com"
_REVOKE_WITHIN: Final = timedelta(seconds=5)
_GRACE: Final = timedelta(seconds=0.4)  # a provider keeps its own deadline and says more
_SLICE: Final = 0.1
_LATE: Final = "it does not keep its deadline, which is a defect of the provider"

_Found = dict[str, "Cell"]


@record(kw_only=True)
class Store:
    """A provider that can say as whom it is known. ``expires_at`` is then the end of its login."""

    name: str

    @property
    def label(self) -> str:
        """The provider's name."""
        return self.name

    def open(self, session: Session) -> Callable[[], _Found]:
        """Give the question who we are there. It reads no secret, so the audit has nothing."""
        provider = session.toolkit.provider(self.name)
        if not isinstance(provider, Probing):
            raise ConfigError(
                "this provider cannot say as whom it is known",
                key_path=f"providers.{self.name}",
                hint=f"test a reference: secretkit provider test {self.name}:PATH",
            )
        timeout = session.fetch_timeout
        return lambda: _shown(provider.probe(timeout=timeout))

    def audit(self, session: Session) -> None:
        """Write nothing down: no secret is read."""


@record(kw_only=True)
class Reference:
    """A secret in a store; ``kind`` is that of the credential it becomes, empty for any value."""

    ref: SecretRef
    kind: str = ""

    @property
    def label(self) -> str:
        """The reference."""
        return str(self.ref)

    def open(self, session: Session) -> Callable[[], _Found]:
        """Give the question for it."""
        provider = session.toolkit.resolve(self.ref)
        return lambda: self._read(provider, session)

    def audit(self, session: Session) -> None:
        """Write down that it is read."""
        session.audit(Event.SECRET_READ, ref=self.label)

    def _read(self, provider: Provider, session: Session) -> _Found:
        timeout = session.fetch_timeout
        fetched = session.toolkit.fetch(self.ref, timeout=timeout)
        found: _Found = {"version": fetched.version, "expires_at": fetched.expires_at}
        if isinstance(provider, Revocable):
            found |= _returned(provider.revoke, fetched.handle, timeout)
        if self.kind:
            of_kind(self.kind, fetched.secret, expires_at=fetched.expires_at)
        return found


@record(kw_only=True)
class Identity:
    """An ``[identity.NAME]``; for Claude, unless its table names another audience."""

    name: str

    @property
    def label(self) -> str:
        """The name."""
        return self.name

    def open(self, session: Session) -> Callable[[], _Found]:
        """Give the question for one assertion, which is sent to nobody."""
        source = session.toolkit.identity({"type": self.name}, _AUDIENCE)
        return lambda: self._assert(source, timeout=session.fetch_timeout)

    def audit(self, session: Session) -> None:
        """Write down that it is had."""
        session.audit(Event.SECRET_READ, ref=f"identity:{self.name}")

    def _assert(self, source: IdentitySource, *, timeout: timedelta) -> _Found:
        found = source.assertion(timeout=timeout)
        whose = f"{found.subject} of {found.issuer}" if found.issuer else found.subject
        return {"reached": source.ref, "identity": whose, "expires_at": found.expires_at}


@record(kw_only=True)
class Exchanged:
    """A credential that an exchange gives, by its name."""

    name: str

    @property
    def label(self) -> str:
        """The name."""
        return self.name

    def open(self, session: Session) -> Callable[[], _Found]:
        """Give the question for it: one exchange, and as whom, where the source can say that."""
        source = session.toolkit.source(self.name)
        return lambda: self._exchange(source, timeout=session.fetch_timeout)

    def audit(self, session: Session) -> None:
        """Write down that it is had."""
        ref = session.toolkit.source(self.name).ref
        session.audit(Event.SECRET_READ, name=self.name, ref=ref)

    def _exchange(self, source: CredentialSource, *, timeout: timedelta) -> _Found:
        if isinstance(source, Probing):
            return _shown(source.probe(timeout=timeout))
        acquired = source.acquire(timeout=timeout, refused=lambda _: False)
        found: _Found = {"version": acquired.version, "expires_at": acquired.credential.expires_at}
        return found | _returned(source.revoke, acquired.handle, timeout)


def row_of(subject: Store | Reference | Identity | Exchanged, session: Session) -> _Found:
    """Ask once, and tell how it went; what goes wrong is told in the row.

    Raises:
        LedgerError: if the audit cannot be written; then nothing was asked.
    """
    row: _Found = dict.fromkeys(COLUMNS)
    row |= {"ref": subject.label, "result": OK, "seconds": 0.0}
    try:
        question = subject.open(session)
    except SecretkitError as error:  # what cannot be opened is not read, and not written down
        return row | _failure(error)
    subject.audit(session)
    clock = session.toolkit.clock
    start = clock.monotonic()
    row |= _in_time(question, session)
    row["seconds"] = round(clock.monotonic() - start, 3)
    return row


def _in_time(question: Callable[[], _Found], session: Session) -> _Found:
    """Ask in a thread, which is left behind if a third party's code does not keep the deadline."""
    clock = session.toolkit.clock
    patience = session.fetch_timeout + min(session.fetch_timeout, _REVOKE_WITHIN) + _GRACE
    end = clock.monotonic() + patience.total_seconds()
    found: list[_Found] = []
    landed = threading.Event()

    def work() -> None:
        found.append(_answered(question))
        landed.set()

    threading.Thread(target=work, name="secretkit-probe", daemon=True).start()
    # In slices, because a signal that meets another thread does not end a wait: see wiring.once.
    while not clock.wait(landed, _SLICE) and clock.monotonic() < end:
        pass
    return found[0] if found else {"result": "the store did not answer in time", "lacks": _LATE}


def _answered(question: Callable[[], _Found]) -> _Found:
    try:
        return question()
    except SecretkitError as error:
        return _failure(error)
    except Exception as error:  # noqa: BLE001 - third-party code, whose text could hold a value
        return {"result": "defect", "lacks": f"it failed with {type(error).__name__}"}


def _failure(error: SecretkitError) -> _Found:
    return {"result": exits.verdict(error), "lacks": f"{error} ({error.hint})"}


def _shown(probe: Probe) -> _Found:
    return {
        "reached": probe.reached,
        "identity": probe.identity,
        "expires_at": probe.expires_at,
        "lacks": "; ".join(probe.lacks) or None,
    }


def _returned(revoke: Callable[..., None], handle: str | None, timeout: timedelta) -> _Found:
    """Give a lease back, and tell if that failed."""
    if handle is None:
        return {}

    def question() -> _Found:
        revoke(handle, timeout=min(timeout, _REVOKE_WITHIN))
        return {}

    failed = _answered(question)
    return failed | {"result": "not given back"} if failed else {}
