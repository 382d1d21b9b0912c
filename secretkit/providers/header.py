"""The local store's header: which store this is, and its DEK wrapped under the user's key.

JSON in one canonical spelling; any other spelling of the same facts is refused, so that every
changed byte is noticed before the key is tried.
"""

from __future__ import annotations

import binascii
import json
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.errors import IntegrityError
from secretkit.providers.sealing import frame

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DAMAGED", "DAMAGED_HINT", "Header", "WrappedKey", "canonical", "context_of"]

# One text for a wrong key and for a damaged header: which of the two it was helps a guesser.
DAMAGED: Final = "the local store does not open: the key is not the right one, or it is damaged"
DAMAGED_HINT: Final = "check the store's key setting; if that is right, restore a backup"

_FORMAT: Final = 1
_MOST: Final = 4096
_ID_BYTES: Final = 16


@record()
class WrappedKey:
    """A DEK as a key source sealed it: which kind of source, what it needs to know, the bytes."""

    source: str
    parameters: Mapping[str, str | int]
    sealed: bytes


@record()
class Header:
    """A store's id, its key's id, and the wrapped key."""

    store_id: bytes
    key_id: bytes
    wrapped: WrappedKey

    @property
    def ids(self) -> tuple[bytes, bytes]:
        """The store's id and its key's id."""
        return self.store_id, self.key_id

    @property
    def context(self) -> bytes:
        """What the wrapped key is bound to, besides the source's own parameters."""
        return context_of(self.store_id, self.key_id)

    def encode(self) -> bytes:
        """Write the one spelling that :meth:`decode` reads."""
        return canonical(
            {
                "format": _FORMAT,
                "store": self.store_id.hex(),
                "key": self.key_id.hex(),
                "source": self.wrapped.source,
                "parameters": dict(self.wrapped.parameters),
                "wrapped": self.wrapped.sealed.hex(),
            }
        )

    @classmethod
    def decode(cls, text: object) -> Header:
        """Read a header strictly.

        Raises:
            IntegrityError: for anything that :meth:`encode` would not have written.
        """
        header = _parse(text) if isinstance(text, bytes) and len(text) <= _MOST else None
        if header is None or header.encode() != text:
            raise IntegrityError(DAMAGED, hint=DAMAGED_HINT)
        return header


def context_of(store_id: bytes, key_id: bytes) -> bytes:
    """Give :attr:`Header.context` before there is a wrapped key to put in a header."""
    return frame(store_id, key_id)


def canonical(fields: Mapping[str, object]) -> bytes:
    """Write JSON with sorted keys and no spaces."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _parse(text: bytes) -> Header | None:
    try:
        fields = json.loads(text)
        if fields["format"] != _FORMAT:
            return None
        source, parameters = fields["source"], fields["parameters"]
        store_id, key_id = (binascii.unhexlify(fields[name]) for name in ("store", "key"))
        sealed = binascii.unhexlify(fields["wrapped"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if len(store_id) != _ID_BYTES or len(key_id) != _ID_BYTES or not isinstance(source, str):
        return None
    if not isinstance(parameters, dict) or not all(
        isinstance(value, str | int) and not isinstance(value, bool)
        for value in parameters.values()
    ):
        return None
    return Header(store_id, key_id, WrappedKey(source, parameters, sealed))
