"""KV: reads and writes documents of the key-value engine, in both its versions.

Version 2 keeps versions and compares before it writes. Version 1 does neither, so a write that
expects something holds only within this process.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.secret import Secret
from secretkit.errors import (
    ProviderError,
    ProviderTimeoutError,
    RefError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.ports import Fetched, StoredVersion
from secretkit.providers.contents import field_of, no_version
from secretkit.providers.vault.kv_document import (
    Current,
    changed,
    conflict,
    moment,
    read_document,
    removal,
    whole_document,
    writing,
)
from secretkit.providers.vault.mount import KV_2
from secretkit.providers.vault.reason import has_text, inner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.core.ref import SecretRef
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.mount import Mount
    from secretkit.providers.vault.session import Session

__all__ = ["KvStore"]

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_NONE: Final = "0"
_MISSING: Final = 404


class KvStore:
    """The documents behind one session. Thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._writing = threading.Lock()

    def fetch(self, ref: SecretRef, mount: Mount, *, deadline: Deadline) -> Fetched:
        """Read a document, or the text under the reference's field; as :meth:`Provider.fetch`."""
        if mount.engine != KV_2:
            no_version(ref)
        elif ref.version is not None and not _VERSION.fullmatch(ref.version):
            raise RefError(
                f"{ref}: a version in Vault is a number from 1",
                hint="look at the versions: bao kv metadata get PATH",
            )
        found = self._read(ref, mount, deadline)
        return Fetched(
            secret=field_of(found.secret, ref=ref),
            version=found.version if mount.engine == KV_2 else None,
        )

    def version(self, ref: SecretRef, mount: Mount, *, deadline: Deadline) -> str:
        """Give the current version's number, without reading the document."""
        if mount.engine != KV_2:
            raise RefError(
                f"{ref}: version 1 of KV keeps no versions",
                hint="bao kv enable-versioning MOUNT/ makes it version 2",
            )
        path = mount.inside(ref)
        data = self._session.read(
            lambda hvac: hvac.secrets.kv.v2.read_secret_metadata(path, mount_point=mount.path),
            ref=str(ref),
            deadline=deadline,
        )
        number = data.get("current_version")
        if not isinstance(number, int) or number < 1:
            raise SecretNotFoundError(
                f"{ref}: Vault has no version of this secret",
                ref=str(ref),
                hint="write one: bao kv put PATH KEY=-",
            )
        return str(number)

    def write(
        self,
        ref: SecretRef,
        secret: Secret,
        mount: Mount,
        *,
        expected: str | None,
        deadline: Deadline,
    ) -> StoredVersion:
        """Store a document, or change the reference's field in it."""
        if ref.version is not None:
            raise RefError(
                f"{ref}: a version cannot be written", hint="leave out the part from '@' on"
            )
        with self._turn(ref, deadline):
            current = self._current(ref, mount, expected, deadline)
            if expected is not None and current is not None and expected != current.version:
                raise conflict(ref)
            if ref.field is None:
                whole = whole_document(secret, ref)
            else:
                held = current.secret if current else Secret("{}")
                whole = changed(held, ref, secret)
            if isinstance(whole, SecretError):
                raise whole
            cas = None if current is None else current.version
            return self._put(ref, whole, mount, cas, deadline)

    def delete(self, ref: SecretRef, mount: Mount, *, deadline: Deadline) -> None:
        """Remove the document with its versions; or the field, if it is not the only one."""
        if ref.version is not None:
            raise RefError(
                f"{ref}: one version cannot be deleted here",
                hint="bao kv destroy -versions=N PATH does that",
            )
        with self._turn(ref, deadline):
            current = self._read(ref, mount, deadline)
            field_of(current.secret, ref=ref)
            rest = Secret("{}") if ref.field is None else changed(current.secret, ref, None)
            if isinstance(rest, SecretError):
                raise rest
            if rest != Secret("{}"):
                self._put(ref, rest, mount, current.version, deadline)
                return
            path = mount.inside(ref)
            self._session.good(removal(path, mount), ref=str(ref), deadline=deadline)

    def names(self, mount: Mount, *, ref: str, deadline: Deadline) -> list[StoredVersion]:
        """Give every document of a mount with its version: one request for each, and folder."""
        found: list[StoredVersion] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for key in self._listed(folder, mount, ref, deadline):
                if key.endswith("/"):
                    folders.append(folder + key)
                else:
                    found += self._stored(folder + key, mount, ref, deadline)
        return found

    @contextmanager
    def _turn(self, ref: SecretRef, deadline: Deadline) -> Iterator[None]:
        """Write one after the other; a lock that a fork left locked costs the deadline."""
        if not self._writing.acquire(timeout=deadline.seconds):
            raise ProviderTimeoutError(
                f"{ref}: another write took too long", ref=str(ref), hint="try again"
            )
        try:
            yield
        finally:
            self._writing.release()

    def _listed(self, folder: str, mount: Mount, ref: str, deadline: Deadline) -> list[str]:
        engine = "v2" if mount.engine == KV_2 else "v1"
        reply, _ = self._session.send(
            lambda hvac: getattr(hvac.secrets.kv, engine).list_secrets(
                folder, mount_point=mount.path
            ),
            ref=ref,
            deadline=deadline,
        )
        if reply.status == _MISSING:
            return []
        self._session.check(reply, ref=ref, deadline=deadline)
        keys = inner(reply, "data", ref=ref).get("keys")
        if not isinstance(keys, list):
            return []
        return [key for key in keys if isinstance(key, str) and key not in {"", "/"}]

    def _stored(self, path: str, mount: Mount, ref: str, deadline: Deadline) -> list[StoredVersion]:
        name = f"{mount.path}/{path}"
        if mount.engine != KV_2:
            return [StoredVersion(name=name, version="")]
        data = self._session.read(
            lambda hvac: hvac.secrets.kv.v2.read_secret_metadata(path, mount_point=mount.path),
            ref=ref,
            deadline=deadline,
        )
        number = str(data.get("current_version"))
        versions = data.get("versions")
        entry = versions.get(number) if isinstance(versions, dict) else None
        if not isinstance(entry, dict):
            return []
        if entry.get("deletion_time") or entry.get("destroyed"):
            return []
        return [
            StoredVersion(name=name, version=number, created_at=moment(entry.get("created_time")))
        ]

    def _current(
        self, ref: SecretRef, mount: Mount, expected: str | None, deadline: Deadline
    ) -> Current | None:
        """Give what a write has to compare with or to change; None if it needs neither."""
        if ref.field is None:
            if expected is None:
                return None
            if mount.engine == KV_2 and (expected == _NONE or _VERSION.fullmatch(expected)):
                return Current(secret=Secret("{}"), version=expected)  # Vault itself compares
        try:
            return self._read(ref, mount, deadline)
        except SecretNotFoundError:
            pass
        return Current(secret=Secret("{}"), version=_NONE)

    def _put(
        self, ref: SecretRef, whole: Secret, mount: Mount, cas: str | None, deadline: Deadline
    ) -> StoredVersion:
        path = mount.inside(ref)
        reply, _ = self._session.send(
            writing(path, whole, mount, cas), ref=str(ref), deadline=deadline
        )
        if has_text(reply, "check-and-set parameter did not match"):
            raise conflict(ref)
        self._session.check(reply, ref=str(ref), deadline=deadline)
        data = inner(reply, "data", ref=str(ref))
        version = str(data["version"]) if mount.engine == KV_2 and "version" in data else ""
        return StoredVersion(
            name=ref.path, version=version, created_at=moment(data.get("created_time"))
        )

    def _read(self, ref: SecretRef, mount: Mount, deadline: Deadline) -> Current:
        path, version = mount.inside(ref), ref.version

        def call(hvac: Any) -> Any:  # noqa: ANN401 - hvac has no types
            if mount.engine == KV_2:
                return hvac.secrets.kv.v2.read_secret_version(
                    path, version, mount_point=mount.path, raise_on_deleted_version=False
                )
            return hvac.secrets.kv.v1.read_secret(path, mount_point=mount.path)

        reply = self._session.good(call, ref=str(ref), deadline=deadline)
        found = read_document(reply, str(ref), nested=mount.engine == KV_2)
        if isinstance(found, ProviderError):
            raise found
        return found
