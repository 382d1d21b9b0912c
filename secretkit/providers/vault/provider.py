"""VaultProvider: ``vault:MOUNT/PATH#field@version`` in Vault and OpenBao.

Which engine serves a path is asked once. KV gives the document, or one field of it; any other
engine makes a secret for each fetch, with a lease that is renewed and given back. Whose token is
used, and how it is kept, is in ``token``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError, RefError, SecretkitError, SecretNotFoundError
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options
from secretkit.providers.vault.client import Client
from secretkit.providers.vault.kv import KvStore
from secretkit.providers.vault.lease import LeaseStore
from secretkit.providers.vault.login import OutermostLogin
from secretkit.providers.vault.mount import KV_1, KV_2, Mounts
from secretkit.providers.vault.option import KNOWN, auth_of, login_of, parameters_of
from secretkit.providers.vault.probe import probed
from secretkit.providers.vault.session import Session
from secretkit.providers.vault.token import TokenKeeper
from secretkit.wire import read_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import Fetched, Probe, ProviderContext, StoredVersion

__all__ = ["VaultProvider", "VersionedVaultProvider"]

_PATIENCE: Final = timedelta(seconds=10)
_CLOSING: Final = timedelta(seconds=3)
_KV: Final = frozenset({KV_1, KV_2})


class VaultProvider:
    """Reads, writes, leases, renews and gives back. Thread-safe.

    ``patience`` bounds writing, deleting and listing, which are given no deadline.
    """

    def __init__(
        self,
        session: Session,
        *,
        mount: str = "",
        kv_version: str = "auto",
        parameters: Mapping[str, Mapping[str, object]] | None = None,
        patience: timedelta = _PATIENCE,
    ) -> None:
        self._session = session
        self._patience = patience
        self._parameters = dict(parameters or {})
        self._mounts = Mounts(session, mount=mount, kv_version=kv_version)
        self._kv = KvStore(session)
        self._leases = LeaseStore(session, parameters=self._parameters)

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> VaultProvider:
        """Build it from its table; nothing is asked, read or imported from outside yet.

        Raises:
            ConfigError: for an option that is unknown, missing or malformed.
        """
        read = Options(options, type_name="vault", known=KNOWN)
        address = _address(read)
        auth = auth_of(read)
        client = Client(
            address=address,
            namespace=read.text("namespace"),
            transport=context.transport(
                ca_bundle=read.text("ca_bundle"),
                certificate=auth.text("certificate") if "certificate" in auth else "",
                private_key_file=auth.text("private_key_file")
                if "private_key_file" in auth
                else "",
            ),
        )
        login = OutermostLogin(login_of(auth, context))
        keeper = TokenKeeper(login, client, clock=context.clock, rng=context.rng)
        version = read.choice("kv_version", among=("auto", "1", "2"))
        made = VaultProvider if version == "1" else VersionedVaultProvider
        return made(
            Session(client, keeper, clock=context.clock),
            mount=read.text("mount").strip("/"),
            kv_version=version,
            parameters=parameters_of(read),
            patience=read.duration("timeout", default=_PATIENCE),
        )

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Read or lease what ``ref`` names; see :meth:`secretkit.ports.Provider.fetch`."""
        deadline = self._within(timeout)
        mount = self._mounts.find(ref, deadline=deadline)
        try:
            if mount.engine in _KV:
                return self._kv.fetch(ref, mount, deadline=deadline)
            return self._leases.fetch(ref, mount, deadline=deadline)
        except SecretNotFoundError:
            self._mounts.forget(mount)
            raise

    def write(
        self, ref: SecretRef, secret: Secret, *, expected_version: str | None = None
    ) -> StoredVersion:
        """Store a document, or one field of it; see :meth:`secretkit.ports.Writable.write`.

        A field is changed in the document that is there. On KV version 2 a document that somebody
        else changed meanwhile is refused; version 1 cannot tell, and gives no version.
        """
        deadline = self._within(self._patience)
        mount = self._mounts.find(ref, deadline=deadline)
        if mount.engine not in _KV:
            raise RefError(
                f"{ref}: this is not the key-value engine, so nothing is stored there",
                hint="only secrets of KV can be written",
            )
        return self._kv.write(ref, secret, mount, expected=expected_version, deadline=deadline)

    def delete(self, ref: SecretRef) -> None:
        """Remove a document with all its versions, or the one field that ``ref`` names.

        Raises:
            SecretNotFoundError: if there is none.
        """
        deadline = self._within(self._patience)
        mount = self._mounts.find(ref, deadline=deadline)
        if mount.engine not in _KV:
            raise RefError(
                f"{ref}: this is not the key-value engine, so nothing is stored there",
                hint="a lease ends when it is given back",
            )
        self._kv.delete(ref, mount, deadline=deadline)

    def renew(self, handle: str, *, timeout: timedelta) -> datetime:
        """Let a lease last longer; see :meth:`secretkit.ports.Renewable.renew`."""
        return self._leases.renew(handle, deadline=self._within(timeout))

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Give a lease back; see :meth:`secretkit.ports.Revocable.revoke`."""
        self._leases.revoke(handle, deadline=self._within(timeout))

    def probe(self, *, timeout: timedelta) -> Probe:
        """Say who we are there; see :meth:`secretkit.ports.Probing.probe`."""
        return probed(self._session, self._parameters, deadline=self._within(timeout))

    def close(self) -> None:
        """End the token that a login made, unless a lease that is in use hangs on it."""
        if self._leases.are_running:
            return
        try:
            self._session.keeper.revoke(
                ref=self._session.client.address, deadline=self._within(_CLOSING)
            )
        except SecretkitError:
            return  # it ends by itself; there is nobody left who could do more

    def _within(self, timeout: timedelta) -> Deadline:
        return Deadline(timeout, clock=self._session.clock)


class VersionedVaultProvider(VaultProvider):
    """The same where the key-value engine keeps versions."""

    def version(self, ref: SecretRef, *, timeout: timedelta) -> str:
        """Give the current version; see :meth:`secretkit.ports.Versioned.version`."""
        deadline = self._within(timeout)
        mount = self._mounts.find(ref, deadline=deadline)
        if mount.engine not in _KV:
            raise RefError(
                f"{ref}: what is made for each fetch has no version",
                hint="only secrets of KV have one",
            )
        return self._kv.version(ref, mount, deadline=deadline)

    def names(self) -> Sequence[StoredVersion]:
        """List every document of the mount in the options, or of all KV mounts, by name.

        One request for each document and folder.
        """
        deadline = self._within(self._patience)
        ref = self._session.client.address
        found = [
            one
            for mount in self._mounts.stores(ref=ref, deadline=deadline)
            for one in self._kv.names(mount, ref=ref, deadline=deadline)
        ]
        return sorted(found, key=lambda one: one.name)


def _address(options: Options) -> str:
    address = options.required("address", expected='an address such as "https://vault:8200"')
    try:
        read_address(address)
    except ConfigError as error:
        raise ConfigError(error.args[0], hint=error.hint, key_path="address") from None
    if "?" in address:
        raise options.wrong("address", expected="an address without a query")
    return address
