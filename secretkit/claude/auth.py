"""RotatingAuth: puts the current key or token on each request, and on no other origin's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

from secretkit.claude.fault import CredentialFaultError
from secretkit.claude.sealing import SealingAuth
from secretkit.core.credential import AccessToken, ApiKey
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    import httpx2

    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.core.credential import Credential

__all__ = ["Header", "RotatingAuth"]

Header = Literal["authorization", "x-api-key"]

_HEADERS: Final = ("authorization", "x-api-key")
# What AccessTokenAuth of anthropic 2.12 adds to a request with an access token.
_OAUTH_BETA: Final = "oauth-2025-04-20"


class RotatingAuth(SealingAuth):
    """Carries the current credential of ``name``; for httpx2's ``auth=``. Thread-safe.

    A request to any other scheme, host or port than ``base_url``'s is refused before the
    credential is added. After a 401 the broker is asked once for a newer generation, and the
    request is sent once more if there is one and the body can be sent again: bytes, and multipart
    forms whose parts are bytes or seekable files, but never an iterator or a file as ``content=``.
    This needs none of the SDK's retries. ``header="x-api-key"`` is for servers that read only the
    older spelling. Of the request's extensions only ``timeout`` is kept.

    As ``auth=`` of a client of your own it has two limits: that client's event hooks, and a
    transport it is given, see the credential in the request; and httpx2 follows redirects below
    this object. Over httpx2's own transports a redirect to any other URL is refused with an
    :class:`OriginError` before a byte of it is sent; another transport, as a mock, must not be used
    with ``follow_redirects``. :class:`secretkit.claude.SealedTransport`, which
    :func:`secretkit.claude.client_arguments` makes, has neither limit: prefer it.
    """

    _REFUSALS: ClassVar[frozenset[int]] = frozenset({401})

    def __init__(
        self,
        name: str,
        *,
        broker: Broker | AsyncBroker,
        base_url: str | httpx2.URL | None = None,
        header: Header = "authorization",
    ) -> None:
        if header not in _HEADERS:
            raise ConfigError(f"no header {header!r}", hint="use 'authorization' or 'x-api-key'")
        super().__init__(name, broker=broker, base_url=base_url)
        self._header: Header = header

    def _write(self, sealed: httpx2.Request, credential: Credential) -> None:
        if not isinstance(credential, ApiKey | AccessToken):
            raise CredentialFaultError(
                f"{self._name!r} is of kind {credential.kind!r}, and Claude takes an API key "
                "or an access token",
                hint=f'set kind = "{ApiKey.kind}" in [credentials.{self._name}]',
            )
        if isinstance(credential, AccessToken):
            _add_beta(sealed)
        elif self._header == "x-api-key":
            sealed.headers["X-Api-Key"] = credential.secret.reveal()
            return
        sealed.headers["Authorization"] = f"Bearer {credential.secret.reveal()}"

    def _is_over(self, response: httpx2.Response, credential: Credential) -> bool:  # noqa: ARG002 - a 401 says it all
        return True


def _add_beta(sealed: httpx2.Request) -> None:
    given = sealed.headers.get("anthropic-beta", "")
    flags = [flag.strip() for flag in given.split(",") if flag.strip()]
    if _OAUTH_BETA not in flags:
        sealed.headers["anthropic-beta"] = ",".join((*flags, _OAUTH_BETA))
