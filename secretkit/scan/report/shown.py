"""Shown: names from a stranger, so that they drive neither a terminal nor a log reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secretkit.scan.finding import Finding

__all__ = ["advice", "readable", "shown"]

_SURROGATES = range(0xD800, 0xE000)
_BYTES = range(0xDC80, 0xDD00)


def readable(path: str) -> str:
    r"""Give ``path`` as text that every encoder takes: a byte that is no UTF-8 becomes ``\xff``."""
    if path.isascii():
        return path
    return "".join(_byte(char) if ord(char) in _SURROGATES else char for char in path)


def _byte(char: str) -> str:
    code = ord(char)
    return f"\\x{code - 0xDC00:02x}" if code in _BYTES else f"\\u{code:04x}"


def shown(text: str) -> str:
    r"""Give ``text`` on one line, with controls and directions escaped.

    ``::`` and ``##[`` are broken up: to the log reader of a GitHub workflow they are commands
    (https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
    """
    text = readable(text).replace("::", ":\\x3a").replace("##[", "#\\x23[")
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def advice(finding: Finding) -> str:
    """Say what to do about a finding, in one line. An issuer's rules say where to revoke."""
    where = f": {finding.advice}" if finding.advice else " where it was issued"
    return shown(f"Revoke it{where}; store a new one; take it out of the file")
