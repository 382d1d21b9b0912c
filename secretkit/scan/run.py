"""Run: one scan from settings to a summary: rules, baseline and sources put together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record, replace
from secretkit.errors import ConfigError
from secretkit.scan.acceptance import read_baseline, read_revision, write_baseline
from secretkit.scan.baseline import Located
from secretkit.scan.content import scan_text
from secretkit.scan.decode.hint import HINT_RULES
from secretkit.scan.engine import open_built_in, open_engine
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.git import Git
from secretkit.scan.rule import built_in_rules
from secretkit.scan.scanner import Scanner
from secretkit.scan.summary import Summary, ordered
from secretkit.scan.tree import scan_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from secretkit.scan.baseline import Baseline, Entry
    from secretkit.scan.engine import Engine
    from secretkit.scan.finding import Finding
    from secretkit.scan.live import LiveSecrets
    from secretkit.scan.rule import Rule

__all__ = ["CONFIDENCES", "EVERYTHING", "Run", "Settings", "excluding", "root_of", "workers"]

CONFIDENCES: Final = ("low", "medium", "high")
EVERYTHING: Final = frozenset({"baseline", "comment"})
_MOST_WORKERS: Final = 8
_LONGEST: Final = 200


def _silent(*_: object) -> None:
    """Tell nobody."""


@record(kw_only=True)
class Settings:
    """How to scan, whatever is scanned.

    ``root`` is where the baseline and ``exclude``, gitignore patterns, count paths from; ``here``
    is where the paths of findings count from. ``key`` is for fingerprints where the baseline has
    no key. ``honoured`` is which acceptances count: ``baseline``, ``comment``. ``own_rules`` come
    after the built-in ones. ``cache`` keeps compiled rules; ``notice`` is told of long work.
    """

    root: Path
    here: Path
    baseline: Baseline
    key: bytes
    honoured: Collection[str] = EVERYTHING
    confidence: str = "medium"
    exclude: Sequence[str] = ()
    own_rules: Sequence[Rule] = ()
    live: LiveSecrets | None = None
    cache: str | None = None
    notice: Callable[[str], object] = _silent
    progress: Callable[[int, int], None] = _silent


class Run:
    """One scan, of one source or several."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.fresh: tuple[Finding, ...] = ()
        self._keys = settings.baseline.keys or (settings.key,)
        self._located = Located(settings.baseline, locate=self._locate)
        self._rules, engine = _engine(settings)
        self._excluded = excluding(settings.exclude)
        acceptance = self._located if "baseline" in settings.honoured else None
        prints = Fingerprinter(self._keys)
        self.scanner = Scanner(
            self._rules,
            engine=engine,
            fingerprints=prints,
            acceptance=acceptance,
            live=settings.live,
            lowest=settings.confidence,
        )
        self._plain = Scanner(
            self._rules, engine=engine, fingerprints=prints, lowest=settings.confidence
        )

    def _locate(self, path: str) -> str:
        """Give the path from the root."""
        if self.settings.here == self.settings.root and not path.startswith(("/", "../", "./")):
            return path
        return os.path.relpath(self.settings.here / path, self.settings.root)

    # Sources

    def tree(self, paths: Sequence[Path]) -> Summary:
        """Scan files and directories; see :func:`~secretkit.scan.tree.scan_tree`."""
        excluded = self._excluded
        found = scan_tree(
            paths,
            scanner=self.scanner,
            workers=workers(),
            excluded=(lambda path: excluded(self._locate(path))) if excluded else lambda _: False,
            progress=self.settings.progress,
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

    def staged(self) -> Summary:
        """Scan what is staged in the repository at the root; ``fresh`` is what that accepts anew.

        Raises:
            ScanError: if git fails.
        """
        from secretkit.scan import staged as source  # noqa: PLC0415 - one of four sources
        from secretkit.scan.objects import Objects  # noqa: PLC0415 - see above

        git = Git(self.settings.root)
        with Objects(git) as objects:
            what, means = source.staged(git), source.Means(self.scanner, self._plain, objects)
            wanted = None
            if self._excluded is not None:
                excluded = self._excluded
                wanted = {one.path for one in what.changes if not excluded(one.path)}
            found = source.scan_staged(what, means=means, only=wanted)
            new = source.without_old(found.accepted, what.known, means=means)
        found = self.settled(replace(found, accepted=new))
        head = not git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")[0]
        self.fresh = self._anew(found, read_revision(git, "HEAD") if head else None)
        return found

    def history(self, wanted: str) -> Summary:
        """Scan every blob of the repository at the root, or those of a range; see ``History``.

        Raises:
            ScanError: if there is no such range, or git fails.
        """
        from secretkit.scan.history import History  # noqa: PLC0415 - one of four sources
        from secretkit.scan.store import open_repository  # noqa: PLC0415 - see above

        git = open_repository(self.settings.root)
        found = History(
            git,
            make_scanner=lambda: self.scanner,
            rules=self._rules,
            workers=workers(),
            cache=Path(self.settings.cache) if self.settings.cache else None,
            progress=self.settings.progress,
        ).scan(wanted)
        if ".." in wanted or "^" in wanted:
            found = self._without_old(git, wanted, found)
        if self._excluded is not None:
            excluded = self._excluded
            found = replace(
                found,
                findings=tuple(one for one in found.findings if not excluded(one.path)),
                accepted=tuple(one for one in found.accepted if not excluded(one.path)),
            )
        found = self.settled(found)
        old, dots, _ = wanted.partition("..")
        if dots:
            self.fresh = self._anew(found, read_revision(git, old or "HEAD"))
        return found

    def _without_old(self, git: Git, wanted: str, found: Summary) -> Summary:
        """Leave out what stood at its path before the range: a blob is scanned whole."""
        from secretkit.scan import staged as source  # noqa: PLC0415 - one of four sources
        from secretkit.scan.objects import Objects  # noqa: PLC0415 - see above
        from secretkit.scan.pushed import replaced  # noqa: PLC0415 - see above

        if not found.findings and not found.accepted:
            return found
        known = replaced(git, wanted)
        with Objects(git) as objects:
            means = source.Means(self.scanner, self._plain, objects)
            return replace(
                found,
                findings=source.without_old(found.findings, known, means=means),
                accepted=source.without_old(found.accepted, known, means=means),
            )

    def settled(self, summary: Summary) -> Summary:
        """Count only the acceptances that are honoured: what others accept is found."""
        honoured = self.settings.honoured
        kept = [one for one in summary.accepted if one.accepted in honoured]
        refused = [one for one in summary.accepted if one.accepted not in honoured]
        found = [*summary.findings, *(replace(one, accepted="") for one in refused)]
        return replace(summary, findings=ordered(found), accepted=ordered(kept))

    # What is accepted

    def _anew(self, summary: Summary, before: Baseline | None) -> tuple[Finding, ...]:
        """Give what was accepted by what this change itself brings."""
        known = {(one.fingerprint, one.path) for one in before.entries} if before else set()
        entries = [(self._located.entry(one, reason=""), one) for one in summary.accepted]
        return tuple(
            one
            for entry, one in entries
            if one.accepted == "comment" or (entry.fingerprint, entry.path) not in known
        )

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
        now = [replace(one, accepted="baseline") for one in dead]
        return replace(
            summary,
            findings=tuple(one for one in summary.findings if one.live is not None),
            accepted=ordered([*summary.accepted, *now]),
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


def _engine(settings: Settings) -> tuple[Sequence[Rule], Engine]:
    cache, notice = settings.cache, settings.notice
    if not settings.own_rules:
        return open_built_in(cache=cache, progress=notice)
    rules = (*built_in_rules(), *HINT_RULES, *settings.own_rules)
    return rules, open_engine(rules, cache=cache, progress=notice)


def excluding(patterns: Sequence[str]) -> Callable[[str], bool] | None:
    """Say of a path from the root whether it is left out; None where nothing is.

    Raises:
        ConfigError: for a pattern that cannot be read.
    """
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - 15 ms, and few give a pattern

    try:
        return GitIgnoreSpec.from_lines(patterns).match_file
    except ValueError:
        raise ConfigError(
            "a pattern to exclude cannot be read", hint="write it as in .gitignore: 'docs/*.svg'"
        ) from None
