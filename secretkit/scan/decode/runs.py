"""Runs: base64, hexadecimal and percent-encoded runs in text, and the text in them."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final

from secretkit.scan.decode.budget import Nested

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["base64_runs", "hex_runs", "kubernetes_values", "percent_runs"]

# Runs of 40 and more, also over lines as MIME and PEM break them. Neither a longer word of the
# alphabet nor a path component continues them.
_BASE64: Final = re.compile(
    rb"[A-Za-z0-9+/_-]{40,}(?:(?:(?:\\[rn]){1,2}|\r?\n)[ \t]{0,40}[A-Za-z0-9+/_-]{40,}){0,20000}"
    rb"(?:\r?\n[ \t]{0,40}[A-Za-z0-9+/_-]{1,80})?={0,2}"
)
_SHORT: Final = re.compile(
    rb"[:=][ \t]{0,4}[\"']?([A-Za-z0-9+/]{12,39}={0,2})[\"']?[ \t]*(?=[\r\n,}]|\Z)"
)
_HEX: Final = re.compile(rb"(?<![0-9A-Za-z])(?:0x)?((?:[0-9a-fA-F]{2}){20,100000})")
_PERCENT: Final = re.compile(rb"%[0-9A-Fa-f]{2}[0-9A-Za-z_.~/+=&?:@!$,;*()%-]{0,2000}")
_UNRESERVED: Final = frozenset(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.~/+=&?:@!$,;*()-"
)
_BEFORE: Final = 200
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_PACKED: Final = (b"\x1f\x8b\x08", b"PK\3\4")
_LARGEST: Final = 4 << 20
_PRINTABLE: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"


def base64_runs(data: bytes) -> Iterator[Nested]:
    """Give what base64 runs of 40 characters or more hold, if that is text, gzip or zip.

    Both alphabets of RFC 4648, with or without padding, on one line or over several.
    """
    for found in _BASE64.finditer(data):
        content = _base64(found[0])
        if content is not None:
            yield Nested(data=content, span=found.span())


def kubernetes_values(data: bytes) -> Iterator[Nested]:
    """Give what shorter base64 values hold, for a file that says it is a Secret.

    https://kubernetes.io/docs/concepts/configuration/secret/
    """
    for found in _SHORT.finditer(data):
        content = _base64(found[1])
        if content is not None:
            key = data[data.rfind(b"\n", 0, found.start()) + 1 : found.start()].strip(b" \t\"'-,{")
            yield Nested(data=key + b": " + content + b"\n", span=found.span(1))


def hex_runs(data: bytes) -> Iterator[Nested]:
    """Give what hexadecimal runs of 40 digits or more hold, if that is text."""
    for found in _HEX.finditer(data):
        content = bytes.fromhex(found[1].decode("ascii"))
        if _is_text(content):
            yield Nested(data=content, span=found.span(1))


def percent_runs(data: bytes) -> Iterator[Nested]:
    """Give percent-encoded runs decoded once (RFC 3986), if that changes anything but spaces."""
    for found in _PERCENT.finditer(data):
        start = found.start()
        low = max(0, start - _BEFORE)
        while start > low and data[start - 1] in _UNRESERVED:
            start -= 1
        content = _unquoted(data[start : found.end()])
        if _is_text(content):
            yield Nested(data=content, span=(start, found.end()))


def _unquoted(run: bytes) -> bytes:
    first, *rest = run.split(b"%")
    parts = [first]
    for piece in rest:
        try:
            parts.append(bytes([int(piece[:2], 16)]) + piece[2:])
        except ValueError:
            parts.append(b"%" + piece)
    return b"".join(parts)


def _base64(run: bytes) -> bytes | None:
    plain = run.replace(b"\\r", b"").replace(b"\\n", b"").translate(_URL_SAFE, b" \t\r\n")
    plain = plain.rstrip(b"=")[: _LARGEST // 3 * 4]
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        content = binascii.a2b_base64(plain + b"=" * (-len(plain) % 4))
    except binascii.Error:
        return None
    return content if content.startswith(_PACKED) or _is_text(content) else None


def _is_text(content: bytes) -> bool:
    """Say whether nearly all of this is printable: of random bytes three in eight are."""
    sample = content[:4096]
    others = len(sample.translate(None, _PRINTABLE))
    return len(sample) >= 8 and others * 20 <= len(sample)  # noqa: PLR2004 - nothing shorter counts
