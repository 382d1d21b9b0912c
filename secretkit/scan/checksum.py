"""Checksum: verifies tokens whose issuer has published a checksum for them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["NAMES", "append", "holds"]

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def holds(name: str, secret: bytes) -> bool:
    """Say whether ``secret`` carries the checksum ``name`` over itself."""
    digits, checked = _WIDTH[name], secret.decode("latin-1")
    return _OF[name](checked[:-digits]) == checked[-digits:]


def append(name: str, text: str) -> str:
    """Give the checksum ``name`` of ``text``, to be put behind it."""
    return _OF[name](text)


def _github(text: str) -> str:
    """Six base62 digits of the CRC-32 of the 30 characters after the prefix.

    https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
    """
    number, digits = zlib.crc32(text.rpartition("_")[2].encode("latin-1")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


_OF: Final[Mapping[str, Callable[[str], str]]] = {"github-crc32": _github}
_WIDTH: Final[Mapping[str, int]] = {"github-crc32": 6}
NAMES: Final = frozenset(_OF)
