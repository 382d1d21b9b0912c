"""Example: texts that a rule must find, and near misses that it must not, from the rule files.

A rule file holds no literal that looks like a secret, so an example is a list of pieces to be
joined: text, or a table that makes text.
"""

from __future__ import annotations

import hashlib
import string
import tomllib
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.errors import ConfigError
from secretkit.scan import checksum
from secretkit.scan.rule import built_in_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Examples", "built_in_examples", "parse_examples"]

_ALPHABETS: Final = {
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "lower": string.ascii_lowercase + string.digits,
    "upper": string.ascii_uppercase + string.digits,
    "alnum": string.ascii_letters + string.digits,
    "base32": string.ascii_uppercase + "234567",
    "base58": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "base64": string.ascii_letters + string.digits + "+/",
    "base64url": string.ascii_letters + string.digits + "-_",
}


@record(kw_only=True)
class Examples:
    """What one rule must find, and what it must pass over."""

    matches: tuple[str, ...]
    misses: tuple[str, ...]


def parse_examples(text: str, *, file: str) -> dict[str, Examples]:
    """Give the examples of every rule in a TOML rule file, by rule id.

    A piece is text, ``{ random = ALPHABET, length = 40 }`` (the same text each time; the alphabets
    are digits, hex, HEX, lower, upper, alnum, base32, base58, base64 and base64url, or any other
    text, whose characters are used; ``uuid`` needs no length), ``{ of = "aB3", length = 40 }``
    (that text repeated), or ``{ checksum = NAME }`` (the checksum of the example so far).

    Raises:
        ConfigError: for a piece that is none of these.
    """
    return {
        entry["id"]: Examples(
            matches=tuple(
                _joined(pieces, seed=f"{entry['id']}:{number}", file=file)
                for number, pieces in enumerate(entry["matches"])
            ),
            misses=tuple(
                _joined(pieces, seed=f"{entry['id']}:miss:{number}", file=file)
                for number, pieces in enumerate(entry["misses"])
            ),
        )
        for entry in tomllib.loads(text)["rule"]
    }


def _joined(pieces: Sequence[str | Mapping[str, Any]], *, seed: str, file: str) -> str:
    text = ""
    for number, piece in enumerate(pieces):
        text += piece if isinstance(piece, str) else _made(piece, text, f"{seed}:{number}", file)
    return text


def _made(piece: Mapping[str, Any], so_far: str, seed: str, file: str) -> str:
    match piece:
        case {"random": "uuid"}:
            digits = _random(_ALPHABETS["hex"], 32, seed)
            return "-".join(
                (digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:])
            )
        case {"random": str(alphabet), "length": int(length)}:
            return _random(_ALPHABETS.get(alphabet, alphabet), length, seed)
        case {"of": str(of), "length": int(length)}:
            return (of * (length // len(of) + 1))[:length]
        case {"checksum": str(name)}:
            return checksum.append(name, so_far)
    raise ConfigError("a piece is text, random, of or checksum", file=file, key_path=seed)


def _random(alphabet: str, length: int, seed: str) -> str:
    """Give text that looks random and is the same for the same seed."""
    noise = hashlib.shake_256(seed.encode()).digest(2 * length)
    pairs = zip(noise[::2], noise[1::2], strict=True)
    return "".join(alphabet[(256 * high + low) % len(alphabet)] for high, low in pairs)


def built_in_examples() -> dict[str, Examples]:
    """Give the examples of all rules that ship with secretkit."""
    return {
        rule: examples
        for file, text in built_in_files()
        for rule, examples in parse_examples(text, file=file).items()
    }
