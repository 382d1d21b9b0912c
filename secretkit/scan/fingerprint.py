"""Fingerprint: a short keyed digest that tells two secrets apart and gives neither away."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from hashlib import sha256
else:
    # hashlib loads OpenSSL, 3 ms that a stopped commit need not wait for.
    try:
        from _sha2 import sha256  # from Python 3.12 on
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["KEY_BYTES", "Fingerprinter"]

KEY_BYTES: Final = 32

_SHORT: Final = 20
_CACHED: Final = 4096
_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class Fingerprinter:
    """Gives fingerprints under one or more keys, the first of which is the one shown.

    A value under 20 bytes might be guessed by whoever holds the key, so it first goes through
    scrypt (RFC 7914, N = 1024, r = 8: 3 ms here a distinct value). Thread-safe.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a fingerprint needs a key")
        self._keys = tuple(keys)

    def of(self, value: bytes) -> tuple[str, ...]:
        """Give the fingerprints of ``value``, 32 hexadecimal digits each, one for each key."""
        return tuple(
            _fingerprint(key, sha256(value).digest(), len(value) < _SHORT) for key in self._keys
        )


@functools.lru_cache(_CACHED)
def _fingerprint(key: bytes, digest: bytes, short: bool) -> str:  # noqa: FBT001 - private
    if short:
        import hashlib  # noqa: PLC0415 - see above

        digest = hashlib.scrypt(digest, salt=key, n=1 << 10, r=8, p=1, dklen=32)
    return _hmac(key, digest).hex()[:32]


def _hmac(key: bytes, message: bytes) -> bytes:
    """Give HMAC-SHA-256 (RFC 2104), as :func:`hmac.digest` does."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    key = key.ljust(_BLOCK, b"\0")
    inner = sha256(key.translate(_INNER) + message).digest()
    return sha256(key.translate(_OUTER) + inner).digest()
