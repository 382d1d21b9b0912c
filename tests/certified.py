"""Certificates for tests: an authority of our own, and servers and clients that it knows."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """Signs certificates, and lies as a file where a client can be told to trust it."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._folder = folder
        self.bundle = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.bundle)

    def server(self, *names: str, clients: Authority | None = None) -> ssl.SSLContext:
        """Give the context of a server of these names, which asks for a client's certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
        if clients is not None:
            clients._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def expired(self) -> ssl.SSLContext:
        """Give the context of a server whose certificate ended long ago."""
        from datetime import UTC, datetime

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old = {"not_before": datetime(2001, 1, 1, tzinfo=UTC)}
        self._ca.issue_cert(
            "127.0.0.1", not_after=datetime(2001, 2, 1, tzinfo=UTC), **old
        ).configure_cert(context)
        return context

    def client(self, name: str) -> tuple[str, str]:
        """Give the files of a certificate and its key."""
        leaf = self._ca.issue_cert(name)
        certificate, key = self._folder / "client.pem", self._folder / "client.key"
        leaf.cert_chain_pems[0].write_to_path(certificate)
        leaf.private_key_pem.write_to_path(key)
        return str(certificate), str(key)
