"""Decode: finds what is packed or encoded inside data, bounded in depth, size and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.scan.finding import Skipped

__all__ = ["Budget", "Nested", "nested"]

_BYTES: Final = 100 << 20


class Budget:
    """How much may still be unpacked from one file, over all depths."""

    __slots__ = ("left",)

    def __init__(self, left: int = _BYTES) -> None:
        self.left = left


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


def nested(data: bytes, *, path: str, budget: Budget, skipped: list[Skipped]) -> Iterator[Nested]:
    """Give what is packed or encoded in ``data``; what goes over the budget joins ``skipped``."""
    del data, path, budget, skipped  # the decoders come with their own change
    yield from ()
