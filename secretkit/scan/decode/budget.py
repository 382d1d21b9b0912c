"""Budget: how much of one file may be unpacked, over all depths; and what is found inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.scan.finding import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Budget", "Nested", "SpentError"]

_BYTES: Final = 100 << 20
_PIECES: Final = 20_000  # members of archives and encoded runs


@record(kw_only=True)
class Nested:
    """Data found inside other data.

    ``span`` is where the encoded text stands in the outer data, which is where a finding is then
    reported. Without a span, lines count inside ``data``; ``name`` is then put after the outer
    path: ``!member`` for a member of an archive, nothing for the same text in another encoding.
    """

    data: bytes
    name: str = ""
    span: tuple[int, int] | None = None


class SpentError(Exception):
    """The budget is spent; it has been noted, and nothing more is unpacked from this file."""


class Budget:
    """How much may still be unpacked from one file: 100 MiB and 20,000 pieces, over all depths."""

    def __init__(self, *, size: int = _BYTES, pieces: int = _PIECES) -> None:
        self.left = size
        self._pieces = pieces

    def piece(self, *, path: str, skipped: list[Skipped]) -> None:
        """Count one member or run.

        Raises:
            SpentError: if there have been too many; ``skipped`` then says so.
        """
        self._pieces -= 1
        if self._pieces < 0:
            if self._pieces == -1:
                skipped.append(Skipped(path=path, reason="holds too many pieces to unpack"))
            raise SpentError

    def read(self, more: Callable[[int], bytes], *, path: str, skipped: list[Skipped]) -> bytes:
        """Give all that ``more(count)`` gives until it is empty, as far as the budget goes.

        Raises:
            SpentError: if there would be more; ``skipped`` then says so.
        """
        parts: list[bytes] = []
        while part := more(min(self.left, 1 << 20) + 1):
            self.left -= len(part)
            if self.left < 0:
                reason = "unpacks to more than was allowed: the rest was not scanned"
                skipped.append(Skipped(path=path, reason=reason))
                raise SpentError
            parts.append(part)
        return b"".join(parts)
