"""spiffe: JWT-SVIDs and X.509-SVIDs from a SPIFFE Workload API, such as a SPIRE agent's.

https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md

gRPC is not in our process: its threads do not survive a fork. A program beside us asks, through a
line that only it and we hold (:mod:`secretkit.identity.companion`). The client library's
``JwtSource`` is not used, since it keeps tokens.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.identity.companion import Companions
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["SpiffeIdentity", "WorkloadApi", "X509Identity", "open_spiffe"]

T = TypeVar("T")
_SOCKET: Final = "SPIFFE_ENDPOINT_SOCKET"
_companions: Final = Companions()


@record(kw_only=True, hidden=("key",))
class X509Identity:
    """An X.509-SVID: who it names, until when, its chain, key (PKCS #8) and authorities, in PEM."""

    subject: str
    expires_at: datetime
    chain: str
    key: Secret
    authorities: str


class WorkloadApi:
    """Asks one Workload API. Thread-safe; a program may fork at any time. Keeps nothing."""

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
        found = self._asked(_token, "jwt", timeout, audience=audience, spiffe_id=spiffe_id)
        if isinstance(found, Secret):
            return found
        raise found

    def x509(self, *, timeout: timedelta) -> X509Identity:
        """Ask for the default X.509-SVID and its trust domain's authorities; raises as above."""
        found = self._asked(_x509, "x509", timeout)
        if isinstance(found, X509Identity):
            return found
        raise found

    def close(self) -> None:
        """End the idle programs that ask, of all in this process; the next question starts one."""
        _companions.close()

    def _asked(
        self, read: Callable[[Any], T], kind: str, timeout: timedelta, **more: str
    ) -> T | ProviderError:
        """Return errors: what is read holds the token."""
        deadline = Deadline(timeout, clock=self._context.clock)
        socket = self._address()
        document = _companions.ask({"kind": kind, "socket": socket, **more}, deadline=deadline)
        if "code" in document:
            return self._error(str(document["code"]), socket)
        try:
            return read(document)
        except (KeyError, TypeError, ValueError, SecretError):
            return self._error("no SVID", socket)

    def _address(self) -> str:
        socket = self._socket or self._context.environ.get(_SOCKET, "")
        if not socket:
            raise ProviderUnavailableError(
                f"{self.ref}: nothing says where the Workload API is",
                ref=self.ref,
                hint=f"write socket, or set {_SOCKET}: unix:///run/spire/agent.sock",
            )
        return f"unix://{socket}" if socket.startswith("/") else socket

    def _error(self, code: str, socket: str) -> ProviderError:
        kind, text, hint = _CODES.get(code, (ProviderError, _UNFIT.format(code), _LOOK))
        made = kind(f"{self.ref}: {text.format(socket=socket)}", ref=self.ref, hint=hint)
        if code in _FINAL:
            made.retryable = False
        return made


_CODES: Final[Mapping[str, tuple[type[ProviderError], str, str]]] = {
    "FAILED": (
        ProviderUnavailableError,
        f"the program that asks the agent failed ({sys.executable})",
        "see what it says of: import spiffe, secretkit.identity.agent",
    ),
    "NOT_INSTALLED": (
        ProviderUnavailableError,
        "the package spiffe is not installed",
        'pip install "secretkit[spiffe]"',
    ),
    "NO_SOCKET": (
        ProviderUnavailableError,
        "there is no Workload API at {socket}",
        "see that the agent runs, and that its socket is mounted here",
    ),
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

    def close(self) -> None:
        """As :meth:`WorkloadApi.close`."""
        self._workload.close()


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


def _token(document: dict[str, Any]) -> Secret:
    return Secret(document["token"])


def _x509(document: dict[str, Any]) -> X509Identity:
    return X509Identity(
        subject=document["subject"],
        expires_at=datetime.fromtimestamp(document["expires_at"], tz=UTC),
        chain=document["chain"],
        key=Secret(document["key"]),
        authorities=document["authorities"],
    )
