"""Origin: the one place a credential may be sent to."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

import httpx2

from secretkit.errors import ConfigError

__all__ = ["CLAUDE_API", "Origin", "checked_base_url", "origin_of", "readable_url"]

CLAUDE_API: Final = "https://api.anthropic.com"
_PORTS: Final = {"https": 443, "http": 80}


class Origin(NamedTuple):
    """Scheme, host and port (RFC 6454)."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        """Write it as a URL."""
        return f"{self.scheme}://{self.host}:{self.port}"


def origin_of(url: httpx2.URL) -> Origin:
    """Give the origin of ``url``, with the default port filled in."""
    port = _PORTS.get(url.scheme) if url.port is None else url.port
    return Origin(url.scheme, url.host, port)


def checked_base_url(text: str | httpx2.URL | None) -> httpx2.URL:
    """Read a base URL to which a credential may be sent; None is the Claude API.

    Raises:
        ConfigError: if it is not https (http is for loopback only), or holds a password.
    """
    url = readable_url(CLAUDE_API if text is None else text)
    if url is None:
        raise ConfigError("this base URL cannot be read", hint=f"use {CLAUDE_API}")
    if url.scheme not in _PORTS or not url.host:
        raise ConfigError("a base URL starts with https://", hint=f"use {CLAUDE_API}")
    if url.userinfo:
        raise ConfigError(
            "this base URL holds a user name or password, which the credential would replace",
            hint="leave out what stands before the @",
        )
    if url.query or url.fragment:
        raise ConfigError("a base URL has no query and no fragment", hint="leave out ? and #")
    if url.scheme == "http" and not is_loopback(url.host):
        raise ConfigError(
            f"http://{url.host} would carry the credential in clear text",
            hint="use https://; plain http is only for loopback, as in tests",
        )
    return url


def readable_url(text: str | httpx2.URL) -> httpx2.URL | None:
    """Read a URL; None where it is none, without the error, which holds the text."""
    try:
        return httpx2.URL(text)
    except (httpx2.InvalidURL, TypeError):
        return None


def is_loopback(host: str) -> bool:
    """Say whether ``host`` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
