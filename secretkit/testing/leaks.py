"""Leaks: finds live secrets in bytes, also where they were encoded on the way.

Looked for: the text itself (UTF-8, UTF-16), base64 in all three alignments and both alphabets, hex,
percent-encoding, JSON and Python escapes (also twice), and each of them broken over lines. Not
looked for: compressed, encrypted, reversed or split text.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, unquote_to_bytes

from secretkit.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from secretkit.core.secret import Secret

__all__ = ["SHORTEST", "Leak", "Shapes", "find", "search"]

SHORTEST: Final = 8
"""Shorter values meet ordinary text by chance, and their base64 says nothing."""

_ESCAPE: Final = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([\"'\\/abfnrtv0]))"
)
_LETTERS: Final = b"\"'\\/abfnrtv0"
_MEANT: Final = (b'"', b"'", b"\\", b"/", *b"\a \b \f \n \r \t \v \0".split(b" "))
_SHORT: Final = dict(zip(_LETTERS, _MEANT, strict=True))


@dataclass(frozen=True, slots=True)
class Leak:
    """Where one secret was seen: its place in the order given, in which form, and how read.

    ``offset`` counts in the bytes as they are after ``view`` was applied.
    """

    secret: int
    form: str
    view: str
    offset: int

    def __str__(self) -> str:
        """Say it in words."""
        how = f", {self.view}" if self.view else ""
        return f"{self.form}{how}, at byte {self.offset}"


class Shapes:
    """All forms of one secret that are looked for. Prints nothing of it; made once, used often."""

    __slots__ = ("_forms",)

    def __init__(self, secret: Secret) -> None:
        if len(secret.reveal().encode()) < SHORTEST:
            raise SecretError(
                f"a secret of less than {SHORTEST} bytes cannot be told from ordinary text",
                hint="use a longer value in this test",
            )
        self._forms = tuple((form, _finder(needle)) for form, needle in _forms(secret))

    def __repr__(self) -> str:
        return "Shapes('***')"

    def seek(self, view: bytes) -> tuple[str, int] | None:
        """Give the form and the place of the first one that is in ``view``."""
        for form, at in self._forms:
            place = at(view)
            if place >= 0:
                return form, place
        return None


def find(blob: bytes, secrets: Iterable[Secret]) -> list[Leak]:
    """Say which of ``secrets`` are in ``blob``, one :class:`Leak` each, in the order given.

    Raises:
        SecretError: for a secret shorter than :data:`SHORTEST` bytes.
    """
    return search(blob, [Shapes(secret) for secret in secrets])


def search(blob: bytes, shapes: Sequence[Shapes]) -> list[Leak]:
    """Do the work of :func:`find` with shapes made earlier. Linear in the size of ``blob``."""
    found: dict[int, Leak] = {}
    if blob and shapes:
        for name, view in _views(blob):
            for index, shape in enumerate(shapes):
                hit = None if index in found else shape.seek(view)
                if hit is not None:
                    found[index] = Leak(index, hit[0], name, hit[1])
            if len(found) == len(shapes):
                break
    return [found[index] for index in sorted(found)]


def _views(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the bytes as they are, and then decoded in each way that changes them."""
    yield "", blob
    flat = blob.translate(None, b"\r\n") if b"\n" in blob or b"\r" in blob else blob
    if flat is not blob:
        yield "with line breaks taken out", flat
    for name, text in (("", blob), (" with line breaks taken out", flat)):
        if name and flat is blob:
            continue
        if b"%" in text:
            yield "percent-decoded" + name, unquote_to_bytes(text)
            yield "form-decoded" + name, unquote_to_bytes(text.replace(b"+", b" "))
        if b"\\" in text:
            once = _ESCAPE.sub(_as_text, text)
            yield "unescaped" + name, once
            if b"\\x" in text:
                yield "unescaped as bytes" + name, _ESCAPE.sub(_as_byte, text)
            if b"\\" in once:
                yield "unescaped twice" + name, _ESCAPE.sub(_as_text, once)


def _forms(secret: Secret) -> Iterator[tuple[str, bytes]]:
    seen = set()
    for form, needle in _all_forms(secret):
        if needle not in seen:
            seen.add(needle)
            yield form, needle


def _all_forms(secret: Secret) -> Iterator[tuple[str, bytes]]:
    yield "plain", secret.reveal().encode()
    yield "UTF-16", secret.reveal().encode("utf-16-le")
    yield "UTF-16", secret.reveal().encode("utf-16-be")
    yield "hex", secret.reveal().encode().hex().encode()
    yield "hex", secret.reveal().encode().hex().upper().encode()
    # Also as they are written, not only decoded: what stands before an encoded value can swallow
    # its first character when all is decoded together ('%' + '41%20…').
    for url in (
        quote(secret.reveal(), safe=""),
        quote(secret.reveal()),
        quote_plus(secret.reveal()),
    ):
        yield "percent-encoded", url.encode()
    for ascii_only in (True, False):
        text = json.dumps(secret.reveal(), ensure_ascii=ascii_only)[1:-1]
        yield "JSON-escaped", text.encode()
        yield "JSON-escaped", text.replace("/", "\\/").encode()
    for shift in range(3):
        inner = _base64_core(secret, shift=shift)
        yield "base64", inner
        yield "base64", inner.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_core(secret: Secret, *, shift: int) -> bytes:
    """Give the base64 characters that depend on the value alone, ``shift`` bytes into a group."""
    length = len(secret.reveal().encode())
    whole = base64.b64encode(bytes(shift) + secret.reveal().encode())
    return whole[-(-8 * shift // 6) : 8 * (shift + length) // 6]


def _finder(needle: bytes) -> Callable[[bytes], int]:
    """Keep the needle in a closure, where a walk over attributes meets a function."""

    def at(view: bytes) -> int:
        return view.find(needle)

    return at


def _as_text(match: re.Match[bytes]) -> bytes:
    high, low, four, eight, two, short = match.groups()
    if short:
        return _SHORT[short[0]]
    if high:
        return bytes.fromhex((high + low).decode()).decode("utf-16-be").encode()
    code = int(four or eight or two, 16)
    return chr(code).encode("utf-8", "surrogatepass") if code <= 0x10FFFF else match[0]  # noqa: PLR2004 - Unicode's end


def _as_byte(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[5].decode()) if match[5] else _as_text(match)
