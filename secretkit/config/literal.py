"""Finds secrets written into a configuration, which holds references only.

Two nets: the scanner's rules over the whole text, comments included, and the shape of the tables:
an option whose name says password, token or key must be a reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError, RefError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.config.origin import KeyPath
    from secretkit.config.table import Source

__all__ = ["literal_option", "literal_text", "may_be_literal", "url_password"]

_NAMES: Final = re.compile(
    r"(?:.*_)?(?:password|passwd|passphrase|pwd|secret|secret_id|token|api_?key|secret_?key"
    r"|private_?key|access_?key|encryption_?key|signing_?key|secret_access_key|credentials?"
    r"|bearer|authorization)|key|pin",
    re.IGNORECASE,
)
# Across "/", "?" and "#" too: a password that should have been percent-encoded is still one.
_URL_PASSWORD: Final = re.compile(
    r"://[^:]*:[^@]*@|[?&][^=&]*(?:password|passwd|pwd|secret|token)=", re.IGNORECASE
)
# What every rule of the scanner needs: a long run that is not made of lower-case words, two short
# ones in hex, or a URL with an "@". Loading the rules takes 50 ms, and most files spare it; a test
# holds this against the examples of every rule.
_RUN: Final = re.compile(rb"[A-Za-z0-9_+/=.~-]{16,}|[0-9a-f]{8}:[0-9a-f]{8}")
_ODD: Final = re.compile(rb"[A-Z0-9+=~]")
_LOGIN: Final = re.compile(rb"://\S*@")
_DEPTH: Final = 16


def url_password(text: str) -> bool:
    """Say whether ``text`` is a URL with a password in it."""
    if "://" not in text:
        return False
    if _URL_PASSWORD.search(text):
        return True
    if "%" not in text:
        return False
    from urllib.parse import unquote  # noqa: PLC0415 - few URLs need it

    return _URL_PASSWORD.search(unquote(text)) is not None  # libpq decodes parameters' names too


def may_be_literal(raw: bytes) -> bool:
    """Say whether there may be key-shaped text in a file, without the rules."""
    return bool(_LOGIN.search(raw)) or any(map(_ODD.search, _RUN.findall(raw)))


def literal_text(raw: bytes) -> tuple[str, int] | None:
    """Give the rule and the line of the first key-shaped text in a file, or None."""
    if not may_be_literal(raw):
        return None
    from secretkit.scan.finder import Finder  # noqa: PLC0415 - only files that need it pay
    from secretkit.scan.rule import shape_rules  # noqa: PLC0415 - see above

    text = raw.decode(errors="replace")
    found = next(iter(Finder(shape_rules()).shapes(text)), None)
    if found is None:
        return None
    return found.rule_id, text.count("\n", 0, found.start) + 1


def literal_option(values: object, *, path: KeyPath, source: Source) -> ConfigError | None:
    """Give an error for the first option that should be a reference and is not, or None."""
    for where, value in _leaves(values, path):
        # Only the innermost name counts: a store's key = { type = …, path = … } says where it is.
        if len(where) > len(path) and _NAMES.fullmatch(where[-1].replace("-", "_")):
            bad = not _is_ref(value)
        else:
            bad = isinstance(value, str) and url_password(value)
        if bad:
            return source.error(
                where,
                "a reference was expected here, never the value itself",
                hint="write it as provider:path[#field], for example env:NAME or local:NAME",
            )
    return None


def _leaves(value: object, path: KeyPath, depth: int = 0) -> Iterator[tuple[KeyPath, object]]:
    if depth > _DEPTH:
        yield (*path, "password"), None  # too deep to look into: refused like a literal
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path, depth + 1)
    else:
        yield path, value


def _is_ref(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        SecretRef.parse(value)
    except RefError:
        return False
    return True
