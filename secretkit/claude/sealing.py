"""SealingAuth: what every way to put a credential on a request shares.

The request it is given never carries the credential: a copy of it does, made for the wire, and the
copy is masked again when the answer is there. Until then the copy is in the hands of what stands
between this object and the wire: the event hooks of a client that has it as ``auth=``, and nothing
of the client in a :class:`secretkit.claude.SealedTransport`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

import httpx2

from secretkit.broker.aio import AsyncBroker
from secretkit.claude.fault import OriginError, translated
from secretkit.claude.origin import checked_base_url, origin_of
from secretkit.claude.stream import AsyncSealedStream, SealedStream
from secretkit.errors import SecretkitError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from secretkit.broker.blocking import Broker
    from secretkit.core.credential import Credential
    from secretkit.core.lease import Lease

__all__ = ["CREDENTIAL_HEADERS", "SealingAuth"]

CREDENTIAL_HEADERS: Final = (
    *("authorization", "x-api-key", "proxy-authorization"),
    *("x-amz-security-token", "x-amz-date", "x-amz-content-sha256"),
)
"""What only the copy for the wire carries; whatever a request brings of these is taken out."""

_MASK: Final = "[secretkit]"
# The extensions of a request that reach the wire. httpcore would take the server's name and the
# target from "sni_hostname" and "target" instead of the URL, and show the header to "trace".
_PASSED: Final = frozenset({"timeout"})
# httpx2 does not export the class.
_Multipart: Final[Any] = type(httpx2.Request("POST", "https://h", files={"f": b""}).stream)


class SealingAuth(httpx2.Auth, ABC):
    """Carries the current credential of ``name`` to one origin. Thread-safe.

    A subclass writes the credential (:meth:`_write`) and says which answers mean that it is over
    (:meth:`_is_over`); after one, the broker is asked once for a newer generation, and the request
    is sent once more if there is one and the body can be sent again.
    """

    _REFUSALS: ClassVar[frozenset[int]]
    """The statuses that may mean that the credential is over."""

    _SIGNS_BODY: ClassVar[bool] = False
    """Whether the bodies must be in hand: the request's to write, a refusal's to judge it."""

    def __init__(
        self,
        name: str,
        *,
        broker: Broker | AsyncBroker,
        base_url: str | httpx2.URL | None,
    ) -> None:
        self._name = name
        self._async = broker if isinstance(broker, AsyncBroker) else AsyncBroker(broker)
        self._blocking = self._async.blocking
        self._origin = origin_of(checked_base_url(base_url))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, base_url={str(self._origin)!r})"

    @abstractmethod
    def _write(self, sealed: httpx2.Request, credential: Credential) -> None:
        """Put the credential on the copy; the last step before the wire."""

    @abstractmethod
    def _is_over(self, response: httpx2.Response, credential: Credential) -> bool:
        """Say whether a refusal means that the credential is over; see ``_SIGNS_BODY``."""

    def sync_auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Carry the credential through one request, blocking where the broker has to ask."""
        self._admit(request)
        if self._SIGNS_BODY:
            request.read()
        try:
            lease = self._blocking.lease(self._name)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error
        sealed = self._sealed(request, lease, watch=_watch(request))
        try:
            response = yield sealed
            _seal_answer(response)
            if response.status_code in self._REFUSALS:
                if self._SIGNS_BODY:
                    response.read()
                newer = self._newer(lease) if self._is_over(response, lease.credential) else lease
                if newer.generation != lease.generation and _replayable(request):
                    _mask(sealed)
                    sealed = self._sealed(request, newer, watch=_watch(request))
                    response = yield sealed
                    _seal_answer(response)
        finally:
            _mask(sealed)

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Carry the credential through one request without blocking the loop."""
        self._admit(request)
        if self._SIGNS_BODY:
            await request.aread()
        try:
            lease = await self._async.lease(self._name)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error
        sealed = self._sealed(request, lease, watch=_watch_async(request))
        try:
            response = yield sealed
            _seal_answer_async(response)
            if response.status_code in self._REFUSALS:
                if self._SIGNS_BODY:
                    await response.aread()
                newer = (
                    await self._newer_async(lease)
                    if self._is_over(response, lease.credential)
                    else lease
                )
                if newer.generation != lease.generation and _replayable(request):
                    _mask(sealed)
                    sealed = self._sealed(request, newer, watch=_watch_async(request))
                    response = yield sealed
                    _seal_answer_async(response)
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

    def _sealed(
        self,
        request: httpx2.Request,
        lease: Lease,
        *,
        watch: Callable[[str, dict[str, Any]], object],
    ) -> httpx2.Request:
        """Give the copy for the wire: one credential, the origin's own Host."""
        sealed = httpx2.Request(
            request.method,
            request.url,
            headers=request.headers,
            stream=request.stream,
            extensions={k: v for k, v in request.extensions.items() if k in _PASSED},
        )
        sealed.extensions["trace"] = watch
        for header in CREDENTIAL_HEADERS:
            sealed.headers.pop(header, None)
        sealed.headers["Host"] = request.url.netloc.decode("ascii")
        self._write(sealed, lease.credential)
        return sealed


def _watch(request: httpx2.Request) -> Callable[[str, dict[str, Any]], None]:
    """Give a trace for httpcore that lets only this very request go out.

    httpx2 copies the extensions, and with them this, into the request that follows a redirect.
    """
    meant, method = request.url, request.method.encode("ascii")
    whole = (meant.raw_scheme, meant.raw_host, meant.port, meant.raw_path)

    def watch(event: str, info: dict[str, Any]) -> None:
        if not event.endswith(".send_request_headers.started"):
            return
        asked = info["request"]
        if asked.method == b"CONNECT" != method:
            return  # a tunnel through a proxy, which carries no credential
        if (asked.url.scheme, asked.url.host, asked.url.port, asked.url.target) != whole:
            raise OriginError(
                f"the request to {origin_of(meant)} was redirected, and was not sent on",
                hint="leave follow_redirects off, or use secretkit.claude.client_arguments()",
            )

    return watch


def _watch_async(request: httpx2.Request) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    look = _watch(request)

    async def watch(event: str, info: dict[str, Any]) -> None:
        look(event, info)

    return watch


def _replayable(request: httpx2.Request) -> bool:
    """Say whether the body can be sent a second time, and is the same then."""
    if isinstance(request.stream, _Multipart):
        return all(_rereadable(part) for part in request.stream.fields)
    return isinstance(request.stream, httpx2.ByteStream)


def _rereadable(part: Any) -> bool:  # noqa: ANN401 - a class that httpx2 does not export
    file = getattr(part, "file", b"")  # a plain field has none
    if isinstance(file, bytes | str):
        return True
    try:
        return bool(file.seekable())  # httpx2 goes back to the start of it itself
    except (AttributeError, ValueError):  # it cannot say so, or is closed
        return False


def _seal_answer(response: httpx2.Response) -> None:
    """Take the way back to the copy out of an answer, before anything of its body is read."""
    _mask_redirects(response)
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = SealedStream(response.stream)


def _seal_answer_async(response: httpx2.Response) -> None:
    _mask_redirects(response)
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = AsyncSealedStream(response.stream)


def _mask_redirects(response: httpx2.Response) -> None:
    """Mask the requests that httpx2 built from the copy, credential and all, for redirects."""
    response.next_request = None
    if response.history:
        for one in (response, *response.history):
            _mask(one.request)


def _mask(sealed: httpx2.Request) -> None:
    for header in CREDENTIAL_HEADERS:
        if header in sealed.headers:
            sealed.headers[header] = _MASK
