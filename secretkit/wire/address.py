"""Address: where a request goes, read from a URL and refused unless it is safe to send there."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from secretkit.core.record import record
from secretkit.errors import ConfigError

__all__ = ["Address", "read_address"]

_PORTS: Final = {"https": 443, "http": 80}
# Where clouds give a machine its identity. They speak no TLS, and only the machine reaches them.
_METADATA: Final = {
    "169.254.169.254",  # EC2, Azure, Google Cloud
    "169.254.170.2",  # ECS
    "169.254.170.23",  # EKS Pod Identity
    "fd00:ec2::23",  # EKS Pod Identity
    "fd00:ec2::254",  # EC2
    "metadata.google.internal",
}
_VISIBLE: Final = re.compile(r"[!-~]+")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}\.?")


@record(kw_only=True)
class Address:
    """Scheme, host and port of a server; ``target`` is the path with the query, as it is sent."""

    scheme: str
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        """Write the host as the Host header has it: without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def read_address(url: str) -> Address:
    """Read a URL to which a request may be sent.

    https anywhere; http only to this machine and to the clouds' metadata addresses.

    Raises:
        ConfigError: for any other URL. The message shows the host, never the rest.
    """
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if scheme not in _PORTS or not separator or not _VISIBLE.fullmatch(url):
        raise ConfigError(
            "this is no address for a request", hint="write it as https://host[:port]/path"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("")
    if "@" in parts.netloc:
        raise ConfigError(
            "an address holds no user name and no password",
            hint="leave out what stands before the @",
        )
    known = _is_ipv6(host) if "[" in parts.netloc else _NAME.fullmatch(host)
    if parts.fragment or not known or port == 0:
        raise ConfigError(
            "this is no address for a request", hint="write it as https://host[:port]/path"
        )
    if scheme == "http" and not _may_be_plain(host):
        raise ConfigError(
            f"http://{host} would carry the request in clear text",
            hint="use https://; plain http is only for this machine and for metadata services",
        )
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Address(scheme=scheme, host=host, port=port or _PORTS[scheme], target=target)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _may_be_plain(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback or host in _METADATA
    except ValueError:
        return host in _METADATA or host == "localhost"
