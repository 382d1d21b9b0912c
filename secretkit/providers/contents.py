"""From what a store gave to a Secret.

The functions that see clear text return their errors instead of raising them: an exception would
carry their frame, and with it the text, into the caller's traceback.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from secretkit.core.secret import Secret
from secretkit.errors import RefError, SecretError, SecretNotFoundError
from secretkit.providers.options import nearest

if TYPE_CHECKING:
    from secretkit.core.ref import SecretRef
    from secretkit.errors import SecretkitError

__all__ = ["NEWLINES", "decoded", "field_of", "no_field", "no_version", "wrapped"]

NEWLINES: Final = ("keep", "strip-one")
"""What the option ``newline`` takes: nothing is stripped unless someone asked for it."""


def wrapped(value: str, *, ref: SecretRef) -> Secret | SecretError:
    """Wrap clear text, or say what is wrong with it."""
    try:
        return Secret(value)
    except SecretError as error:
        return SecretError(f"{ref}: {error}", hint=error.hint)


def decoded(data: bytes | bytearray, *, ref: SecretRef, newline: str) -> Secret | SecretError:
    """Read UTF-8; ``newline="strip-one"`` takes one line break off the end."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return SecretError(
            f"{ref}: the value is not UTF-8 text",
            hint="store it as UTF-8; secretkit does not guess other encodings",
        )
    if newline == "strip-one":
        text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    return wrapped(text, ref=ref)


def field_of(secret: Secret, *, ref: SecretRef) -> Secret:
    """Give the secret, or the text under ``ref.field`` where it is a JSON object.

    Raises:
        SecretError: if a field is asked of what is not a JSON object, or is not text.
        SecretNotFoundError: if the object has no such field.
    """
    if ref.field is None:
        return secret
    found = _picked(secret, ref)
    if isinstance(found, Secret):
        return found
    raise found


def no_version(ref: SecretRef) -> None:
    """Refuse ``@version`` for a store that keeps none.

    Raises:
        RefError: if the reference names a version.
    """
    if ref.version is not None:
        raise RefError(
            f"{ref}: this store keeps no versions",
            hint="leave out the part from '@' on; an '@' in a name is written %40",
        )


def no_field(ref: SecretRef) -> None:
    """Refuse ``#field`` where a write would have to change a part of a document.

    Raises:
        RefError: if the reference names a field.
    """
    if ref.field is not None:
        raise RefError(
            f"{ref}: one field cannot be written on its own",
            hint="leave out the part from '#' on; a '#' in a name is written %23",
        )


def _picked(secret: Secret, ref: SecretRef) -> Secret | SecretkitError:
    try:
        document = json.loads(secret.reveal(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return SecretError(
            f"{ref}: the stored value is not a JSON object, so it has no field",
            hint="leave out '#field', or store a JSON object with each key once",
        )
    if ref.field not in document:
        near = nearest(ref.field or "", document)
        return SecretNotFoundError(
            f"{ref}: the stored JSON object has no such field",
            ref=str(ref),
            hint=f"did you mean #{near}?" if near else "look at the names of the fields it has",
        )
    value = document[ref.field]
    if not isinstance(value, str):
        return SecretError(
            f"{ref}: the field is not text", hint="store it as a JSON string, in quotes"
        )
    return wrapped(value, ref=ref)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key given twice: two readers would take two different values (RFC 8259 §4)."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is given twice")
    return document
