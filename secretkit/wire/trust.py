"""Trust: whom TLS believes, and as whom it speaks. Nothing is taken from the environment."""

from __future__ import annotations

import os
import ssl
import sys
from typing import Final

from secretkit.errors import ConfigError

__all__ = ["trusting"]

# Where systems keep the authorities when Python's OpenSSL was built for another place.
# From Go's crypto/x509/root_linux.go and root_bsd.go.
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def trusting(*, ca_bundle: str, certificate: str, private_key_file: str) -> ssl.SSLContext:
    """Give a TLS client context: 1.2 or newer, names checked, no key log.

    ``ca_bundle`` replaces the system's authorities; ``certificate`` and its key are what we show.

    Raises:
        ConfigError: for a file that cannot be used.
    """
    # Not ssl.create_default_context: it honours SSLKEYLOGFILE, which decrypts captured traffic.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not ca_bundle:
        _trust_system(context)
    elif not _loaded(context, ca_bundle):
        raise ConfigError(
            f"the CA bundle {ca_bundle!r} cannot be read as PEM certificates",
            hint="name a file with the certificates of the authority, in PEM form",
        )
    if certificate and not _shown(context, certificate, private_key_file):
        raise ConfigError(
            f"the client certificate {certificate!r} and its key cannot be used",
            hint="both are PEM files; the key fits the certificate and has no password",
        )
    return context


def _loaded(context: ssl.SSLContext, bundle: str) -> bool:
    try:
        context.load_verify_locations(cafile=bundle)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return True


def _shown(context: ssl.SSLContext, certificate: str, key: str) -> bool:
    try:
        # Without a password given OpenSSL would ask on the terminal.
        context.load_cert_chain(certificate, key or None, password="")
    except (OSError, ValueError):
        return False
    return True


def _trust_system(context: ssl.SSLContext) -> None:
    if sys.platform == "win32":
        context.load_default_certs()  # the system's store; it is not in a file
        return
    # Not load_default_certs elsewhere: OpenSSL would take SSL_CERT_FILE from the environment.
    places = ssl.get_default_verify_paths()
    if not _loaded_from(context, places.openssl_cafile, places.openssl_capath, _BUNDLES):
        raise ConfigError(
            "this system has no file of trusted authorities",
            hint="install ca-certificates, or name a file as ca_bundle",
        )


def _loaded_from(context: ssl.SSLContext, file: str, folder: str, others: tuple[str, ...]) -> bool:
    """Trust OpenSSL's own file and folder; where neither is there, the first of ``others``."""
    found = _holds_hashes(folder)
    if found:
        context.load_verify_locations(capath=folder)
    found = _loaded(context, file) or found
    return found or any(_loaded(context, other) for other in others)


def _holds_hashes(folder: str) -> bool:
    """Say whether OpenSSL finds authorities in ``folder`` by their hash, as ``4a6481c9.0``."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".0") for entry in entries)
    except OSError:
        return False
