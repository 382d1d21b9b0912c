"""spiffe: JWT-SVIDs and X.509-SVIDs from a SPIFFE Workload API, such as a SPIRE agent's.

https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md

Each call opens a channel of its own and closes it: 2 to 4 ms here. gRPC's threads do not survive a
fork; with no channel kept, a forked child starts afresh (measured with grpcio 1.85: parent and
children answer). The client library's ``JwtSource`` is not used, since it keeps tokens.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from spiffe import WorkloadApiClient, X509Svid

    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["SpiffeIdentity", "WorkloadApi", "X509Identity", "open_spiffe"]

T = TypeVar("T")
_SOCKET: Final = "SPIFFE_ENDPOINT_SOCKET"
_INSTALL: Final = 'pip install "secretkit[spiffe]"'


@record(kw_only=True, hidden=("key",))
class X509Identity:
    """An X.509-SVID: who it names, until when, its chain, key (PKCS #8) and authorities, in PEM."""

    subject: str
    expires_at: datetime
    chain: str
    key: Secret
    authorities: str


class WorkloadApi:
    """Asks one Workload API. Thread-safe, fork-safe; keeps nothing."""

    ref = "spiffe"

    def __init__(self, socket: str, *, context: ProviderContext) -> None:
        """Take ``unix:///PATH``; empty means what SPIFFE_ENDPOINT_SOCKET says when it is asked."""
        self._socket = socket
        self._context = context

    def jwt(self, audience: str, *, spiffe_id: str, timeout: timedelta) -> Secret:
        """Ask for a JWT-SVID for one audience, as ``spiffe_id`` where the workload has several.

        Raises:
            AccessDeniedError: if no registration entry fits this process.
            ProviderUnavailableError: if there is no socket, or nobody behind it.
            ProviderTimeoutError: if no answer came in time.
            ProviderError: for any other answer.
        """
        with self._client() as client:
            found = self._told(_jwt, client, audience, spiffe_id, timeout.total_seconds())
        if isinstance(found, Secret):
            return found
        raise found

    def x509(self, *, timeout: timedelta) -> X509Identity:
        """Ask for the default X.509-SVID and its trust domain's authorities; raises as above."""
        with self._client() as client:
            found = self._told(_x509, client, timeout.total_seconds())
        if isinstance(found, X509Identity):
            return found
        raise found

    @contextmanager
    def _client(self) -> Iterator[WorkloadApiClient]:
        try:
            from spiffe import WorkloadApiClient  # noqa: PLC0415 - 150 ms: gRPC
            from spiffe.errors import ArgumentError  # noqa: PLC0415 - see above
        except ImportError:
            raise ProviderUnavailableError(
                f"{self.ref}: the package spiffe is not installed", ref=self.ref, hint=_INSTALL
            ) from None
        socket = self._address()
        try:
            client = WorkloadApiClient(socket)
        except ArgumentError:
            client = None
        if client is None:
            raise ProviderUnavailableError(
                f"{self.ref}: there is no Workload API at {socket}",
                ref=self.ref,
                hint="see that the agent runs, and that its socket is mounted here",
            )
        try:
            yield client
        finally:
            client.close()

    def _address(self) -> str:
        socket = self._socket or self._context.environ.get(_SOCKET, "")
        if not socket:
            raise ProviderUnavailableError(
                f"{self.ref}: nothing says where the Workload API is",
                ref=self.ref,
                hint=f"write socket, or set {_SOCKET}: unix:///run/spire/agent.sock",
            )
        return f"unix://{socket}" if socket.startswith("/") else socket

    def _told(self, ask: Callable[..., T], *asked: object) -> T | ProviderError:
        """Return errors: what the client raises may hold the token."""
        try:
            return ask(*asked)
        except Exception as error:  # noqa: BLE001 - the client wraps whatever it meets
            return self._error(error)

    def _error(self, error: BaseException | None) -> ProviderError:
        code = inner = ""
        while error is not None and not code:
            told = getattr(error, "code", None)
            code = str(getattr(told(), "name", "")) if callable(told) else ""
            inner, error = type(error).__name__, error.__cause__
        kind, text, hint = _CODES.get(code, (ProviderError, _UNFIT.format(code or inner), _LOOK))
        made = kind(f"{self.ref}: {text}", ref=self.ref, hint=hint)
        if code in _FINAL:
            made.retryable = False
        return made


_CODES: Final[Mapping[str, tuple[type[ProviderError], str, str]]] = {
    "PERMISSION_DENIED": (
        AccessDeniedError,
        "no registration entry fits this process, so it has no identity",
        "register the workload: spire-server entry create -selector unix:uid:…",
    ),
    "INVALID_ARGUMENT": (
        ProviderError,
        "the Workload API refuses the request (INVALID_ARGUMENT)",
        "a proxy may drop its header workload.spiffe.io; else spiffe_id or audience is not for us",
    ),
    "UNAVAILABLE": (
        ProviderUnavailableError,
        "nobody answers behind the Workload API's socket",
        "see that the agent runs, and that this user may open its socket",
    ),
    "DEADLINE_EXCEEDED": (
        ProviderTimeoutError,
        "the Workload API did not answer in time",
        "see whether the agent reaches its server, or raise leases.fetch_timeout",
    ),
    "UNIMPLEMENTED": (
        ProviderError,
        "this Workload API does not issue what was asked of it",
        "look at what its documentation says of JWT-SVIDs",
    ),
}
_UNFIT: Final = "the Workload API's answer cannot be used ({})"
_LOOK: Final = (
    "see that its SVID has a sub, an aud that was asked for, an exp to come, and a signature"
)
_FINAL: Final = {"INVALID_ARGUMENT", "UNIMPLEMENTED"}


class SpiffeIdentity:
    """Asks for a JWT-SVID, anew each time. The agent itself may answer with one it gave before."""

    ref = "spiffe"

    def __init__(self, workload: WorkloadApi, *, audience: str, spiffe_id: str) -> None:
        self._workload = workload
        self._audience = audience
        self._spiffe_id = spiffe_id

    def token(self, *, timeout: timedelta) -> Secret:
        """Ask once; raises as :meth:`WorkloadApi.jwt`."""
        return self._workload.jwt(self._audience, spiffe_id=self._spiffe_id, timeout=timeout)


def open_spiffe(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``socket`` (else SPIFFE_ENDPOINT_SOCKET) and ``spiffe_id``."""
    known = ("audience", "socket", "spiffe_id")
    read = Options(table, type_name="spiffe", known=known, noun="identity")
    socket, spiffe_id = read.text("socket"), read.text("spiffe_id")
    if socket and not socket.startswith(("/", "unix:///")):
        raise read.wrong("socket", expected='the path of a socket: "unix:///run/spire/agent.sock"')
    if spiffe_id and not spiffe_id.startswith("spiffe://"):
        raise read.wrong("spiffe_id", expected='a SPIFFE ID: "spiffe://example.org/broker"')
    wanted = read.text("audience", default=audience)
    workload = WorkloadApi(socket, context=context)
    return SpiffeIdentity(workload, audience=wanted, spiffe_id=spiffe_id), wanted


def _jwt(client: WorkloadApiClient, audience: str, spiffe_id: str, seconds: float) -> Secret:
    from spiffe import SpiffeId  # noqa: PLC0415 - gRPC

    subject = SpiffeId(spiffe_id) if spiffe_id else None
    return Secret(client.fetch_jwt_svid({audience}, subject=subject, timeout=seconds).token)


def _x509(client: WorkloadApiClient, seconds: float) -> X509Identity:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - loads OpenSSL

    pem = serialization.Encoding.PEM
    found = client.fetch_x509_context(timeout=seconds)
    svid: X509Svid = found.default_svid
    bundle: Any = found.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    return X509Identity(
        subject=str(svid.spiffe_id),
        expires_at=svid.leaf.not_valid_after_utc,
        chain="".join(one.public_bytes(pem).decode() for one in svid.cert_chain),
        key=Secret(
            svid.private_key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode()
        ),
        authorities="".join(
            one.public_bytes(pem).decode()
            for one in sorted(bundle.x509_authorities, key=lambda one: one.serial_number)
        ),
    )
