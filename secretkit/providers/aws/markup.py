"""Reads the XML that STS answers with: names and texts, nothing else that XML can do.

Expat is the standard library's; a document type, and with it every entity of one's own, is refused
before it is read, so nothing expands (https://docs.python.org/3/library/xml.html#xml-security).
"""

from __future__ import annotations

from typing import Final, NoReturn
from xml.parsers.expat import ExpatError, ParserCreate

__all__ = ["read_markup"]

_DEPTH: Final = 16
_TEXTS: Final = 256


def read_markup(body: bytes) -> dict[str, str] | None:
    """Give the text of each innermost element under its path, without the root; None if unusable.

    A path is ``AssumeRoleResult/Credentials/Expiration``. Unusable is what is no XML, has a
    document type, is deeper than 16 or has more than 256 texts, or has one path twice.
    """
    reader = _Reader()
    parser = ParserCreate(encoding="utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.ProcessingInstructionHandler = reader.refuse
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat's signature
    except (ExpatError, ValueError):
        return None
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._path: list[str] = []
        self._text = ""
        self._is_innermost = False

    def start(self, name: str, _attributes: object) -> None:
        self._path.append(name)
        if len(self._path) > _DEPTH:
            raise ValueError("too deep")
        self._text, self._is_innermost = "", True

    def text(self, data: str) -> None:
        self._text += data

    def end(self, _name: str) -> None:
        if self._is_innermost:
            path = "/".join(self._path[1:])
            if path in self.found or len(self.found) >= _TEXTS:
                raise ValueError("given twice, or too many")
            self.found[path] = self._text
        self._path.pop()
        self._text, self._is_innermost = "", False

    def refuse(self, *_: object) -> NoReturn:
        raise ValueError("a document type")
