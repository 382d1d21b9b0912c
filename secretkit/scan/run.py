"""Run: one scan from settings to a summary: rules, baseline and sources put together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record, replace
from secretkit.errors import ConfigError
from secretkit.scan.acceptance import read_baseline, write_baseline
from secretkit.scan.baseline import Located
from secretkit.scan.content import scan_text
from secretkit.scan.engine import open_engine
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.scanner import Scanner
from secretkit.scan.summary import Summary, ordered
from secretkit.scan.tree import scan_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from secretkit.scan.baseline import Baseline, Entry
    from secretkit.scan.rule import Rule
    from secretkit.scan.scanner import LiveSecrets

__all__ = ["CONFIDENCES", "EVERYTHING", "Run", "Settings", "root_of", "workers"]

CONFIDENCES: Final = ("low", "medium", "high")
EVERYTHING: Final = frozenset({"baseline", "comment"})
_MOST_WORKERS: Final = 8
_LONGEST: Final = 200


@record(kw_only=True)
class Settings:
    """How to scan, whatever is scanned.

    ``key`` is for fingerprints where the baseline has no key of its own. ``honoured`` is which
    acceptances count: ``baseline``, ``comment``. ``exclude`` is gitignore patterns.
    """

    rules: Sequence[Rule]
    key: bytes
    root: Path
    baseline: Baseline
    honoured: Collection[str] = EVERYTHING
    confidence: str = "medium"
    exclude: Sequence[str] = ()
    live: LiveSecrets | None = None


class Run:
    """One scan. Its summaries hold only findings of the wanted confidence that nobody accepts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._cwd = Path.cwd()
        self._keys = settings.baseline.keys or (settings.key,)
        self._located = Located(settings.baseline, locate=self._locate)
        self._excluded = _excluding(settings.exclude)
        self.scanner = Scanner(
            settings.rules,
            engine=open_engine(settings.rules),
            fingerprints=Fingerprinter(self._keys),
            acceptance=self._located if "baseline" in settings.honoured else None,
            live=settings.live,
        )

    def _locate(self, path: str) -> str:
        """Give the path from the root, which is what a baseline and ``exclude`` speak of."""
        if self._cwd == self.settings.root and not path.startswith(("/", "../", "./")):
            return path
        return os.path.relpath(self._cwd / path, self.settings.root)

    def tree(
        self,
        paths: Sequence[Path],
        *,
        progress: Callable[[int, int], None] = lambda _done, _tasks: None,
    ) -> Summary:
        """Scan files and directories; see :func:`~secretkit.scan.tree.scan_tree`."""
        excluded = self._excluded
        found = scan_tree(
            paths,
            scanner=self.scanner,
            workers=workers(),
            excluded=(lambda path: excluded(self._locate(path))) if excluded else lambda _: False,
            progress=progress,
        )
        return self.settled(found)

    def text(self, data: bytes, *, path: str) -> Summary:
        """Scan bytes that came from somewhere else, under the name ``path``."""
        found = scan_text(data, path=path, scanner=self.scanner)
        return self.settled(
            Summary(
                findings=found.findings,
                skipped=found.skipped,
                accepted=found.accepted,
                files=1,
                size=len(data),
            )
        )

    def settled(self, summary: Summary) -> Summary:
        """Drop what is less sure than wanted, and count only the acceptances that are honoured."""
        wanted = CONFIDENCES[CONFIDENCES.index(self.settings.confidence) :]
        sure = [one for one in (*summary.findings, *summary.accepted) if one.confidence in wanted]
        kept = [one for one in sure if one.accepted in self.settings.honoured]
        found = [
            replace(one, accepted="") for one in sure if one.accepted not in self.settings.honoured
        ]
        return replace(summary, findings=ordered(found), accepted=ordered(kept))

    def unused(self, summary: Summary) -> list[Entry]:
        """Give the baseline's entries that accepted nothing in this scan."""
        return self._located.unused(summary.accepted)

    def accept(self, summary: Summary, *, reason: str, file: Path) -> Summary:
        """Write the findings into the baseline, and give the summary with them accepted.

        What is in use cannot be accepted, and stays a finding.

        Raises:
            ConfigError: if the reason is none, holds a secret, or the file cannot be written.
        """
        self._check(reason)
        dead = [one for one in summary.findings if one.live is None]
        if dead:
            entries = [self._located.entry(one, reason=reason) for one in dead]
            write_baseline(file, read_baseline(file).with_entries(entries, key=self._keys[0]))
        return replace(
            summary,
            findings=tuple(one for one in summary.findings if one.live is not None),
            accepted=ordered(
                [*summary.accepted, *(replace(one, accepted="baseline") for one in dead)]
            ),
        )

    def _check(self, reason: str) -> None:
        if not reason.strip() or not reason.isprintable() or len(reason) > _LONGEST:
            raise ConfigError(
                f"the reason is one line of at most {_LONGEST} characters",
                hint="--reason 'revoked on 3 May'",
            )
        if self.scanner.seen(reason.encode(), path=""):
            raise ConfigError(
                "the reason holds a secret, which would stand in the baseline",
                hint="say why it may stay, without the value",
            )


def root_of(path: Path) -> Path:
    """Give the top of the repository that ``path`` is in; else its own directory."""
    where = path.absolute()
    top = next((one for one in (where, *where.parents) if os.path.lexists(one / ".git")), None)
    return top or (where if where.is_dir() else where.parent)


def workers() -> int:
    """Give how many processes to scan with: one for each CPU this one may use, at most 8."""
    usable = getattr(os, "sched_getaffinity", None)
    return min(len(usable(0)) if usable else os.cpu_count() or 1, _MOST_WORKERS)


def _excluding(patterns: Sequence[str]) -> Callable[[str], bool] | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - 15 ms, and few give a pattern

    try:
        return GitIgnoreSpec.from_lines(patterns).match_file
    except ValueError:
        raise ConfigError(
            "a pattern to exclude cannot be read", hint="write it as in .gitignore: 'docs/*.svg'"
        ) from None
