"""AWS credentials as JSON: what a credential_process prints, a store holds, an SDK is given.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html

What sees clear text returns its errors instead of raising them: see ``providers/contents.py``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import SecretError

if TYPE_CHECKING:
    from typing import Any

__all__ = ["read_credentials", "read_moment", "write_container", "write_process"]

_VERSION: Final = 1
_SHAPE: Final = 'it is a JSON object: {"AccessKeyId": "…", "SecretAccessKey": "…"}'


def read_credentials(
    secret: Secret, *, ref: str, versioned: str = "optional"
) -> AwsCredentials | SecretError:
    """Give the credentials in a JSON document, or say what is wrong with it.

    ``versioned="required"`` wants ``"Version": 1``, as every credential_process must print it. A
    text may be missing, null or empty where AWS lets it; an ``Expiration`` is ISO 8601 with a zone.
    """
    document = _object(secret)
    if document is None:
        return SecretError(f"{ref}: this is no JSON object with each key once", hint=_SHAPE)
    version = document.get("Version", _VERSION if versioned == "optional" else None)
    if version != _VERSION or isinstance(version, bool):
        return SecretError(
            f"{ref}: this is not version 1 of AWS credentials", hint='print "Version": 1'
        )
    ends_at = None
    if document.get("Expiration") is not None:
        ends_at = read_moment(document["Expiration"])
        if ends_at is None:
            return SecretError(
                f"{ref}: Expiration is no moment with a time zone",
                hint="write it like 2030-01-31T12:00:00Z",
            )
    return _credentials(document, ends_at, ref)


def write_process(credentials: AwsCredentials, *, ends_at: datetime) -> bytes:
    """Give what a credential_process prints; the SDK asks again before ``ends_at``."""
    return _written(credentials, ends_at, {"Version": _VERSION}, session_name="SessionToken")


def write_container(credentials: AwsCredentials, *, ends_at: datetime) -> bytes:
    """Give what a container's endpoint answers."""
    return _written(credentials, ends_at, {}, session_name="Token")


def _written(
    credentials: AwsCredentials, ends_at: datetime, start: dict[str, object], *, session_name: str
) -> bytes:
    session = credentials.session_token
    return json.dumps(
        {
            **start,
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret.reveal(),
            **({} if session is None else {session_name: session.reveal()}),
            "Expiration": f"{ends_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
    ).encode()


def read_moment(text: object) -> datetime | None:
    """Read an ISO 8601 moment with its zone; None if it is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)


def _credentials(
    document: dict[str, Any], ends_at: datetime | None, ref: str
) -> AwsCredentials | SecretError:
    key_id, key, token = (
        document.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    )
    token = token or None
    if not isinstance(key_id, str) or not isinstance(key, str) or not key:
        return SecretError(f"{ref}: AccessKeyId or SecretAccessKey is missing", hint=_SHAPE)
    if token is not None and not isinstance(token, str):
        return SecretError(f"{ref}: SessionToken is no text", hint=_SHAPE)
    try:
        return AwsCredentials(key_id, Secret(key), Secret(token) if token else None, ends_at)
    except SecretError as error:
        return SecretError(f"{ref}: {error}", hint=error.hint)


def _object(secret: Secret) -> dict[str, Any] | None:
    try:
        document = json.loads(secret.reveal(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is given twice")
    return document
