"""SecretRef: where a secret lives, as text that is safe to commit.

``provider:path[#field][@version]``. In a path, ``%``, ``#`` and ``@`` are written ``%25``,
``%23`` and ``%40``; no other escape exists, so each reference has one spelling.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Final

from secretkit.core.record import record
from secretkit.errors import RefError

__all__ = ["SecretRef"]

_SHAPE: Final = re.compile(
    r"(?P<provider>[a-z][a-z0-9-]{0,62}):"
    r"(?P<path>[^#@]+)"
    r"(?:\#(?P<field>[^#@]+))?"
    r"(?:@(?P<version>[^#@]+))?"
)
_PROVIDER: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_BAD_ESCAPE: Final = re.compile(r"%(?!25|23|40)")
_MAX: Final = 2048


@total_ordering
@record(init=False)
class SecretRef:
    """A provider's name, a path in its store, and optionally a field and a version."""

    provider: str
    path: str
    field: str | None = None
    version: str | None = None

    # Written out, so that no frame of a refusal holds the text: it may be a secret in the wrong
    # place, and error reporters show local variables.
    def __init__(
        self, provider: str, path: str, field: str | None = None, version: str | None = None
    ) -> None:
        """Refuse parts that could not be written down and read again."""
        problem = _problem((provider, path, field, version))
        if problem:
            del self, provider, path, field, version  # repr(self) would fail in a reporter
            raise RefError(problem)
        object.__setattr__(self, "provider", provider)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "field", field)
        object.__setattr__(self, "version", version)

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """Read a reference.

        Raises:
            RefError: without the text in it, which could be a secret pasted in the wrong place.
        """
        parts = _parts(text)
        problem = parts if isinstance(parts, str) else _problem(parts)
        if isinstance(parts, str) or problem:
            del text, parts
            raise RefError(problem)
        return cls(*parts)

    def __lt__(self, other: object) -> bool:
        """Order by provider, path, field, version; none comes before any."""
        if not isinstance(other, SecretRef):
            return NotImplemented
        return self._key() < other._key()

    def _key(self) -> tuple[str, str, str, str]:
        return self.provider, self.path, self.field or "", self.version or ""

    def __str__(self) -> str:
        """Write the one spelling that ``parse`` reads back."""
        text = f"{self.provider}:{_escape(self.path)}"
        if self.field is not None:
            text += f"#{_escape(self.field)}"
        if self.version is not None:
            text += f"@{_escape(self.version)}"
        return text


_Parts = tuple[str, str, str | None, str | None]


def _parts(text: object) -> _Parts | str:
    """Take a reference apart, or say in words why it cannot be."""
    match = _SHAPE.fullmatch(text) if isinstance(text, str) and len(text) <= _MAX else None
    if match is None:
        return "this is not a reference (its text is not shown: it may be a secret)"
    if _BAD_ESCAPE.search(match.string):
        return "'%' in a reference starts an escape, and only %25, %23 and %40 exist"
    path, field, version = match["path"], match["field"], match["version"]
    return (
        match["provider"],
        _unescape(path),
        _unescape(field) if field else None,
        _unescape(version) if version else None,
    )


def _problem(parts: tuple[object, object, object, object]) -> str:
    """Say in words what keeps these parts from being a reference, or give an empty string."""
    provider, path, field, version = parts
    if not isinstance(provider, str) or not _PROVIDER.fullmatch(provider):
        return "a provider's name is lower-case letters, digits and '-', 63 at the most"
    written = len(provider)
    for name, part in (("path", path), ("field", field), ("version", version)):
        if part is None and name != "path":
            continue
        if not isinstance(part, str) or not part.isprintable() or part != part.strip() or not part:
            return (
                f"the {name} of a reference is empty, starts or ends with a space, or holds "
                "characters that do not print"
            )
        written += len(_escape(part)) + 1
    return f"a reference is {_MAX} characters at the most" if written > _MAX else ""


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace("#", "%23").replace("@", "%40")


def _unescape(part: str) -> str:
    return part.replace("%23", "#").replace("%40", "@").replace("%25", "%")
