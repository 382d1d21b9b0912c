"""What a command prints: a table where a person looks, lines of TSV in a pipe, JSON when asked.

stdout carries results only; prose goes to stderr. Text from files, stores and arguments is shown
with control and direction characters escaped, so that none of it can drive the terminal.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.core.secret import Secret

__all__ = [
    "Cell",
    "cell",
    "is_terminal",
    "print_json",
    "print_rows",
    "printable",
    "prose",
    "write_secret",
]

Cell = str | int | float | bool | datetime | timedelta | None

_NARROWEST: Final = 40


def is_terminal() -> bool:
    """Say whether a person looks at stdout."""
    return sys.stdout.isatty()


def printable(text: str) -> str:
    """Give ``text`` on one line, with everything that does not print escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in text
    )


def prose(*lines: str) -> None:
    """Write lines for a person to stderr. That it is full or closed never changes the outcome."""
    try:
        sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
        sys.stderr.flush()
    except OSError:
        # What is left in the buffer would fail again at exit, and make the exit code 120.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - to the end


def cell(value: Cell) -> str | int | float | bool | None:
    """Give a value as JSON holds it: instants as ISO 8601 in UTC, durations in seconds."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return round(value.total_seconds(), 3)
    return value


def print_json(value: object) -> None:
    """Print one JSON document."""
    import json  # noqa: PLC0415 - a bare token needs none

    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime | timedelta):
        return cell(value)
    raise TypeError(f"{type(value).__name__} has no place in our JSON")


def print_rows(rows: Sequence[Mapping[str, Cell]], columns: Sequence[str], *, color: str) -> None:
    """Print rows as a table on a terminal, else as TSV without a heading.

    ``color`` is ``"never"`` or ``"auto"``: rich then decides, by ``NO_COLOR`` and the terminal.
    """
    if is_terminal():
        _print_table(rows, columns, color=color)
        return
    for row in rows:
        sys.stdout.write("\t".join(_shown(row.get(column)) for column in columns) + "\n")


def _shown(value: Cell) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        from secretkit.config.duration import write_duration  # noqa: PLC0415 - used by few

        return write_duration(value)
    return printable(str(cell(value)))


def _print_table(rows: Sequence[Mapping[str, Cell]], columns: Sequence[str], *, color: str) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - 85 ms, and only a person needs it
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    console = Console(no_color=True if color == "never" else None, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(row.get(column))) for column in columns))
    console.print(table)


def write_secret(secret: Secret) -> None:
    """Write the value to stdout: alone in a pipe, with a line break after it on a terminal."""
    sys.stdout.flush()
    # Bytes, because a failure to encode text would carry the text in its exception.
    sys.stdout.buffer.write(secret.reveal().encode())
    if is_terminal():
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
