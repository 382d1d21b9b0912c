"""keyring: the desktop's keyring. ``keyring:service/username``, the last '/' parts the two.

The library may hang for minutes on a bad D-Bus (jaraco/keyring#403), so every call runs in a worker
with a deadline. It never falls back to plaintext. It keeps one value per name and no versions.
Options: ``timeout`` for writing (``"10s"``), and ``backend`` (``"package.module:Class"``).
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RefError,
    SecretError,
    SecretkitError,
    SecretNotFoundError,
)
from secretkit.ports import Fetched, StoredVersion
from secretkit.providers.contents import field_of, no_field, no_version, wrapped
from secretkit.providers.options import Options
from secretkit.providers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyring.backend import KeyringBackend

    from secretkit.core.ref import SecretRef
    from secretkit.ports import Clock, ProviderContext

    Answer = Secret | SecretkitError | None

__all__ = ["KeyringProvider"]

_PATIENCE: Final = timedelta(seconds=10)
_HEADLESS: Final = (
    "start one with dbus-run-session and gnome-keyring-daemon --unlock, "
    "or keep the secret in the encrypted store instead: local:NAME"
)
_LOCKED: Final = (
    "unlock the keyring (log in to the desktop), or use the encrypted store: local:NAME"
)
_INSTALL: Final = 'pip install "secretkit[keyring]"'


class KeyringProvider:
    """Reads, writes and deletes entries of the OS keyring. Thread-safe.

    Writes of one process do not run into each other; another process may write between our look
    and our write, because a keyring has no compare-and-swap.
    """

    def __init__(
        self,
        backend: KeyringBackend | None = None,
        *,
        clock: Clock,
        backend_name: str = "",
        patience: timedelta = _PATIENCE,
    ) -> None:
        self._given = backend
        self._usable: KeyringBackend | None = None
        self._name = backend_name
        self._patience = patience
        self._worker: Worker[Answer] = Worker(clock=clock)
        self._writing = threading.Lock()

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it from ``backend`` and ``timeout``; imports and connects nothing.

        Raises:
            ConfigError: for an option that is unknown or malformed.
        """
        read = Options(options, type_name="keyring", known=("backend", "timeout"))
        name = read.text("backend")
        if name and not all(name.partition(":")):
            raise read.wrong("backend", expected='"package.module:Class"')
        return cls(
            clock=context.clock,
            backend_name=name,
            patience=read.duration("timeout", default=_PATIENCE),
        )

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Give the entry's value. About 25 ms through D-Bus.

        Raises:
            RefError: if the path is not service/username, or a version is asked for.
            ProviderUnavailableError: if the library is missing, no secure keyring answers, or an
                earlier call still hangs.
            SecretNotFoundError: if there is no such entry or field.
            AccessDeniedError: if the keyring is locked.
            ProviderTimeoutError: if it did not answer in time.
            ProviderError: for any other failure of the keyring.
        """
        service, username = _parts(ref)
        found = self._ask(
            ref, lambda backend: _got(backend, service, username, ref), timeout=timeout
        )
        if found is None:
            raise _missing(ref)
        return Fetched(secret=field_of(found, ref=ref))

    def write(
        self, ref: SecretRef, secret: Secret, *, expected_version: str | None = None
    ) -> StoredVersion:
        """Store a value over the old one. The version it gives is empty: a keyring keeps none.

        Raises:
            ProviderError: if ``expected_version`` is anything but None or ``"0"``, or is ``"0"``
                and there is an entry; else as :meth:`fetch`.
        """
        no_field(ref)
        service, username = _parts(ref)
        if expected_version not in (None, "0"):
            raise ProviderError(
                f"{ref}: a keyring keeps no versions, so none can be expected",
                ref=str(ref),
                hint="write without an expected version, or use the encrypted store: local:NAME",
            )

        def put(backend: KeyringBackend) -> Answer:
            with self._writing:
                if expected_version == "0":
                    there = _got(backend, service, username, ref)
                    if isinstance(there, Secret):
                        return _exists(ref)
                    if there is not None:
                        return there
                return _put(backend, service, username, ref, secret)

        self._ask(ref, put, timeout=self._patience)
        return StoredVersion(name=ref.path, version="")

    def delete(self, ref: SecretRef) -> None:
        """Remove the entry.

        Raises:
            SecretNotFoundError: if there is none; else as :meth:`fetch`.
        """
        no_field(ref)
        service, username = _parts(ref)

        def drop(backend: KeyringBackend) -> Answer:
            with self._writing:
                there = _got(backend, service, username, ref)
                if there is None:
                    return _missing(ref)
                if not isinstance(there, Secret) and not isinstance(there, SecretError):
                    return there
                return _dropped(backend, service, username, ref)

        self._ask(ref, drop, timeout=self._patience)

    def _ask(
        self, ref: SecretRef, job: Callable[[KeyringBackend], Answer], *, timeout: timedelta
    ) -> Secret | None:
        if self._worker.stuck:
            raise ProviderUnavailableError(
                f"{ref}: an earlier call to the keyring still hangs, so it was not asked again",
                ref=str(ref),
                hint=f"look for an unlock prompt, or restart the keyring daemon; {_HEADLESS}",
            )

        def work() -> Answer:
            backend = self._backend(ref)
            return backend if isinstance(backend, SecretkitError) else job(backend)

        failed: SecretkitError
        try:
            answer = self._worker.run(work, seconds=timeout.total_seconds())
        except TimeoutError:
            failed = ProviderTimeoutError(
                f"{ref}: the keyring did not answer in time", ref=str(ref), hint=_LOCKED
            )
        except RuntimeError as error:
            failed = ProviderError(f"{ref}: {error}", ref=str(ref), hint="report this as a defect")
        else:
            if not isinstance(answer, SecretkitError):
                return answer
            failed = answer
        raise failed

    def _backend(self, ref: SecretRef) -> KeyringBackend | SecretkitError:
        """Choose once; a choice that failed is made again, since a keyring may come up later."""
        if self._usable is not None:
            return self._usable
        try:
            import keyring.errors  # noqa: F401, PLC0415 - 0.13 s, and an extra

            from secretkit.providers.keyring_backend import chosen, usable  # noqa: PLC0415
        except ImportError:
            return ProviderUnavailableError(
                f"{ref}: the keyring library is not installed", ref=str(ref), hint=_INSTALL
            )
        found = chosen(self._name) if self._given is None else usable(self._given)
        if isinstance(found, str):
            return ProviderUnavailableError(f"{ref}: {found}", ref=str(ref), hint=_HEADLESS)
        self._usable = found
        return found


def _parts(ref: SecretRef) -> tuple[str, str]:
    no_version(ref)
    service, _, username = ref.path.rpartition("/")
    if not service.strip() or not username.strip():
        raise RefError(
            f"{ref}: a keyring entry has a service and a user name",
            hint="write keyring:service/username",
        )
    return service, username


# The functions below see clear text, so they return their errors (see contents).


def _got(backend: KeyringBackend, service: str, username: str, ref: SecretRef) -> Answer:
    try:
        value = backend.get_password(service, username)
    except Exception as error:  # noqa: BLE001 - each back end has its own, with texts of its own
        return _translated(error, ref)
    return None if value is None else wrapped(value, ref=ref)


def _put(
    backend: KeyringBackend, service: str, username: str, ref: SecretRef, secret: Secret
) -> Answer:
    try:
        backend.set_password(service, username, secret.reveal())
    except Exception as error:  # noqa: BLE001 - each back end has its own, with texts of its own
        return _translated(error, ref)
    return None


def _dropped(backend: KeyringBackend, service: str, username: str, ref: SecretRef) -> Answer:
    try:
        backend.delete_password(service, username)
    except Exception as error:  # noqa: BLE001 - each back end has its own, with texts of its own
        return _translated(error, ref)
    return None


def _translated(error: Exception, ref: SecretRef) -> SecretkitError:
    from keyring.errors import InitError, KeyringLocked, NoKeyringError  # noqa: PLC0415

    if isinstance(error, KeyringLocked):
        return AccessDeniedError(f"{ref}: the keyring is locked", ref=str(ref), hint=_LOCKED)
    if isinstance(error, (InitError, NoKeyringError)):
        return ProviderUnavailableError(
            f"{ref}: no keyring answers ({type(error).__name__})", ref=str(ref), hint=_HEADLESS
        )
    return ProviderError(
        f"{ref}: the keyring failed ({type(error).__name__}; its message is not shown)",
        ref=str(ref),
        hint="try it by hand: keyring get SERVICE USERNAME",
    )


def _missing(ref: SecretRef) -> SecretNotFoundError:
    return SecretNotFoundError(
        f"{ref}: the keyring has no such entry",
        ref=str(ref),
        hint="store it: keyring set SERVICE USERNAME asks for the value",
    )


def _exists(ref: SecretRef) -> ProviderError:
    return ProviderError(
        f"{ref}: there is an entry already",
        ref=str(ref),
        hint="delete it first, or write without an expected version",
    )
