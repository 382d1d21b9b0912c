"""Styled: lines in parts, each part in the colour of what it is, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["print_styled"]

_STYLES: Final[Mapping[str, str]] = {
    "path": "bold",
    "rule": "bold",
    "mild": "dim",
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "cyan",
}


def print_styled(lines: Iterable[Sequence[tuple[str, str]]], *, color: str) -> None:
    """Print lines of (style, text). ``color`` is ``"never"`` or ``"auto"``; the terminal wraps."""
    console = Console(no_color=True if color == "never" else None, highlight=False)
    for parts in lines:
        text = Text.assemble(*((words, _STYLES.get(style, "")) for style, words in parts))
        console.print(text, soft_wrap=True)
