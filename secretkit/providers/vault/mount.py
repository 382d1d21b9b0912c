"""Mounts: which secrets engine serves a path, asked once for each and then remembered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from secretkit.core.record import record
from secretkit.errors import AccessDeniedError, ProviderError, RefError
from secretkit.providers.vault.reason import inner, is_denial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.core.ref import SecretRef
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.session import Session

__all__ = ["KV_1", "KV_2", "Mount", "Mounts", "checked_path"]

KV_1: Final = "kv1"
KV_2: Final = "kv2"
_KV: Final = {"kv", "generic", "cubbyhole"}
_DOTS: Final = {"", ".", ".."}
_VERSIONS: Final = {"1": KV_1, "2": KV_2}
_WORD: Final = re.compile(r"[a-z0-9_-]{1,64}")


@record(kw_only=True)
class Mount:
    """Where an engine is mounted, without a slash at the end, and which it is."""

    path: str
    engine: str

    def inside(self, ref: SecretRef) -> str:
        """Give what of the reference's path stands behind the mount.

        Raises:
            RefError: if nothing does.
        """
        rest = ref.path.removeprefix(self.path).strip("/")
        if not rest:
            raise RefError(
                f"{ref}: this names a mount, and no secret in it",
                hint="write the secret's path behind it: vault:MOUNT/PATH#FIELD",
            )
        return rest


def checked_path(ref: SecretRef) -> str:
    """Give the path of a reference as it may stand in an address.

    Raises:
        RefError: if a server could read it as another path.
    """
    if any(part in _DOTS for part in ref.path.split("/")):
        raise RefError(
            f"{ref}: the path has an empty part, or one of dots",
            hint="write it as vault kv get takes it: MOUNT/PATH, without data/",
        )
    return ref.path


class Mounts:
    """Finds the mount of a path. ``stated`` engines (kv_version 1 or 2) are not asked for."""

    def __init__(self, session: Session, *, mount: str, kv_version: str) -> None:
        self._session = session
        self._mount = mount
        self._stated = _VERSIONS.get(kv_version, "")
        self._known: tuple[Mount, ...] = ()

    def find(self, ref: SecretRef, *, deadline: Deadline) -> Mount:
        """Give the mount that serves ``ref``.

        Raises:
            AccessDeniedError: if there is none, or the policy gives nothing in it: Vault does not
                say which.
        """
        path = checked_path(ref)
        if self._stated:
            return self._stated_for(ref)
        known = next((one for one in self._known if _is_in(path, one)), None)
        if known is not None:
            return known
        found = self._asked(path, str(ref), deadline)
        # Replaced whole, without a lock: what is lost in a race is asked for again.
        self._known = (*(one for one in self._known if one.path != found.path), found)
        return found

    def forget(self, mount: Mount) -> None:
        """Ask again next time: what was mounted there may be another engine by now."""
        self._known = tuple(one for one in self._known if one != mount)

    def stores(self, *, ref: str, deadline: Deadline) -> Sequence[Mount]:
        """Give the KV mounts to list: the stated one, or all that the token may see."""
        if self._mount:
            if self._stated:
                return [Mount(path=self._mount, engine=self._stated)]
            return [self._asked(self._mount, ref, deadline)]
        data = self._session.read(
            lambda hvac: hvac.read("sys/internal/ui/mounts"), ref=ref, deadline=deadline
        )
        listed = data.get("secret")
        if not isinstance(listed, dict):
            return []
        found = [_mount(name, one, ref) for name, one in listed.items() if isinstance(one, dict)]
        return sorted(
            (one for one in found if one.engine in {KV_1, KV_2} and one.path != "cubbyhole"),
            key=lambda one: one.path,
        )

    def _stated_for(self, ref: SecretRef) -> Mount:
        mount = self._mount or ref.path.partition("/")[0]
        if not f"{ref.path}/".startswith(f"{mount}/"):
            raise RefError(
                f"{ref}: the path does not start with the mount {mount!r} of the configuration",
                hint="write the mount in front of it, or leave the option mount out",
            )
        return Mount(path=mount, engine=self._stated)

    def _asked(self, path: str, ref: str, deadline: Deadline) -> Mount:
        reply, _ = self._session.send(
            lambda hvac: hvac.read(f"sys/internal/ui/mounts/{quote(path)}"),
            ref=ref,
            deadline=deadline,
        )
        if is_denial(reply):
            raise AccessDeniedError(
                f"{ref}: nothing is mounted there, or nothing of it is allowed",
                ref=ref,
                hint="look at the path's first part, the namespace, and the policies of the login "
                "(secretkit provider test shows them)",
            )
        self._session.check(reply, ref=ref, deadline=deadline)
        data = inner(reply, "data", ref=ref)
        return _mount(data.get("path"), data, ref)


def _mount(path: object, data: dict[str, Any], ref: str) -> Mount:
    engine = data.get("type")
    if not isinstance(path, str) or not isinstance(engine, str) or not _WORD.fullmatch(engine):
        raise ProviderError(
            f"{ref}: Vault does not say what is mounted there",
            ref=ref,
            hint='write kv_version = "1" or "2" in the table of the provider',
        )
    if engine in _KV:
        options = data.get("options")
        version = options.get("version") if isinstance(options, dict) else None
        engine = KV_2 if version == "2" else KV_1
    return Mount(path=path.strip("/"), engine=engine)


def _is_in(path: str, mount: Mount) -> bool:
    return f"{path}/".startswith(f"{mount.path}/")
