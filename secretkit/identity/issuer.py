"""Issuer: signs short tokens for workloads on a host that has no identity of its own.

Who asks is told by the kernel, not by the caller: the unix socket's peer has a user id, and
``workloads`` says which subject that is. See docs/identity.md.
"""

from __future__ import annotations

import re
import secrets
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from secretkit.core.record import record
from secretkit.errors import AccessDeniedError, ConfigError, ProviderError, SecretNotFoundError
from secretkit.identity.issued import socket_path
from secretkit.identity.keyset import KeySet, Rotation, read_keys, written_keys
from secretkit.ports import Writable
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import Clock, ProviderContext

__all__ = ["DISCOVERY", "JWKS", "Issuer", "IssuerPlan", "Workload", "read_plan"]

DISCOVERY: Final = ".well-known/openid-configuration"
JWKS: Final = "jwks.json"
_KNOWN: Final = (
    *("issuer_url", "signing_key", "socket", "publish", "workloads"),
    *("life", "rotate_every", "publish_ahead"),
)
_LONGEST: Final = timedelta(minutes=5)
_SHORTEST: Final = timedelta(seconds=10)
_TIMEOUT: Final = timedelta(seconds=10)  # for the store that holds the keys
_SUBJECT: Final = re.compile(r"[!-~]{1,255}")
_NOBODY: Final = 65_534  # what the kernel says of a user that its namespace does not know


@record(kw_only=True)
class Workload:
    """A user of this host, the subject it is known as, and for whom it may have tokens."""

    uid: int
    subject: str
    audiences: tuple[str, ...] = ()


@record(kw_only=True)
class IssuerPlan:
    """``[identity.issuer]``, read."""

    issuer_url: str
    signing_key: SecretRef
    socket: str
    publish: str
    rotation: Rotation
    workloads: tuple[Workload, ...]


class Issuer:
    """Signs for known users, and keeps its keys in a store. Thread-safe.

    It signs only with keys that :meth:`refresh` gave out for publishing and whose time has come.
    """

    def __init__(self, plan: IssuerPlan, *, context: ProviderContext) -> None:
        self.plan = plan
        self._context = context
        self._lock = threading.Lock()
        self._keys = self._next = KeySet()
        self._workloads = {one.uid: one for one in plan.workloads}

    def refresh(self) -> dict[str, str]:
        """Read the keys, change what is due, and give the documents to publish, by their path.

        Nothing new is used before :meth:`published` is called. Costs one read of the store, and a
        write when a key is added or dropped.

        Raises:
            ProviderError: as the store does; the keys in use stay in use.
            SecretError: if the reference holds something else.
            ConfigError: if the store cannot be written.
        """
        import json  # noqa: PLC0415 - not for reading a plan

        with self._lock:
            self._next = self._due()
            documents = {DISCOVERY: _discovery(self.plan.issuer_url), JWKS: self._next.jwks()}
        return {path: json.dumps(document, indent=2) + "\n" for path, document in documents.items()}

    def published(self) -> None:
        """Note that the documents of the last :meth:`refresh` can be read by everybody."""
        with self._lock:
            self._keys = self._next

    def token(self, uid: int, audience: str) -> Secret:
        """Give a token for ``audience`` to the workload of user ``uid``.

        Raises:
            AccessDeniedError: if this user has none, or not for this audience.
            ProviderError: if no key is ready.
        """
        workload = self._workloads.get(uid)
        allowed = workload.audiences if workload is not None else ()
        if workload is None or (allowed and audience not in allowed):
            raise AccessDeniedError(f"user {uid} has no token for this audience", ref="issuer")
        now = self._context.clock.now()
        with self._lock:
            key = self._keys.signing(now)
        if key is None:
            raise ProviderError("no key of the issuer is ready", ref="issuer")
        begin = int(now.timestamp())
        return key.sign(
            {
                "iss": self.plan.issuer_url,
                "sub": workload.subject,
                "aud": audience,
                "iat": begin,
                "exp": begin + int(self.plan.rotation.life.total_seconds()),
                "jti": secrets.token_hex(16),
            }
        )

    @property
    def clock(self) -> Clock:
        """The clock that tokens are dated by."""
        return self._context.clock

    def knows(self, uid: int) -> bool:
        """Say whether the user has any token here, before a word of it is read."""
        return uid in self._workloads

    def _due(self) -> KeySet:
        ref = self.plan.signing_key
        store = self._context.resolve(ref.provider)
        if not isinstance(store, Writable):
            raise ConfigError(
                "the store of signing_key cannot be written, and keys rotate",
                key_path="signing_key",
                hint='use the local store: signing_key = "local:issuer"',
            )
        try:
            found = store.fetch(ref, timeout=_TIMEOUT)
        except SecretNotFoundError:
            stored, version = KeySet(), "0"
        else:
            stored, version = read_keys(found.secret), found.version or ""
        due = stored.advanced(self._context.clock.now(), rotation=self.plan.rotation)
        if due is not stored:
            # Another process that did the same meanwhile wins, and the next refresh reads its keys.
            store.write(ref, written_keys(due), expected_version=version)
        return due


def read_plan(table: Mapping[str, object]) -> IssuerPlan:
    """Read ``[identity.issuer]``; its key paths are relative to it.

    Raises:
        ConfigError: for an option that is unknown, missing or malformed.
    """
    read = Options(table, type_name="issuer", known=_KNOWN, noun="identity")
    key = read.ref("signing_key")
    if key is None or key.field is not None or key.version is not None:
        raise read.wrong("signing_key", expected='a reference in a store: "local:issuer"')
    usual = Rotation()
    rotation = Rotation(
        every=read.duration("rotate_every", default=usual.every),
        ahead=read.duration("publish_ahead", default=usual.ahead),
        life=read.duration("life", default=usual.life),
    )
    if not _SHORTEST <= rotation.life <= _LONGEST:
        raise read.wrong("life", expected='a duration from "10s" to "5m"')
    if rotation.every < 2 * (rotation.ahead + rotation.life):
        raise read.wrong("rotate_every", expected="at least twice publish_ahead and life together")
    return IssuerPlan(
        issuer_url=_issuer_url(read),
        signing_key=key,
        socket=socket_path(read),
        publish=read.text("publish"),
        rotation=rotation,
        workloads=_workloads(read),
    )


def _issuer_url(read: Options) -> str:
    url = read.required("issuer_url", expected='"https://id.example.org"')
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and not (parts.query or parts.fragment)
        good = good and "@" not in parts.netloc and not url.endswith("/") and url.isascii()
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise read.wrong("issuer_url", expected='"https://id.example.org", without a / at the end')
    return url


def _workloads(read: Options) -> tuple[Workload, ...]:
    found: dict[int, Workload] = {}
    for item in read.items("workloads"):
        one = Options(
            item if isinstance(item, dict) else {},
            type_name="workload in [identity.issuer]",
            known=("uid", "subject", "audiences"),
            noun="",
            path="workloads",
        )
        uid: Any = item.get("uid") if isinstance(item, dict) else None
        if isinstance(uid, bool) or not isinstance(uid, int) or not 0 <= uid < 2**32 - 1:
            raise one.wrong("uid", expected="the number of a user: { uid = 1001, subject = … }")
        if uid in found:
            raise one.wrong("uid", expected="each user once")
        if uid == _NOBODY:
            raise one.wrong("uid", expected="another user: 65534 stands for all that are unknown")
        subject = one.required("subject")
        if not _SUBJECT.fullmatch(subject):
            raise one.wrong("subject", expected='visible ASCII: "host/batch"')
        found[uid] = Workload(uid=uid, subject=subject, audiences=one.texts("audiences"))
    return tuple(found.values())


def _discovery(url: str) -> dict[str, Any]:
    """Give the document of OpenID Connect Discovery §3, as far as a verifier of tokens reads it."""
    return {
        "issuer": url,
        "jwks_uri": f"{url}/{JWKS}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
