"""Faults: what went wrong with a connection, as the errors that the port promises.

Errors are given back, not raised: raised outside of the handler they carry no foreign exception,
whose frames and arguments may hold what was sent or received.
"""

from __future__ import annotations

import socket
import ssl
from http.client import IncompleteRead
from typing import TYPE_CHECKING, Final

from secretkit.errors import ProviderError, ProviderTimeoutError, ProviderUnavailableError
from secretkit.wire.line import TooLargeError

if TYPE_CHECKING:
    from secretkit.wire.address import Address

__all__ = ["broken", "unreached"]

_CLOCK: Final = {9: "not yet valid", 10: "expired"}  # X509_V_ERR_CERT_*, openssl-verify(1)
_NAME: Final = {62, 63, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, _EMAIL_, _IP_ADDRESS_


def unreached(error: OSError, *, address: Address, ref: str) -> ProviderError:
    """Say why no connection came about."""
    if isinstance(error, TimeoutError):
        return _late(address, ref)
    message, hint = _reason(error, address)
    return ProviderUnavailableError(f"{ref}: {message}", ref=ref, hint=hint)


def broken(error: Exception, *, address: Address, ref: str) -> ProviderError:
    """Say why no whole reply came over a connection."""
    if isinstance(error, TimeoutError):
        return _late(address, ref)
    if isinstance(error, TooLargeError):
        return ProviderError(
            f"{ref}: the reply of {address} is larger than 1 MiB, or its headers than 64 KiB",
            ref=ref,
            hint="look whether the address names the service itself",
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return ProviderError(
            f"{ref}: {address} ended TLS: {_alert(error)}",
            ref=ref,
            hint="it may want a client certificate, or another one",
        )
    if isinstance(error, OSError | IncompleteRead):  # RemoteDisconnected is an OSError as well
        return ProviderError(
            f"{ref}: {address} ended the connection before its reply was whole",
            ref=ref,
            hint="look at the service's log: it may want a client certificate, or stop just now",
        )
    return ProviderError(
        f"{ref}: what {address} answers is no HTTP",
        ref=ref,
        hint="look whether scheme and port of the address are right",
    )


def _late(address: Address, ref: str) -> ProviderError:
    return ProviderTimeoutError(
        f"{ref}: no whole reply from {address} in time",
        ref=ref,
        hint="look whether the service is slow, or a firewall drops the connection",
    )


def _reason(error: OSError, address: Address) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, address)
    if isinstance(error, ssl.SSLError):
        return (
            f"no TLS came about with {address}: {_alert(error)}",
            "look whether this port speaks TLS 1.2 or newer",
        )
    if isinstance(error, socket.gaierror):
        return f"the name {address.host} is not known", "look for a typing error, or at DNS"
    if isinstance(error, ConnectionRefusedError):
        return f"{address} refuses connections", "look whether the service runs, and on this port"
    return (
        f"{address} cannot be reached: {error.strerror or type(error).__name__}",
        "look at the network between here and there",
    )


def _alert(error: ssl.SSLError) -> str:
    """Give OpenSSL's word for it, a constant such as WRONG_VERSION_NUMBER."""
    return str(getattr(error, "reason", None) or "no reason given")


def _untrusted(error: ssl.SSLCertVerificationError, address: Address) -> tuple[str, str]:
    if error.verify_code in _NAME:
        return (
            f"the certificate that {address} shows is for another name",
            "use the name that stands in the certificate",
        )
    if error.verify_code in _CLOCK:
        return (
            f"the certificate of {address} is {_CLOCK[error.verify_code]}",
            "renew it, or set this machine's clock",
        )
    return (
        f"the certificate of {address} is not trusted: {error.verify_message}",
        "name the file of the authority that signed it as ca_bundle",
    )
