"""agent: one question to a SPIFFE Workload API, as a program of its own.

``python -m secretkit.identity.agent jwt|x509 SOCKET SECONDS [AUDIENCE SPIFFE_ID]`` prints one JSON
object. :mod:`secretkit.identity.spiffe` starts it, so that gRPC and its threads never are in a
process that may fork.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spiffe import WorkloadApiClient

__all__ = ["main"]


def main(kind: str, socket: str, seconds: str, *asked: str) -> dict[str, Any]:
    """Give ``token``, or the parts of an X.509-SVID, or a ``code`` that says why not.

    Codes are those of gRPC, or NOT_INSTALLED, NO_SOCKET, or the class of the client's error.
    """
    try:
        from spiffe import WorkloadApiClient  # noqa: PLC0415 - 150 ms: gRPC
        from spiffe.errors import ArgumentError  # noqa: PLC0415 - see above
    except ImportError:
        return {"code": "NOT_INSTALLED"}
    try:
        client = WorkloadApiClient(socket, default_timeout=float(seconds))
    except ArgumentError:
        return {"code": "NO_SOCKET"}
    with client:
        try:
            return _x509(client) if kind == "x509" else _jwt(client, *asked)
        except Exception as error:  # noqa: BLE001 - the client wraps whatever it meets
            return {"code": _code(error)}


def _code(error: BaseException | None) -> str:
    """Give gRPC's status behind a client's error, else the name of the innermost class."""
    name = ""
    while error is not None:
        told = getattr(error, "code", None)
        if callable(told):
            return str(getattr(told(), "name", ""))
        name, error = type(error).__name__, error.__cause__
    return name


def _jwt(client: WorkloadApiClient, audience: str, spiffe_id: str) -> dict[str, Any]:
    from spiffe import SpiffeId  # noqa: PLC0415 - gRPC

    subject = SpiffeId(spiffe_id) if spiffe_id else None
    return {"token": client.fetch_jwt_svid({audience}, subject=subject).token}


def _x509(client: WorkloadApiClient) -> dict[str, Any]:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - loads OpenSSL

    pem = serialization.Encoding.PEM
    found = client.fetch_x509_context()
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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
