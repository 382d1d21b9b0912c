"""``python -m secretkit.scan PATH…``: look for leaked keys in files.

The light form of ``secretkit scan``: no options, no configuration, no state. Exit code: 0 nothing
found, 1 findings, 2 wrong usage, 3 not fully scanned. The baseline and comments count here too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from secretkit.errors import ConfigError, ScanError
from secretkit.scan.acceptance import read_baseline
from secretkit.scan.baseline import NAME
from secretkit.scan.engine.cache import default_folder
from secretkit.scan.fingerprint import KEY_BYTES
from secretkit.scan.report import Report, render
from secretkit.scan.report.shown import shown
from secretkit.scan.report.text import counts
from secretkit.scan.run import Run, Settings, root_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str], *, out: TextIO, err: TextIO, cache: str | None = None) -> int:
    """Scan the paths in ``arguments`` and give the exit code. ``cache`` keeps compiled rules."""
    if not arguments or any(argument.startswith("-") for argument in arguments):
        err.write("usage: python -m secretkit.scan PATH…\n")
        return 2
    missing = [argument for argument in arguments if not os.path.lexists(argument)]
    if missing:
        err.write(f"there is no {shown(missing[0])}\n")
        return 2
    paths = [Path(argument) for argument in arguments]
    try:
        summary = _run(root_of(paths[0]), cache).tree(paths)
    except (ConfigError, ScanError) as error:
        err.write(f"not scanned: {shown(str(error))}\n")
        return 2 if isinstance(error, ConfigError) else 3
    report = Report(summary=summary)
    out.write(render(report, form="text"))
    if summary.findings or summary.skipped or summary.accepted:
        err.write(f"{counts(report)}\n")
    return 1 if summary.findings else 3 if summary.skipped else 0


def _run(root: Path, cache: str | None) -> Run:
    """Give a run whose fingerprints nobody sees, so their key need not last."""
    return Run(
        Settings(
            root=root,
            here=Path.cwd(),
            baseline=read_baseline(root / NAME),
            key=os.urandom(KEY_BYTES),
            cache=cache,
        )
    )


if __name__ == "__main__":
    folder = default_folder(os.environ)  # noqa: TID251 - nothing stands above this that could
    sys.exit(main(sys.argv[1:], out=sys.stdout, err=sys.stderr, cache=folder))
