"""Token providers: for the SDK's ``credentials=``, which asks for a token before each request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from anthropic import AccessToken

from secretkit.broker.aio import AsyncBroker
from secretkit.claude.fault import CredentialFaultError, translated
from secretkit.core.credential import AccessToken as LeasedToken
from secretkit.core.credential import ApiKey
from secretkit.errors import SecretkitError

if TYPE_CHECKING:
    from secretkit.broker.blocking import Broker
    from secretkit.core.lease import Lease

__all__ = ["AsyncTokenProvider", "TokenProvider"]

# The generation that this thread or task was served last, and by which provider: a 401 is about
# that one, not about the newest.
_SERVED: ContextVar[tuple[int, int] | None] = ContextVar("secretkit_served", default=None)
# "The provider caches; ask it each time": research/claude.md, section 1.2. A hit costs us 0.2 µs.
_ASK_EACH_TIME: Final = 0


class _Provider:
    """What both faces share: the generation served last."""

    def __init__(self, name: str, *, broker: Broker | AsyncBroker) -> None:
        self._name = name
        self._async = broker if isinstance(broker, AsyncBroker) else AsyncBroker(broker)
        self._blocking = self._async.blocking
        self._last: int | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

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

    Thread-safe. Two limits of that seam, which :func:`secretkit.claude.connect` does not have: the
    SDK recovers from a 401 only while it has retries left, and its errors hold the request with
    the token in it, so do not pickle them.
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
