"""Documents of KV: what is read, wrapped at once, and what is sent to write or remove one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretError
from secretkit.providers.vault.mount import KV_2
from secretkit.providers.vault.reason import document
from secretkit.providers.vault.value import wrapped_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.core.message import Reply
    from secretkit.core.ref import SecretRef
    from secretkit.providers.vault.mount import Mount

__all__ = [
    "Current",
    "changed",
    "conflict",
    "moment",
    "read_document",
    "removal",
    "whole_document",
    "writing",
]


@record(kw_only=True)
class Current:
    """A document as it stands: JSON text wrapped, ``"{}"`` at version 0 where there is none."""

    secret: Secret
    version: str


def read_document(reply: Reply, ref: str, *, nested: bool) -> Current | ProviderError:
    """Wrap what was read. Errors are given back: this frame holds it in clear."""
    data = document(reply, ref=ref).get("data")
    version: object = ""  # version 1 has none
    if nested and isinstance(data, dict):
        metadata = data.get("metadata")
        version = metadata.get("version") if isinstance(metadata, dict) else None
        data = data.get("data")
    if not isinstance(data, dict) or not isinstance(version, int | str):
        return ProviderError(
            f"{ref}: the answer is not a document of the key-value engine",
            ref=ref,
            hint="look whether kv_version says which version the mount has",
        )
    secret = wrapped_json(data, ref=ref)
    if isinstance(secret, ProviderError):
        return secret
    return Current(secret=secret, version=str(version))


def writing(path: str, whole: Secret, mount: Mount, cas: str | None) -> Callable[[Any], Any]:
    """Give the request that stores a document; on version 2 only over the version ``cas``."""

    def call(hvac: Any) -> Any:  # noqa: ANN401 - hvac has no types
        if mount.engine == KV_2:
            return hvac.secrets.kv.v2.create_or_update_secret(
                path,
                json.loads(whole.reveal()),
                cas=None if cas is None else int(cas),
                mount_point=mount.path,
            )
        return hvac.secrets.kv.v1.create_or_update_secret(
            path, json.loads(whole.reveal()), method="POST", mount_point=mount.path
        )

    return call


def removal(path: str, mount: Mount) -> Callable[[Any], Any]:
    """Give the request that removes a document with its versions."""
    if mount.engine == KV_2:
        return lambda hvac: hvac.secrets.kv.v2.delete_metadata_and_all_versions(
            path, mount_point=mount.path
        )
    return lambda hvac: hvac.secrets.kv.v1.delete_secret(path, mount_point=mount.path)


def whole_document(secret: Secret, ref: SecretRef) -> Secret | SecretError:
    """Take a whole document as it is, if it is one."""
    try:
        held = isinstance(json.loads(secret.reveal()), dict)
    except (ValueError, RecursionError):
        held = False
    if held:
        return secret
    return SecretError(
        f"{ref}: Vault stores documents, and this is no JSON object",
        hint="write one of its fields: the reference with #FIELD behind it",
    )


def changed(whole: Secret, ref: SecretRef, value: Secret | None) -> Secret | SecretError:
    """Give the document with the reference's field set, or taken out."""
    fields = json.loads(whole.reveal())
    fields.pop(ref.field, None)
    if value is not None:
        fields[ref.field] = value.reveal()
    try:
        return Secret(json.dumps(fields))
    except SecretError:
        return SecretError(f"{ref}: the document is too large", hint="store less in one document")


def conflict(ref: SecretRef) -> ProviderError:
    """Give the error of a write that came too late."""
    return ProviderError(
        f"{ref}: the secret is at another version than the expected one",
        ref=str(ref),
        hint="someone wrote it meanwhile: fetch it again, and decide again",
    )


def moment(text: object) -> datetime | None:
    """Read a time as Vault writes it; None if it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
