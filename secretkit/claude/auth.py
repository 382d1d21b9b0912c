"""RotatingAuth: puts the current credential on each request, and on no other origin's.

The request that the SDK holds, logs and pickles into its errors never carries the credential: a
copy of it does, made for the wire, and the copy is masked again when the answer is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import httpx2

from secretkit.broker.aio import AsyncBroker
from secretkit.claude.fault import CredentialFaultError, OriginError, translated
from secretkit.claude.origin import checked_base_url, origin_of
from secretkit.claude.stream import AsyncSealedStream, SealedStream
from secretkit.core.credential import AccessToken, ApiKey
from secretkit.errors import ConfigError, SecretkitError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from secretkit.broker.blocking import Broker
    from secretkit.core.lease import Lease

__all__ = ["CREDENTIAL_HEADERS", "Header", "RotatingAuth"]

Header = Literal["authorization", "x-api-key"]

CREDENTIAL_HEADERS: Final = ("authorization", "x-api-key", "proxy-authorization")
_MASK: Final = "[secretkit]"
_UNAUTHORIZED: Final = 401
# What AccessTokenAuth of anthropic 2.12 adds to a request with an access token.
_OAUTH_BETA: Final = "oauth-2025-04-20"
# httpcore takes the server's name and the request target from these instead of the URL.
_DETOURS: Final = frozenset({"sni_hostname", "target"})


class RotatingAuth(httpx2.Auth):
    """Carries the current credential of ``name``; for httpx2's ``auth=``. Thread-safe.

    A request to any other scheme, host or port than ``base_url``'s is refused before the
    credential is added. After a 401 the broker is asked once for a newer generation, and the
    request is sent once more if there is one and the body can be sent again; this needs none of
    the SDK's retries. ``header="x-api-key"`` is for servers that read only the older spelling.

    The client's ``follow_redirects`` must be off: httpx2 follows below this object, where it
    cannot keep a body from another origin. :func:`secretkit.claude.connect` sees to that.
    """

    def __init__(
        self,
        name: str,
        *,
        broker: Broker | AsyncBroker,
        base_url: str | httpx2.URL | None = None,
        header: Header = "authorization",
    ) -> None:
        if header not in CREDENTIAL_HEADERS[:2]:
            raise ConfigError(f"no header {header!r}", hint="use 'authorization' or 'x-api-key'")
        self._name = name
        self._async = broker if isinstance(broker, AsyncBroker) else AsyncBroker(broker)
        self._blocking = self._async.blocking
        self._origin = origin_of(checked_base_url(base_url))
        self._header: Header = header

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, base_url={str(self._origin)!r})"

    def sync_auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Carry the credential through one request, blocking where the broker has to ask."""
        self._admit(request)
        try:
            lease = self._blocking.lease(self._name)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error
        sealed = self._sealed(request, lease)
        try:
            response = yield sealed
            if response.status_code == _UNAUTHORIZED:
                newer = self._newer(lease)
                if newer.generation != lease.generation and _replayable(request):
                    _mask(sealed)
                    sealed = self._sealed(request, newer)
                    response = yield sealed
            response.next_request = None  # httpx2 builds one from the copy, credential and all
            if isinstance(response.stream, httpx2.SyncByteStream):
                response.stream = SealedStream(response.stream)
        finally:
            _mask(sealed)

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Carry the credential through one request without blocking the loop."""
        self._admit(request)
        try:
            lease = await self._async.lease(self._name)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error
        sealed = self._sealed(request, lease)
        try:
            response = yield sealed
            if response.status_code == _UNAUTHORIZED:
                newer = await self._newer_async(lease)
                if newer.generation != lease.generation and _replayable(request):
                    _mask(sealed)
                    sealed = self._sealed(request, newer)
                    response = yield sealed
            response.next_request = None
            if isinstance(response.stream, httpx2.AsyncByteStream):
                response.stream = AsyncSealedStream(response.stream)
        finally:
            _mask(sealed)

    def _newer(self, lease: Lease) -> Lease:
        try:
            return self._blocking.refresh(self._name, seen=lease.generation)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error

    async def _newer_async(self, lease: Lease) -> Lease:
        try:
            return await self._async.refresh(self._name, seen=lease.generation)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error

    def _admit(self, request: httpx2.Request) -> None:
        asked = origin_of(request.url)
        if asked != self._origin:
            raise OriginError(
                f"the credential {self._name!r} is for {self._origin}, not for {asked}",
                hint="connect with base_url= for another server; redirects are not followed",
            )

    def _sealed(self, request: httpx2.Request, lease: Lease) -> httpx2.Request:
        """Give the copy for the wire: one credential header, the origin's own Host."""
        if not isinstance(lease.credential, ApiKey | AccessToken):
            raise CredentialFaultError(
                f"{self._name!r} is of kind {lease.credential.kind!r}, and Claude takes an API key "
                "or an access token",
                hint=f'set kind = "{ApiKey.kind}" in [credentials.{self._name}]',
            )
        sealed = httpx2.Request(
            request.method,
            request.url,
            headers=request.headers,
            stream=request.stream,
            extensions={k: v for k, v in request.extensions.items() if k not in _DETOURS},
        )
        for header in CREDENTIAL_HEADERS:
            sealed.headers.pop(header, None)
        sealed.headers["Host"] = request.url.netloc.decode("ascii")
        if isinstance(lease.credential, AccessToken):
            _add_beta(sealed)
        elif self._header == "x-api-key":
            sealed.headers["X-Api-Key"] = lease.credential.secret.reveal()
            return sealed
        sealed.headers["Authorization"] = f"Bearer {lease.credential.secret.reveal()}"
        return sealed


def _replayable(request: httpx2.Request) -> bool:
    """Say whether the body is in memory, so that it can be sent a second time."""
    return isinstance(request.stream, httpx2.ByteStream)


def _add_beta(sealed: httpx2.Request) -> None:
    given = sealed.headers.get("anthropic-beta", "")
    flags = [flag.strip() for flag in given.split(",") if flag.strip()]
    if _OAUTH_BETA not in flags:
        sealed.headers["anthropic-beta"] = ",".join((*flags, _OAUTH_BETA))


def _mask(sealed: httpx2.Request) -> None:
    for header in CREDENTIAL_HEADERS:
        if header in sealed.headers:
            sealed.headers[header] = _MASK
