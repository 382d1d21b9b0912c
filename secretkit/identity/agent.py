"""agent: asks SPIFFE Workload APIs, as a program of its own.

:mod:`secretkit.identity.companion` starts ``python -m secretkit.identity.agent``, so that gRPC and
its threads never are in a process that may fork. Questions and answers are frames on its standard
input, a socket; it ends when the other end of that is closed, and after ten idle minutes.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from socket import socket
from typing import TYPE_CHECKING, Any, Final

from secretkit.identity.frame import receive, send

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spiffe import WorkloadApiClient

__all__ = ["IDLE", "Agent", "main"]

IDLE: Final = 600.0
"""Seconds without a question after which it ends."""


class Agent:
    """Answers questions. Keeps the channel of the last one while it works, and no answer."""

    def __init__(self) -> None:
        self._client: WorkloadApiClient | None = None
        self._path = ""

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Give ``token``, or the parts of an X.509-SVID, or a ``code`` that says why not.

        Codes are those of gRPC, or NO_SOCKET, or the class of the client's error.
        """
        kept = self._client is not None and self._path == question["socket"]
        found = self._asked(question)
        if kept and found.get("code") == "UNAVAILABLE":  # such as after a restart of the agent
            return self._asked(question)
        return found

    def close(self) -> None:
        """Close the channel: one that failed would wait, up to two minutes, before it tries."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _asked(self, question: Mapping[str, Any]) -> dict[str, Any]:
        from spiffe.errors import ArgumentError  # noqa: PLC0415 - 150 ms: gRPC

        try:
            client = self._opened(question["socket"])
        except ArgumentError:
            return {"code": "NO_SOCKET"}
        try:
            return _x509(client, question) if question["kind"] == "x509" else _jwt(client, question)
        except Exception as error:  # noqa: BLE001 - the client wraps whatever it meets
            self.close()
            return {"code": _code(error)}

    def _opened(self, path: str) -> WorkloadApiClient:
        from spiffe import WorkloadApiClient  # noqa: PLC0415 - gRPC

        if self._client is None or self._path != path:
            self.close()
            self._client, self._path = WorkloadApiClient(path), path
        return self._client


def _code(error: BaseException | None) -> str:
    """Give gRPC's status behind a client's error, else the name of the innermost class."""
    name = ""
    while error is not None:
        told = getattr(error, "code", None)
        if callable(told):
            return str(getattr(told(), "name", ""))
        name, error = type(error).__name__, error.__cause__
    return name


def _jwt(client: WorkloadApiClient, question: Mapping[str, Any]) -> dict[str, Any]:
    from spiffe import SpiffeId  # noqa: PLC0415 - gRPC

    subject = SpiffeId(question["spiffe_id"]) if question["spiffe_id"] else None
    found = client.fetch_jwt_svid(
        {question["audience"]}, subject=subject, timeout=question["seconds"]
    )
    return {"token": found.token}


def _x509(client: WorkloadApiClient, question: Mapping[str, Any]) -> dict[str, Any]:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - loads OpenSSL

    pem = serialization.Encoding.PEM
    found = client.fetch_x509_context(timeout=question["seconds"])
    svid = found.default_svid
    bundle: Any = found.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    return {
        "subject": str(svid.spiffe_id),
        "expires_at": svid.leaf.not_valid_after_utc.timestamp(),
        "chain": "".join(one.public_bytes(pem).decode() for one in svid.cert_chain),
        "key": svid.private_key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "authorities": "".join(
            one.public_bytes(pem).decode()
            for one in sorted(bundle.x509_authorities, key=lambda one: one.serial_number)
        ),
    }


def main(line: socket, *, idle: float = IDLE) -> None:
    """Say that it is ready, or NOT_INSTALLED, then answer until nobody asks any more."""
    try:
        import spiffe  # noqa: F401, PLC0415 - 150 ms: before it is ready, and not while it is asked
    except ImportError:
        send(line, {"code": "NOT_INSTALLED"})
        return
    send(line, {})
    agent = Agent()
    try:
        while True:
            send(line, agent.answer(receive(line, left=lambda: idle)))
    except OSError:  # idle, or nobody asks any more
        return
    finally:
        agent.close()


def _end_with(line: socket) -> None:
    """End at once when the other end is closed, also in the midst of a question."""
    closed = select.poll()
    closed.register(line, 0)  # that it is closed is told in any case
    closed.poll()
    os._exit(0)


if __name__ == "__main__":
    with socket(fileno=sys.stdin.fileno()) as ours:
        threading.Thread(target=_end_with, args=(ours,), daemon=True).start()
        main(ours)
        os._exit(0)  # what gRPC does at an orderly end may take seconds
