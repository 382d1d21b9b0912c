"""Stage: runs one stage of git's hooks in full, and says what git is to do."""

from __future__ import annotations

import os
import posixpath
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.record import replace
from secretkit.errors import ConfigError, ScanError, SecretkitError
from secretkit.scan.git import Git
from secretkit.scan.objects import Objects
from secretkit.scan.summary import Summary, total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.scan.pushed import Update
    from secretkit.scan.scanner import Scanner
    from secretkit.scan.staged import Means

__all__ = ["STAGES", "main"]

STAGES: Final = ("pre-commit", "pre-push", "pre-receive", "update")
_SURE: Final = frozenset({"medium", "high"})
_FOUND, _WRONG, _PARTLY = 1, 2, 3
_WHAT: Final = {"pre-commit": "commit", "pre-push": "push"}
_TO, _FROM, _REMOTE = "PRE_COMMIT_TO_REF", "PRE_COMMIT_FROM_REF", "PRE_COMMIT_REMOTE_NAME"


def main(stage: str, words: Sequence[str], *, program: str, environ: Mapping[str, str]) -> int:
    """Run ``stage`` for git and give the exit code: 0 go on, 1 findings, 2 usage, 3 in part.

    ``words`` are what git gives the hook, or paths to scan before a commit. ``program`` is git.
    """
    if stage not in STAGES:
        sys.stderr.write(f"secretkit: there is no such hook: one of {', '.join(STAGES)}\n")
        return _WRONG
    try:
        git = Git(Path.cwd(), inherited=environ, program=program)
        found = _settled(_Stage(git, environ).scan(stage, words))
    except SecretkitError as error:
        return _failed(stage, error)
    return _report(stage, found)


def _failed(stage: str, error: SecretkitError) -> int:
    what = _WHAT.get(stage, "push")
    sys.stderr.write(f"secretkit: this {what} is stopped: it was not scanned in full: {error}\n")
    sys.stderr.write(f"hint: {error.hint or 'run `secretkit hook selftest`'}\n")
    return _WRONG if isinstance(error, ConfigError) else _PARTLY


def _settled(found: Summary) -> Summary:
    return replace(found, findings=tuple(one for one in found.findings if one.confidence in _SURE))


class _Stage:
    """One run: the repository, and the scanners for it."""

    def __init__(self, git: Git, environ: Mapping[str, str]) -> None:
        self._git, self._environ = git, environ

    def scan(self, stage: str, words: Sequence[str]) -> Summary:
        with Objects(self._git) as objects:
            if stage == "pre-commit":
                return self._commit(words, objects)
            from secretkit.scan.pushed import scan_pushed  # noqa: PLC0415 - not for a commit

            updates, remote = self._updates(stage, words)
            revision = next((update.new for update in updates if update.new), "")
            lacking = _lacking(remote) if stage == "pre-push" else ["--all"]
            return scan_pushed(
                self._git, updates, lacking=lacking, means=self._means(revision, objects)
            )

    def _updates(self, stage: str, words: Sequence[str]) -> tuple[list[Update], str]:
        """Give what is pushed, and the name of the remote, if git or pre-commit says it."""
        from secretkit.scan import pushed  # noqa: PLC0415 - as above

        if stage == "update":
            ref, old, new = words[:3]
            return pushed.received_updates(os.fsencode(f"{old} {new} {ref}")), ""
        if stage == "pre-push" and _TO in self._environ:
            old, new = self._environ.get(_FROM, ""), self._environ[_TO]
            updates = pushed.range_updates(self._git, old=old, new=new)
            return updates, self._environ.get(_REMOTE, "")
        told = sys.stdin.buffer.read()
        if stage == "pre-push":
            return pushed.sent_updates(told), words[0] if words else ""
        return pushed.received_updates(told), ""

    def _commit(self, paths: Sequence[str], objects: Objects) -> Summary:
        from secretkit.scan.staged import scan_staged, staged  # noqa: PLC0415 - not for a push

        means, what = self._means("", objects), staged(self._git)
        named = self._from_top(paths)
        found = scan_staged(what, means=means, only=frozenset(named) if paths else None)
        rest = sorted(named.keys() - {one.path for one in what.changes})
        return total([found, *(_file(named[path], path, means.scanner) for path in rest)])

    def _from_top(self, paths: Sequence[str]) -> dict[str, str]:
        """Give each path as git names it, from the top of the work tree."""
        if not paths:
            return {}
        told = self._git.run("rev-parse", "--show-prefix")
        prefix = told.decode("utf-8", errors="surrogateescape").removesuffix("\n")
        return {posixpath.normpath(prefix + path): path for path in paths}

    def _means(self, revision: str, objects: Objects) -> Means:
        """Give what to scan with.

        The baseline counts as it stands in what is committed or pushed, not in the work tree.
        """
        from secretkit.scan.acceptance import read_revision  # noqa: PLC0415 - after git answers
        from secretkit.scan.engine import open_built_in  # noqa: PLC0415 - as above
        from secretkit.scan.engine.cache import default_folder  # noqa: PLC0415 - as above
        from secretkit.scan.fingerprint import Fingerprinter  # noqa: PLC0415 - as above
        from secretkit.scan.scanner import Scanner  # noqa: PLC0415 - as above
        from secretkit.scan.staged import Means  # noqa: PLC0415 - as above

        baseline = read_revision(self._git, revision)
        rules, engine = open_built_in(cache=default_folder(self._environ), progress=_progress)
        prints = Fingerprinter(baseline.keys or (os.urandom(32),))
        return Means(
            Scanner(rules, engine=engine, fingerprints=prints, acceptance=baseline),
            Scanner(rules, engine=engine, fingerprints=prints),
            objects,
        )


def _progress(text: str) -> None:
    sys.stderr.write(f"secretkit: {text}\n")
    sys.stderr.flush()


def _lacking(remote: str) -> list[str]:
    """Say for rev-list what was last seen at a remote; nothing of one that is given as a URL."""
    simple = remote and all(char.isalnum() or char in "._-" for char in remote)
    return [f"--remotes={remote}"] if simple else []


def _file(file: str, path: str, scanner: Scanner) -> Summary:
    """Scan a file of the work tree, which pre-commit names beside what is staged."""
    from secretkit.scan.content import scan_descriptor  # noqa: PLC0415 - for --all-files only

    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags)
    except OSError as error:
        if Path(file).is_symlink():
            return Summary()
        raise ScanError(
            f"a file to scan cannot be opened: {error.strerror}", hint="name files that are there"
        ) from None
    return scan_descriptor(descriptor, path=path, scanner=scanner)


def _report(stage: str, found: Summary) -> int:
    from secretkit.scan.report import Report  # noqa: PLC0415 - after the scan
    from secretkit.scan.report.text import render, told  # noqa: PLC0415 - as above

    sys.stderr.writelines(f"secretkit: {line}\n" for line in told(found.accepted))
    what = _WHAT.get(stage, "push")
    if found.findings or found.skipped:
        sys.stderr.write(render(Report(summary=found)))
        if found.findings:
            number = len(found.findings)
            keys = "1 leaked key" if number == 1 else f"{number} leaked keys"
            sys.stderr.write(f"secretkit: this {what} is stopped: {keys}\n")
            sys.stderr.write(_UNSTAGE if stage == "pre-commit" else _REWRITE)
            return _FOUND
        sys.stderr.write(f"secretkit: this {what} is stopped: it was not scanned in full\n")
        return _PARTLY
    sys.stderr.write(f"secretkit: {_counted(found)}\n")
    return 0


_UNSTAGE: Final = (
    "Take it out of the file and `git add` it again, or unstage it: git restore --staged FILE\n"
    "What is accepted counts once it is staged too: git add .secretkit-baseline\n"
)
_REWRITE: Final = (
    "Revoke it: whoever gets the commits has it. Then take it out of every commit named above, "
    "with git rebase -i, and push again\n"
)


def _counted(found: Summary) -> str:
    if not found.files:
        return "nothing new, nothing scanned"
    size = found.size
    shown = f"{size} bytes" if size < 1000 else f"{(size + 500) // 1000:,} kB"  # noqa: PLR2004
    files = "1 file" if found.files == 1 else f"{found.files} files"
    accepted = f", {len(found.accepted)} accepted" if found.accepted else ""
    return f"{files}, {shown} scanned, no leaked keys{accepted}"
