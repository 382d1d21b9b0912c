"""The local store's cryptography: KEK → DEK → row. Pure: bytes in, bytes out, no file, no clock.

AES-256-GCM with random 96-bit nonces (NIST SP 800-38D §8.2.2). What surrounds a sealed value
(store, key, name, version, time) is bound to it as associated data, so a row that is moved within
a store or between stores no longer opens. The format is in ``docs/store-format.md``, vectors in
``tests/providers/vectors``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, final

from secretkit.core.secret import Secret
from secretkit.errors import IntegrityError, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "KEY_BYTES",
    "NONCE_BYTES",
    "Place",
    "RowSealer",
    "SealingKey",
    "frame",
    "unwrap",
    "wrap",
]

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16

_DEK_LABEL: Final = b"secretkit dek 1"
_ROW_LABEL: Final = b"secretkit row 1"
_SET_LABEL: Final = b"secretkit set 1"


@final
class SealingKey:
    """256 bits of key that do not print, pickle or compare. Immutable, thread-safe."""

    __slots__ = ("_sealed",)

    def __init__(self, value: bytes) -> None:
        if len(value) != KEY_BYTES:
            size = len(value)
            del value
            raise IntegrityError(f"a sealing key has {KEY_BYTES} bytes, and this has {size}")
        _put(self, bytes(value))

    @classmethod
    def new(cls) -> SealingKey:
        """Give a fresh random key."""
        return cls(os.urandom(KEY_BYTES))

    def reveal(self) -> bytes:
        """Give the key itself. Call it in the last expression before the cipher, nowhere else."""
        return _bytes_of(self)

    def derive(self, label: bytes) -> SealingKey:
        """Give the key for one purpose (HKDF-Expand of RFC 5869 §2.3, SHA-256, one block)."""
        return SealingKey(hmac.digest(self.reveal(), label + b"\x01", "sha256"))

    def __repr__(self) -> str:
        return "SealingKey('***')"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a SealingKey cannot be pickled")


# A slot without a name, as in Secret: no attribute, item or repr leads to the bytes.
_slot: Any = SealingKey.__dict__["_sealed"]
_bytes_of: Callable[[SealingKey], bytes] = _slot.__get__
_put: Callable[[SealingKey, bytes], None] = _slot.__set__
type.__delattr__(SealingKey, "_sealed")
del _slot


class Place(NamedTuple):
    """Where a row stands: its name, its version, and when it was written (µs since 1970)."""

    name: bytes
    version: int
    created: int


def frame(*parts: bytes) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: each after its length."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def wrap(kek: SealingKey, dek: SealingKey, *, context: bytes, nonce: bytes | None = None) -> bytes:
    """Seal ``dek`` under ``kek``: nonce, ciphertext, tag. ``nonce`` is for test vectors alone."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 6 ms

    nonce = nonce or os.urandom(NONCE_BYTES)
    return nonce + AESGCM(kek.reveal()).encrypt(nonce, dek.reveal(), frame(_DEK_LABEL, context))


def unwrap(kek: SealingKey, wrapped: bytes, *, context: bytes) -> SealingKey:
    """Open what :func:`wrap` sealed.

    Raises:
        IntegrityError: for another key, another context or changed bytes; which one is not told.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 6 ms
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 6 ms

    if len(wrapped) == NONCE_BYTES + KEY_BYTES + _TAG_BYTES:
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        associated = frame(_DEK_LABEL, context)
        try:
            return SealingKey(AESGCM(kek.reveal()).decrypt(nonce, sealed, associated))
        except InvalidTag:
            pass  # raised below, outside: an exception's context outlives `from None`
    raise IntegrityError("the wrapped key does not open")


class RowSealer:
    """Seals and opens rows under one DEK, and vouches for the set of them. Thread-safe.

    Keeps two derived keys, one for rows and one for the set, and not the DEK.
    """

    def __init__(self, dek: SealingKey, *, store_id: bytes, key_id: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 6 ms

        self.store_id = store_id
        self.key_id = key_id
        self._aead = AESGCM(dek.derive(_ROW_LABEL).reveal())
        self._set = hmac.new(dek.derive(_SET_LABEL).reveal(), digestmod=hashlib.sha256)

    @property
    def ids(self) -> tuple[bytes, bytes]:
        """The store's id and its key's id."""
        return self.store_id, self.key_id

    def _associated(self, place: Place) -> bytes:
        return frame(_ROW_LABEL, self.store_id, self.key_id, place.name, *_numbers(place))

    def seal(self, secret: Secret, place: Place, *, nonce: bytes) -> bytes:
        """Give ciphertext and tag. A nonce is used once: ``os.urandom(NONCE_BYTES)``."""
        return self._aead.encrypt(nonce, secret.reveal().encode(), self._associated(place))

    def open(self, sealed: bytes, place: Place, *, nonce: bytes) -> Secret:
        """Give back what was sealed for this very place.

        Raises:
            IntegrityError: if the bytes, the nonce or the place are not those it was sealed with.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded with the cipher

        associated = self._associated(place)
        try:
            return Secret(self._aead.decrypt(nonce, sealed, associated).decode())
        except (InvalidTag, UnicodeDecodeError, ValueError, SecretError):
            pass  # raised below, outside: a UnicodeDecodeError holds the clear bytes
        raise IntegrityError("a stored value is not what was written")

    def vouch(
        self, *, header: bytes, generation: int, floor: int, rows: Iterable[tuple[Place, bytes]]
    ) -> bytes:
        """Give the keyed digest over the header, both counters and every row's place and nonce.

        ``rows`` in the order of their places. A nonce stands for its row: it is used once, and
        the row's tag binds all else to it. So no row can be removed, added or put back.
        """
        mac = self._set.copy()
        mac.update(frame(_SET_LABEL, self.store_id, self.key_id, header))
        mac.update(generation.to_bytes(8, "big") + floor.to_bytes(8, "big"))
        for place, nonce in rows:
            mac.update(frame(place.name, *_numbers(place), nonce))
        return mac.digest()


def _numbers(place: Place) -> tuple[bytes, bytes]:
    return place.version.to_bytes(8, "big"), place.created.to_bytes(8, "big")
