"""What ``secretkit scan`` does: settings from options and configuration, then scan and report."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from secretkit import __version__
from secretkit.cli import exits
from secretkit.cli.live import known_secrets
from secretkit.cli.output import is_terminal
from secretkit.cli.progress import progress
from secretkit.cli.table import ScanTable
from secretkit.config.place import state_dir
from secretkit.core.record import replace
from secretkit.errors import ConfigError, ScanError
from secretkit.scan.acceptance import read_baseline, read_revision
from secretkit.scan.baseline import NAME, Baseline
from secretkit.scan.engine.cache import default_folder
from secretkit.scan.finding import Skipped
from secretkit.scan.git import Git
from secretkit.scan.keyfile import user_key
from secretkit.scan.report import Report, render
from secretkit.scan.report.shown import shown
from secretkit.scan.report.text import counts, lines, told
from secretkit.scan.run import EVERYTHING, Run, Settings, root_of
from secretkit.scan.store import open_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretkit.cli.session import Session
    from secretkit.scan.summary import Summary

__all__ = ["Scanning"]

_LARGEST_INPUT: Final = 128 << 20
_SHOWN: Final = 10


class Scanning:
    """One run of the command."""

    def __init__(self, session: Session, options: Mapping[str, Any]) -> None:
        self._session = session
        self._options = options
        self._config = session.toolkit.config
        self._root = root_of(self._paths()[0])

    def run(self) -> int:
        """Scan, report, and give the exit code."""
        self._check_repository()
        started = time.monotonic()
        with progress(self._session, title="scanning") as step:
            run = Run(self._settings(step))
            summary = self._scan(run)
        if self._options["accept"]:
            summary = self._accept(run, summary)
        seconds = time.monotonic() - started
        report = Report(summary=summary, seconds=seconds, version=__version__)
        self._write(report)
        self._session.say(counts(report))
        self._tell_fresh(run)
        self._tell_unused(run, summary)
        return exits.CHECK_FAILED if summary.findings else self._complete(summary)

    def _complete(self, summary: Summary) -> int:
        return exits.INCOMPLETE if summary.skipped else exits.OK

    # What to scan, and how

    def _paths(self) -> Sequence[Path]:
        given: Sequence[Path] = self._options["paths"]
        return given or (Path(),)

    def _check_repository(self) -> None:
        """Refuse a mode that needs a repository where there is none."""
        if not (self._of_git() or self._options["base"]) or (self._root / ".git").exists():
            return
        if open_repository(self._root).ask("rev-parse", "--git-dir")[0]:
            raise ConfigError(
                f"there is no git repository in {shown(str(self._root))}",
                hint="name one: secretkit scan PATH --history",
            )

    def _settings(self, step: Callable[[int, int], None]) -> Settings:
        table = ScanTable(self._config)
        confidence = table.confidence(self._options["confidence"])
        baseline = self._baseline()
        return Settings(
            root=self._root,
            here=self._root if self._of_git() else self._session.cwd,
            baseline=baseline,
            key=self._key(baseline),
            own_rules=table.rules(self._options["rules"], say=self._session.say),
            live=known_secrets(self._session),
            cache=default_folder(self._session.environ),
            notice=self._session.say,
            progress=step,
            honoured=self._honoured(),
            confidence=confidence,
            exclude=(*table.listed("exclude"), *self._options["exclude"]),
        )

    def _honoured(self) -> frozenset[str]:
        if self._options["no_accepted"]:
            return frozenset()
        return frozenset({"baseline"}) if self._options["base"] else EVERYTHING

    # What is accepted

    def _file(self) -> Path:
        given: Path | None = self._options["baseline"]
        return given or self._root / NAME

    def _baseline(self) -> Baseline:
        base = self._options["base"]
        if base:
            return read_revision(open_repository(self._root), base)
        given = self._options["baseline"]
        if given is not None and not self._options["accept"] and not given.exists():
            raise ConfigError("there is no such file", file=str(given), hint="--baseline FILE")
        if self._options["staged"] and given is None:
            return read_revision(Git(self._root), "")  # what is staged, as for all else
        if self._options["history"] is not None and not (self._root / ".git").exists():
            return read_revision(open_repository(self._root), "HEAD")  # a bare one has no files
        return read_baseline(self._file())

    def _key(self, baseline: Baseline) -> bytes:
        if baseline.keys:
            return baseline.keys[0]
        if self._options["accept"]:
            return os.urandom(32)
        try:
            return user_key(state_dir(self._session.environ))
        except ScanError as error:
            self._session.say(f"fingerprints hold for this run only: {error}")
            return os.urandom(32)

    def _accept(self, run: Run, summary: Summary) -> Summary:
        before = len(summary.findings)
        left = run.accept(summary, reason=self._options["reason"], file=self._file())
        count = before - len(left.findings)
        if count:
            self._session.say(
                f"{count} accepted in {shown(str(self._file()))}: commit it, with .gitattributes"
            )
        return left

    def _tell_fresh(self, run: Run) -> None:
        """Name what is accepted by the very change that brings it: somebody should look."""
        for line in told(run.fresh):
            self._session.say(f"in this very change {line}")

    def _tell_unused(self, run: Run, summary: Summary) -> None:
        """Name the entries of the baseline that nothing needed in a scan of the whole tree."""
        whole = self._paths() == (Path(),) and Path.cwd() == self._root
        whole = whole and not self._options["no_accepted"]  # which asks for no entry
        if self._of_git() or self._options["stdin"] or run.settings.exclude or summary.skipped:
            return
        if not whole:
            return
        unused = run.unused(summary)
        for one in unused[:_SHOWN]:
            self._session.say(f"not needed for this tree: {NAME}: {one.path}  # {one.reason}")
        if len(unused) > _SHOWN:
            self._session.say(f"… and {len(unused) - _SHOWN} more")

    # Scan and report

    def _scan(self, run: Run) -> Summary:
        if self._options["stdin"]:
            return self._stdin(run)
        if self._options["staged"]:
            return run.staged()
        if self._options["history"] is not None:
            return run.history(self._options["history"])
        return run.tree(self._paths())

    def _of_git(self) -> bool:
        """Say whether paths come from git, which counts them from the top."""
        return self._options["staged"] or self._options["history"] is not None

    def _stdin(self, run: Run) -> Summary:
        name = self._options["name"] or "stdin"
        data = sys.stdin.buffer.read(_LARGEST_INPUT)
        found = run.text(data, path=name)
        if not sys.stdin.buffer.read(1):
            return found
        reason = f"only the first {_LARGEST_INPUT >> 20} MiB were scanned"
        return replace(found, skipped=(*found.skipped, Skipped(path=name, reason=reason)))

    def _write(self, report: Report) -> None:
        form = self._options["form"] or ("json" if self._session.json else "text")
        output: Path | None = self._options["output"]
        if output is not None:
            _write_file(output, render(report, form=form))
        elif form == "text" and is_terminal():
            from secretkit.cli.styled import print_styled  # noqa: PLC0415 - a terminal only

            print_styled(lines(report), color=self._session.color)
        else:
            sys.stdout.write(render(report, form=form))


def _write_file(file: Path, text: str) -> None:
    """Write a report, at once where the target is a file or not there; else into what it is."""
    try:
        if file.exists() and not stat.S_ISREG(file.stat().st_mode):
            file.write_text(text, encoding="utf-8")  # a pipe, or /dev/stdout
            return
        draft = file.with_name(f".{file.name}.{os.urandom(8).hex()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written: {error.strerror}", file=str(file), hint="--output FILE"
        ) from None
