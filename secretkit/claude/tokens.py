"""Token providers: for the SDK's ``credentials=``, which asks for a token before each request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Self

from anthropic import AccessToken

from secretkit.broker.aio import AsyncBroker
from secretkit.claude.fault import CredentialFaultError, OriginError, translated
from secretkit.claude.origin import checked_base_url, origin_of
from secretkit.core.credential import AccessToken as LeasedToken
from secretkit.core.credential import ApiKey
from secretkit.errors import SecretkitError

if TYPE_CHECKING:
    import httpx2

    from secretkit.broker.blocking import Broker
    from secretkit.core.lease import Lease

__all__ = ["AsyncTokenProvider", "TokenProvider"]

# The generation that this thread or task was served last, and by which provider: a 401 is about
# that one, not about the newest.
_SERVED: ContextVar[tuple[int, int] | None] = ContextVar("secretkit_served", default=None)
# "The provider caches; ask it each time": research/claude.md, section 1.2. A hit costs us 0.2 µs.
_ASK_EACH_TIME: Final = 0


class _Provider:
    """What both faces share: the one origin, and the generation served last."""

    def __init__(
        self,
        name: str,
        *,
        broker: Broker | AsyncBroker,
        base_url: str | httpx2.URL | None = None,
    ) -> None:
        self._name = name
        self._origin = origin_of(checked_base_url(base_url))
        self._async = broker if isinstance(broker, AsyncBroker) else AsyncBroker(broker)
        self._blocking = self._async.blocking
        self._last: int | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def for_base_url(self, base_url: str) -> Self:
        """Give itself to a client of the origin it is for; the SDK asks when a client is made.

        Raises:
            OriginError: if the client's base URL is of another origin.
            ConfigError: if the credential could be sent to no such URL.
        """
        asked = origin_of(checked_base_url(base_url))
        if asked != self._origin:
            raise OriginError(
                f"the credential {self._name!r} is for {self._origin}, not for {asked}",
                hint="give the provider and the client the same base_url=; the client's may come "
                "from ANTHROPIC_BASE_URL",
            )
        return self

    def _seen(self) -> int | None:
        served = _SERVED.get()
        return served[1] if served is not None and served[0] == id(self) else self._last

    def _token(self, lease: Lease) -> AccessToken:
        if not isinstance(lease.credential, ApiKey | LeasedToken):
            raise CredentialFaultError(
                f"{self._name!r} is of kind {lease.credential.kind!r}, and Claude takes a token",
                hint=f'set kind = "{LeasedToken.kind}" in [credentials.{self._name}]',
            )
        self._last = lease.generation
        _SERVED.set((id(self), lease.generation))
        return AccessToken(lease.credential.secret.reveal(), expires_at=_ASK_EACH_TIME)


class TokenProvider(_Provider):
    """Gives the SDK the current token of ``name``: ``Anthropic(credentials=TokenProvider(…))``.

    Thread-safe. A client whose base URL, given or from ANTHROPIC_BASE_URL, is of another origin
    than ``base_url`` is refused when it is made or copied; without one it is the Claude API.

    From there on the SDK has the token, and that seam has limits which
    :func:`secretkit.claude.connect` does not have. The SDK checks no single request: one to an
    absolute URL, or after ``client.base_url = …``, takes the token elsewhere. It follows redirects:
    the body goes along, and the token too from http to https of the same host. Proxies,
    certificates and extra headers come from the environment. Event hooks, and the SDK's errors,
    hold the request with the token in it, so do not pickle them. It recovers from a 401 only while
    it has retries left. A subclass of its clients may not ask for the origin at all.
    """

    def __call__(self, *, force_refresh: bool = False) -> AccessToken:
        """Give the token in hand; with ``force_refresh``, one newer than the last one served.

        Raises:
            CredentialFaultError: an ``anthropic.CredentialsError``; the SDK gives up at once.
            CredentialDelayError: an ``anthropic.RetryableError``; the SDK tries again.
        """
        try:
            if force_refresh:
                lease = self._blocking.refresh(self._name, seen=self._seen())
            else:
                lease = self._blocking.lease(self._name)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error
        return self._token(lease)


class AsyncTokenProvider(_Provider):
    """The same for ``AsyncAnthropic``, without blocking the loop."""

    async def __call__(self, *, force_refresh: bool = False) -> AccessToken:
        """Give the token in hand; see :meth:`TokenProvider.__call__`."""
        try:
            if force_refresh:
                lease = await self._async.refresh(self._name, seen=self._seen())
            else:
                lease = await self._async.lease(self._name)
        except SecretkitError as error:
            raise translated(error, name=self._name) from error
        return self._token(lease)
