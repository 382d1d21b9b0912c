"""``python -m secretkit.scan PATH…``: look for leaked keys in files.

Exit code: 0 nothing found, 1 findings, 2 wrong usage, 3 not fully scanned. A line that ends in a
comment ``secretkit: allow REASON`` is accepted, if it gives a reason.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from secretkit.errors import ScanError
from secretkit.scan import listing as tree
from secretkit.scan.finder import Finder
from secretkit.scan.rule import built_in_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretkit.scan.finder import Span

__all__ = ["main"]

_ALLOW: Final = re.compile(r"secretkit: allow[ \t]+\S")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\u00a1-\u1fff\u2c00-\ud7ff]")
_AROUND: Final = 40
_PREFIX: Final = 4
_LONG: Final = 24  # four characters of anything shorter would give too much away


def main(arguments: Sequence[str], *, out: TextIO, err: TextIO) -> int:
    """Scan the paths in ``arguments`` and give the exit code."""
    if not arguments or any(argument.startswith("-") for argument in arguments):
        err.write("usage: python -m secretkit.scan PATH…\n")
        return 2
    missing = [argument for argument in arguments if not os.path.lexists(argument)]
    if missing:
        err.write(f"there is no {_shown(missing[0])}\n")
        return 2
    engine, found, skipped = Finder(built_in_rules()), 0, 0
    for argument in arguments:
        for name, text in _texts(Path(argument)):
            if isinstance(text, ScanError):
                skipped += 1
                err.write(f"{_shown(name)}: {text}\n")
                continue
            for line in _findings(engine, text):
                found += 1
                out.write(f"{_shown(name)}:{line}\n")
    if found or skipped:
        err.write(f"{found} found, {skipped} not scanned\n")
    return 1 if found else 3 if skipped else 0


def _texts(path: Path) -> Iterator[tuple[str, str | ScanError]]:
    whole = path.is_dir() and not path.is_symlink()
    folder = path if whole else path.parent
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        yield str(path), ScanError(f"cannot be opened: {error.strerror}")
        return
    try:
        names = tree.paths(folder.absolute()) if whole else [path.name]
        for name in names:
            shown = str(folder / name)
            try:
                text = tree.read(descriptor, name)
            except ScanError as error:
                yield shown, error
            else:
                if text is not None:
                    yield shown, text
    except (ScanError, OSError) as error:
        yield str(path), ScanError(str(error))
    finally:
        os.close(descriptor)


def _findings(engine: Finder, text: str) -> Iterator[str]:
    matches = engine.find(text)
    for match in matches:
        start = text.rfind("\n", 0, match.start) + 1
        end = text.find("\n", match.start)
        end = end if end >= 0 else len(text)
        if not _ALLOW.search(text, start, end):
            number = text.count("\n", 0, start) + 1
            start, end = max(start, match.start - _AROUND), min(end, match.end + _AROUND)
            yield f"{number}: {match.rule_id}: {_masked(text, matches, start=start, end=end)}"


def _masked(text: str, matches: Sequence[Span], *, start: int, end: int) -> str:
    """Give ``text[start:end]`` with every match in it replaced by at most four characters of it."""
    shown: list[str] = []
    for match in matches:  # sorted by start
        if match.end > start and match.start < end:
            whole = match.end - match.start >= _LONG and match.start >= start
            shown.append(_shown(text[start : match.start]))
            shown.append(_shown(text[match.start : match.start + _PREFIX]) if whole else "")
            shown.append("…")
            start = max(start, match.end)
    return "".join((*shown, _shown(text[start:end])))


def _shown(text: str) -> str:
    """Make text from a stranger safe for a terminal: no control, no bidirectional marks."""
    return _UNPRINTABLE.sub("?", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], out=sys.stdout, err=sys.stderr))
