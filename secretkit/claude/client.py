"""Client: what makes an anthropic client carry the current key or token, as its arguments."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2

from secretkit.claude.auth import Header, RotatingAuth
from secretkit.claude.network import AsyncPinnedClient, PinnedClient, transport_options
from secretkit.claude.origin import checked_base_url
from secretkit.claude.pinned import PLACEHOLDER, Pinned, broker_for, target_of
from secretkit.claude.transport import AsyncSealedTransport, SealedTransport

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.claude.sealing import SealingAuth

__all__ = [
    "AsyncPinnedAnthropic",
    "PinnedAnthropic",
    "async_client_arguments",
    "async_sealed_client",
    "client_arguments",
    "sealed_client",
]


class PinnedAnthropic(Pinned, anthropic.Anthropic):
    """anthropic.Anthropic without the extra headers it takes from the environment."""


class AsyncPinnedAnthropic(Pinned, anthropic.AsyncAnthropic):
    """The same for asyncio."""


def client_arguments(  # noqa: PLR0913 - as connect
    name: str = "claude",
    *,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
) -> dict[str, Any]:
    """Give what makes your own client carry the credential: ``Anthropic(**client_arguments(…))``.

    They are ``api_key`` (a placeholder), ``base_url`` and ``http_client``. A client you build adds
    the headers of ANTHROPIC_CUSTOM_HEADERS, but none of them can be a credential. Raises like
    :func:`connect`.
    """
    with ExitStack() as undo:
        known, on_close = broker_for(name, broker, undo=undo)
        url = _direct_url(name, known, base_url)
        auth = RotatingAuth(name, broker=known, base_url=url, header=header)
        client = sealed_client(auth, url=url, proxy=proxy, ca_bundle=ca_bundle, on_close=on_close)
        undo.pop_all()
    return {"api_key": PLACEHOLDER, "base_url": url, "http_client": client}


def async_client_arguments(  # noqa: PLR0913 - as connect
    name: str = "claude",
    *,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
) -> dict[str, Any]:
    """Give the same for ``AsyncAnthropic(**async_client_arguments(…))``."""
    with ExitStack() as undo:
        known, on_close = broker_for(name, broker, undo=undo)
        url = _direct_url(name, known, base_url)
        auth = RotatingAuth(name, broker=known, base_url=url, header=header)
        client = async_sealed_client(
            auth, url=url, proxy=proxy, ca_bundle=ca_bundle, on_close=on_close
        )
        undo.pop_all()
    return {"api_key": PLACEHOLDER, "base_url": url, "http_client": client}


def sealed_client(
    auth: SealingAuth,
    *,
    url: httpx2.URL,
    proxy: str | None,
    ca_bundle: str | PathLike[str] | None,
    on_close: Callable[[], None] | None,
) -> PinnedClient:
    """Give the HTTP client below an SDK client, with ``auth`` as its last step before the wire.

    Raises:
        ConfigError: for a proxy or a certificate file that cannot be used.
    """
    options = transport_options(base_url=url, proxy=proxy, ca_bundle=ca_bundle)
    inner = httpx2.HTTPTransport(**options)
    return PinnedClient(SealedTransport(inner, auth=auth, on_close=on_close))


def async_sealed_client(
    auth: SealingAuth,
    *,
    url: httpx2.URL,
    proxy: str | None,
    ca_bundle: str | PathLike[str] | None,
    on_close: Callable[[], None] | None,
) -> AsyncPinnedClient:
    """Give the same for asyncio."""
    options = transport_options(base_url=url, proxy=proxy, ca_bundle=ca_bundle)
    inner = httpx2.AsyncHTTPTransport(**options)
    return AsyncPinnedClient(AsyncSealedTransport(inner, auth=auth, on_close=on_close))


def _direct_url(
    name: str, broker: Broker | AsyncBroker, base_url: str | httpx2.URL | None
) -> httpx2.URL:
    target = target_of(name, broker, platform="anthropic")
    return checked_base_url(base_url if base_url is not None else target.base_url or None)
