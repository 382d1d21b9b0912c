"""Text: the same text in another encoding, and the cells of a notebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from secretkit.scan.decode.budget import Nested

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["encoding", "is_notebook", "notebook", "transcoded"]

_MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SAMPLE: Final = 512
_LARGEST: Final = 8 << 20  # JSON takes some ten times its size in memory


def encoding(data: bytes) -> str | None:
    """Give the name of the encoding of UTF-16 and UTF-32 text, from its first 512 bytes.

    Without a byte order mark it is UTF-16 if of these every second is a NUL, with few exceptions,
    and of the others nearly none.
    """
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    return marked or _unmarked(data[:_SAMPLE])


def transcoded(data: bytes) -> bytes | None:
    """Give UTF-16 or UTF-32 text as UTF-8; None for anything else."""
    name = encoding(data)
    if name is None:
        return None
    return data.decode(name, errors="replace").encode("utf-8", errors="replace")


def _unmarked(sample: bytes) -> str | None:
    pairs = len(sample) // 2
    if pairs < 4 or b"\0" not in sample:  # noqa: PLR2004 - too short to tell
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd * 10 >= pairs * 7 and even * 20 <= pairs:
        return "utf-16-le"
    if even * 10 >= pairs * 7 and odd * 20 <= pairs:
        return "utf-16-be"
    return None


def is_notebook(data: bytes, *, path: str) -> bool:
    """Say whether this is a Jupyter notebook that is small enough to read."""
    return path.endswith(".ipynb") and len(data) <= _LARGEST and data.lstrip()[:1] == b"{"


def notebook(data: bytes) -> Iterator[Nested]:
    """Give source and text output of each cell, as ``!cell-1`` and ``!cell-1-output``.

    What is no notebook gives nothing: its text itself is scanned all the same.
    https://nbformat.readthedocs.io/en/latest/format_description.html
    """
    try:
        cells = json.loads(data).get("cells", [])
        for number, cell in enumerate(cells, 1):
            yield Nested(data=_text(cell.get("source")), name=f"!cell-{number}")
            shown = b"\n".join(_outputs(cell.get("outputs", [])))
            if shown:
                yield Nested(data=shown, name=f"!cell-{number}-output")
    except (ValueError, AttributeError, TypeError, RecursionError):
        return


def _outputs(outputs: list[Any]) -> Iterator[bytes]:
    for output in outputs:
        yield _text(output.get("text"))
        yield _text(output.get("data", {}).get("text/plain"))


def _text(value: object) -> bytes:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    return value.encode("utf-8", errors="replace") if isinstance(value, str) else b""
