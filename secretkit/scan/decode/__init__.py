"""Decode: finds what is packed or encoded inside data, bounded in depth, size and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.scan.decode.budget import Budget, Nested, SpentError
from secretkit.scan.finding import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["HINTS", "Budget", "Nested", "encoded", "is_archive", "may_hold", "nested"]

HINTS: Final = ("base64", "kubernetes", "hex", "percent", "literals", "block")
_ALL: Final = frozenset(HINTS)
_FIRST: Final = (b"P", b"\x1f", b"B", b"\xfd", b"\xff", b"\xfe")  # of archives and marked text
_PACKED: Final = (b"PK\3\4", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ")
_RUNS: Final = 4000  # encoded runs looked into in one piece of data


def nested(
    data: bytes,
    *,
    path: str,
    budget: Budget,
    skipped: list[Skipped],
    hints: frozenset[str] = _ALL,
) -> Iterator[Nested]:
    """Give what is packed or encoded in ``data``; what goes over the budget joins ``skipped``.

    ``hints`` names the encodings that may be there, for those who know from an engine. Nothing is
    raised for any ``data``. Costs a look at the first bytes where there is nothing.
    """
    try:
        yield from _containers(data, path=path, budget=budget, skipped=skipped)
    except SpentError:
        return
    if hints:
        yield from encoded(data, path=path, budget=budget, skipped=skipped, hints=hints)


def encoded(
    data: bytes, *, path: str, budget: Budget, skipped: list[Skipped], hints: frozenset[str]
) -> Iterator[Nested]:
    """Give what is encoded in text, or written in pieces; the rest is as for :func:`nested`."""
    try:
        for count, inner in enumerate(_runs(data, hints)):
            if count == _RUNS:
                skipped.append(Skipped(path=path, reason="holds too much encoded text"))
                return
            budget.piece(path=path, skipped=skipped)
            yield inner
    except SpentError:
        return


def is_archive(data: bytes) -> bool:
    """Say whether ``data`` has members, or one that is compressed, with names of their own."""
    return data.startswith(_PACKED) or data[257:262] == b"ustar"


def may_hold(data: bytes, *, path: str) -> bool:
    """Say whether ``data`` is a container, or text in another encoding, by a look at its start."""
    return (
        (data[:1] in _FIRST and len(data) > 1)
        or data[257:262] == b"ustar"
        or b"\0" in data[:512]
        or path.endswith(".ipynb")
    )


def _containers(
    data: bytes, *, path: str, budget: Budget, skipped: list[Skipped]
) -> Iterator[Nested]:
    if data[:1] in _FIRST:
        from secretkit.scan.decode import archive, compressed  # noqa: PLC0415 - few files need them

        if archive.is_zip(data):
            yield from archive.zipped(data, path=path, budget=budget, skipped=skipped)
            return
        kind = compressed.decompressor(data)
        if kind is not None:
            yield from compressed.unpacked(data, kind, path=path, budget=budget, skipped=skipped)
            return
    if data[257:262] == b"ustar":
        from secretkit.scan.decode import archive  # noqa: PLC0415 - as above

        yield from archive.tar(data, path=path, budget=budget, skipped=skipped)
    if b"\0" in data[:512] or data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        from secretkit.scan.decode import text  # noqa: PLC0415 - as above

        plain = text.transcoded(data)
        if plain is not None:
            yield Nested(data=plain)
    elif path.endswith(".ipynb"):
        from secretkit.scan.decode import text  # noqa: PLC0415 - as above

        if text.is_notebook(data, path=path):
            yield from text.notebook(data)


def _runs(data: bytes, hints: frozenset[str]) -> Iterator[Nested]:
    from secretkit.scan.decode import joined, runs  # noqa: PLC0415 - few files need them

    finders: Mapping[str, Callable[[bytes], Iterator[Nested]]] = {
        "base64": runs.base64_runs,
        "kubernetes": runs.kubernetes_values,
        "hex": runs.hex_runs,
        "percent": runs.percent_runs,
        "literals": joined.joined_literals,
        "block": joined.block_values,
    }
    for name in HINTS:
        if name in hints:
            yield from finders[name](data)
