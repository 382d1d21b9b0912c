"""``local``: secrets in an encrypted file of this machine, with versions and compare-and-swap.

``local:NAME[#field][@version]``. Options: ``path`` (default: ``store.db`` in the state directory),
``keep`` (versions kept of each secret, default 10) and ``key``, one of ``{type = "key-file", path =
…}``, ``{type = "passphrase", env = "VARIABLE"}`` and ``{type = "keyring", service = …}``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from secretkit.errors import (
    LedgerError,
    ProviderError,
    ProviderUnavailableError,
    RefError,
    SecretNotFoundError,
)
from secretkit.ports import Fetched, StoredVersion
from secretkit.providers.contents import field_of, no_field
from secretkit.providers.keychoice import in_state_dir, key_source, located
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import ProviderContext
    from secretkit.providers.keysource import KeySource
    from secretkit.providers.store import LocalStore

__all__ = ["LocalProvider"]

_VERSION: Final = re.compile("[1-9][0-9]{0,17}")
_EXPECTED: Final = re.compile("0|[1-9][0-9]{0,17}")
_KEEP: Final = 10
_MOST_KEEP: Final = 1000
_PATIENCE: Final = timedelta(seconds=5)


class LocalProvider:
    """Reads and writes one local store. Thread-safe, fork-safe, safe between processes.

    The store is opened on first use. A read of an open store takes about 0.1 ms, a write one
    durable commit.
    """

    def __init__(
        self, path: str, source: KeySource, *, context: ProviderContext, keep: int = _KEEP
    ) -> None:
        self.path = path
        self._source = source
        self._clock = context.clock
        self._keep = keep
        self._opened: dict[str, LocalStore] = {}

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it from its table; nothing is read yet.

        Raises:
            ConfigError: for an option that is unknown or malformed.
        """
        given = Options(options, type_name="local", known=("path", "key", "keep"))
        keep = options.get("keep", _KEEP)
        if not isinstance(keep, int) or isinstance(keep, bool) or not 1 <= keep <= _MOST_KEEP:
            raise given.wrong("keep", expected=f"a whole number from 1 to {_MOST_KEEP}")
        path = given.text("path") or in_state_dir("store.db", context)
        source = key_source(given.table("key"), context)
        return cls(located(path, "path", context), source, context=context, keep=keep)

    def create(self) -> None:
        """Make the store, and the key in its key file or keyring if there is none yet.

        Raises:
            LedgerError: if there is a store already, or if it cannot be written.
            AccessDeniedError: if others can reach the place.
        """
        from secretkit.providers.store import LocalStore  # noqa: PLC0415 - SQLite and the cipher

        self._source.create()
        LocalStore.create(self.path, self._source, clock=self._clock, keep=self._keep).close()

    def create_if_blank(self) -> bool:
        """Make the store unless there is one, and say whether it was made.

        A file that a killed process left without tables is finished. An existing store's header
        is read, which needs no key.

        Raises:
            IntegrityError: if there is a store and it is damaged.
            LedgerError: if the file is none of ours, or if it cannot be read or written.
            AccessDeniedError: if others can reach the place.
        """
        if self._begun():
            return False
        try:
            self.create()
        except LedgerError:
            if self._begun():  # by another process meanwhile
                return False
            raise
        return True

    def _begun(self) -> bool:
        try:
            return self._store().begun()
        except ProviderUnavailableError:
            return False
        finally:
            self.close()

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Give a secret, its field or one of its versions.

        Raises:
            SecretNotFoundError: if there is no such secret, version or field.
            RefError: if the reference cannot name something in this store.
            IntegrityError: if what is stored is not what was written, or the key is not the right
                one.
            LedgerError: if the store is locked or cannot be read now.
            AccessDeniedError: if others can reach the file or its key.
            ProviderUnavailableError: if there is no store, or no key to try.
        """
        name, version = _name(ref), _version(ref)
        with _about(ref):
            found = self._store().read(name, version=version, patience=min(timeout, _PATIENCE))
        if found is None:
            raise _absent(ref)
        entry, secret = found
        return Fetched(secret=field_of(secret, ref=ref), version=str(entry.version))

    def version(self, ref: SecretRef, *, timeout: timedelta) -> str:
        """Give the current version's number, or the one in ``ref`` if it is kept."""
        name, version = _name(ref), _version(ref)
        with _about(ref):
            store = self._store()
            if version is None:
                found = store.version(name, patience=min(timeout, _PATIENCE))
            else:
                found = next((e.version for e in store.versions(name) if e.version == version), 0)
        if not found:
            raise _absent(ref)
        return str(found)

    def write(
        self, ref: SecretRef, secret: Secret, *, expected_version: str | None = None
    ) -> StoredVersion:
        """Store a new version, which becomes the current one; durable when this returns.

        Raises:
            ProviderError: if ``expected_version`` is not the current one; not retryable.
            LedgerError: if it cannot be committed; the old value stays readable.
            RefError: if the reference has a field or a version.
        """
        name = _name_to_write(ref)
        expected = None if expected_version is None else _expected(ref, expected_version)
        with _about(ref):
            entry = self._store().write(name, secret, expected=expected)
        return StoredVersion(name=name, version=str(entry.version), created_at=entry.created_at)

    def delete(self, ref: SecretRef) -> None:
        """Remove a secret with all its versions.

        Raises:
            SecretNotFoundError: if there is none.
        """
        name = _name_to_write(ref)
        with _about(ref):
            found = self._store().delete(name)
        if not found:
            raise _absent(ref)

    def names(self) -> Sequence[StoredVersion]:
        """Give the current version of every secret, sorted by name, without values."""
        return [
            StoredVersion(name=entry.name, version=str(entry.version), created_at=entry.created_at)
            for entry in self._store().entries()
        ]

    def rewrap(self, key: Mapping[str, object], context: ProviderContext) -> None:
        """Seal the store's data key under another ``key`` option; values are not touched."""
        source = key_source(key, context)
        source.create()
        self._store().rewrap(source)
        self._source = source

    def close(self) -> None:
        """Close the store; the next use opens it again."""
        for store in list(self._opened.values()):
            store.close()
        self._opened.clear()

    def _store(self) -> LocalStore:
        store = self._opened.get(self.path)
        if store is None:
            from secretkit.providers.store import LocalStore  # noqa: PLC0415 - SQLite, the cipher

            fresh = LocalStore(self.path, self._source, clock=self._clock, keep=self._keep)
            store = self._opened.setdefault(self.path, fresh)  # atomic: one of two threads wins
        return store


def _name(ref: SecretRef) -> str:
    if ref.path.startswith("/"):
        raise RefError(
            f"{ref}: a name in the local store does not start with '/'",
            hint=f"leave out the '/', or write file:{ref.path} if you mean a file",
        )
    return ref.path


def _name_to_write(ref: SecretRef) -> str:
    no_field(ref)
    if ref.version is not None:
        raise RefError(
            f"{ref}: one version cannot be written or removed on its own",
            hint="leave out the part from '@' on",
        )
    return _name(ref)


def _version(ref: SecretRef) -> int | None:
    if ref.version is None:
        return None
    if not _VERSION.fullmatch(ref.version):
        raise RefError(
            f"{ref}: a version of the local store is a number", hint="write @1, @2 and so on"
        )
    return int(ref.version)


def _expected(ref: SecretRef, version: str) -> int:
    if not _EXPECTED.fullmatch(version):
        error = ProviderError(
            f"{ref}: the expected version is not one of this store, whose versions are numbers",
            ref=str(ref),
            hint='give the version that fetch reports, or "0" for none',
        )
        error.retryable = False
        raise error
    return int(version)


def _absent(ref: SecretRef) -> SecretNotFoundError:
    what = "this version is not kept" if ref.version else "there is no such secret"
    return SecretNotFoundError(
        f"{ref}: {what}",
        ref=str(ref),
        hint="secretkit list shows what there is; secretkit set NAME stores one",
    )


@contextmanager
def _about(ref: SecretRef) -> Iterator[None]:
    """Name the reference in a provider's error that passes."""
    try:
        yield
    except ProviderError as error:
        error.ref = error.ref or str(ref)
        raise
