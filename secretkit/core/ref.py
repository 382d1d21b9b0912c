"""SecretRef: where a secret lives, as text that is safe to commit.

``provider:path[#field][@version]``. In a path, ``%``, ``#`` and ``@`` are written ``%25``,
``%23`` and ``%40``; no other escape exists, so each reference has one spelling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from secretkit.errors import RefError

__all__ = ["SecretRef"]

_SHAPE: Final = re.compile(
    r"(?P<provider>[a-z][a-z0-9-]{0,62}):"
    r"(?P<path>[^#@]+)"
    r"(?:\#(?P<field>[^#@]+))?"
    r"(?:@(?P<version>[^#@]+))?"
)
_ESCAPES: Final = {"%25": "%", "%23": "#", "%40": "@"}
_ESCAPE: Final = re.compile(r"%.{0,2}")
_MAX: Final = 2048


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """A provider's name, a path in its store, and optionally a field and a version."""

    provider: str
    path: str
    field: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        """Refuse parts that could not be written down and read again."""
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", self.provider):
            raise RefError("a provider's name is lower-case letters, digits and '-'")
        for name, part in (("path", self.path), ("field", self.field), ("version", self.version)):
            if part is not None and (not part or not part.isprintable() or part != part.strip()):
                raise RefError(
                    f"the {name} of a {self.provider!r} reference is empty, starts or ends with "
                    "a space, or holds characters that do not print"
                )

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """Read a reference.

        Raises:
            RefError: without the text in it, which could be a secret pasted in the wrong place.
        """
        match = _SHAPE.fullmatch(text) if len(text) <= _MAX else None
        if match is None:
            del text
            raise RefError("this is not a reference (its text is not shown: it may be a secret)")
        parts = match.groupdict()
        return cls(
            provider=parts["provider"],
            path=_unescape(parts["path"]),
            field=_unescape(parts["field"]) if parts["field"] else None,
            version=_unescape(parts["version"]) if parts["version"] else None,
        )

    def __str__(self) -> str:
        """Write the one spelling that ``parse`` reads back."""
        text = f"{self.provider}:{_escape(self.path)}"
        if self.field is not None:
            text += f"#{_escape(self.field)}"
        if self.version is not None:
            text += f"@{_escape(self.version)}"
        return text


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace("#", "%23").replace("@", "%40")


def _unescape(part: str) -> str:
    def one(match: re.Match[str]) -> str:
        try:
            return _ESCAPES[match.group()]
        except KeyError:
            raise RefError(
                "'%' in a reference starts an escape, and only %25, %23 and %40 exist"
            ) from None

    return _ESCAPE.sub(one, part)
