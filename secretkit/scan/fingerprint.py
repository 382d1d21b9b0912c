"""Fingerprint: a short keyed digest that tells two secrets apart and gives neither away."""

from __future__ import annotations

import functools
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KEY_BYTES", "Fingerprinter"]

KEY_BYTES: Final = 32

_SHORT: Final = 20
_CACHED: Final = 4096


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
            _fingerprint(key, hashlib.sha256(value).digest(), len(value) < _SHORT)
            for key in self._keys
        )


@functools.lru_cache(_CACHED)
def _fingerprint(key: bytes, digest: bytes, short: bool) -> str:  # noqa: FBT001 - private
    if short:
        digest = hashlib.scrypt(digest, salt=key, n=1 << 10, r=8, p=1, dklen=32)
    return hmac.digest(key, digest, "sha256").hex()[:32]
