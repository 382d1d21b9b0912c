"""Network: connections as the SDK makes them, with nothing taken from the environment.

The SDK's own client reads proxies, certificate files and a TLS key log from environment variables,
and follows redirects with the request's body.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2

from secretkit.claude.origin import readable_url
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from os import PathLike

    from secretkit.claude.transport import AsyncSealedTransport, SealedTransport

__all__ = ["AsyncPinnedClient", "PinnedClient", "transport_options"]


class PinnedClient(httpx2.Client):
    """An httpx2 client over one transport, without redirects and environment."""

    def __init__(self, transport: SealedTransport) -> None:
        self._sealed = transport
        super().__init__(
            transport=transport,
            timeout=anthropic.DEFAULT_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
        )

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            if not self.is_closed:
                self._sealed.abandon()


class AsyncPinnedClient(httpx2.AsyncClient):
    """The same for asyncio."""

    def __init__(self, transport: AsyncSealedTransport) -> None:
        self._sealed = transport
        super().__init__(
            transport=transport,
            timeout=anthropic.DEFAULT_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
        )

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            if not self.is_closed:
                try:
                    asyncio.get_running_loop().create_task(self.aclose())
                except RuntimeError:  # no loop is left to close the connections
                    self._sealed.abandon()

    def abandon(self) -> None:
        """End what belongs to the client without waiting, before it was ever used."""
        self._sealed.abandon()


def transport_options(
    *,
    base_url: httpx2.URL,
    proxy: str | httpx2.URL | None,
    ca_bundle: str | PathLike[str] | None,
) -> dict[str, Any]:
    """Give the arguments for httpx2's transports: the SDK's limits and keep-alive, our trust.

    Raises:
        ConfigError: for a proxy or a certificate file that cannot be used.
    """
    verify = True if ca_bundle is None else _context(ca_bundle)
    return {
        "verify": verify,
        "trust_env": False,
        "limits": anthropic.DEFAULT_CONNECTION_LIMITS,
        "socket_options": _keep_alive(),
        "proxy": None if proxy is None else _proxy(proxy, base_url=base_url, verify=verify),
    }


def _context(ca_bundle: str | PathLike[str]) -> ssl.SSLContext:
    # Not ssl.create_default_context: it honours SSLKEYLOGFILE, which decrypts captured traffic.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca_bundle)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ConfigError(
            f"the CA bundle {str(ca_bundle)!r} cannot be read as PEM certificates",
            hint="name a file with the certificates of your proxy or company, in PEM form",
        ) from None
    return context


def _proxy(
    proxy: str | httpx2.URL, *, base_url: httpx2.URL, verify: ssl.SSLContext | bool
) -> httpx2.Proxy:
    if base_url.scheme != "https":
        raise ConfigError(
            "a proxy would see the credential of a plain http request",
            hint="use a base_url that starts with https://, or leave out the proxy",
        )
    url = readable_url(proxy)
    if url is None or url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(
            "this proxy cannot be used", hint="write it as http://host:port or https://host:port"
        )
    if url.scheme == "http":
        return httpx2.Proxy(url)
    context = verify if isinstance(verify, ssl.SSLContext) else _system_context()
    return httpx2.Proxy(url, ssl_context=context)


def _system_context() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


def _keep_alive() -> list[tuple[int, int, int]]:
    """Give the socket options of anthropic 2.12's DefaultHttpxClient (_base_client.py)."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    wanted = {"TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5, "TCP_KEEPIDLE": 60}
    if sys.platform == "darwin":
        wanted["TCP_KEEPALIVE"] = 60
    for name, value in wanted.items():
        number = getattr(socket, name, None)
        if number is not None:
            options.append((socket.IPPROTO_TCP, number, value))
    return options
