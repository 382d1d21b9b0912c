"""Stage: runs one stage of git's hooks in full, and says what git is to do."""

from __future__ import annotations

import os
import posixpath
import sys
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record, replace
from secretkit.errors import ConfigError, ScanError, SecretkitError
from secretkit.scan.git import Git
from secretkit.scan.objects import Objects
from secretkit.scan.summary import Summary, total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretkit.scan.baseline import Baseline
    from secretkit.scan.engine import Engine
    from secretkit.scan.hook.glance import Glanced
    from secretkit.scan.live import LiveSecrets
    from secretkit.scan.pushed import Update
    from secretkit.scan.rule import Rule
    from secretkit.scan.scanner import Scanner
    from secretkit.scan.staged import Means, Staged

__all__ = ["STAGES", "Custom", "main"]

STAGES: Final = ("pre-commit", "pre-push", "pre-receive", "update")
_FOUND, _WRONG, _PARTLY = 1, 2, 3
_WHAT: Final = {"pre-commit": "commit", "pre-push": "push"}
_TO, _FROM, _REMOTE = "PRE_COMMIT_TO_REF", "PRE_COMMIT_FROM_REF", "PRE_COMMIT_REMOTE_NAME"


@record(kw_only=True)
class Custom:
    """What the user has set: rules of their own, live secrets, and what to leave out.

    ``excluded`` is asked with paths from the top of the work tree.
    """

    own_rules: Sequence[Rule] = ()
    live: LiveSecrets | None = None
    confidence: str = "medium"
    excluded: Callable[[str], bool] | None = None


def main(  # noqa: PLR0913 - one of them is what git says, the others are for those who know more
    stage: str,
    words: Sequence[str],
    *,
    program: str,
    environ: Mapping[str, str],
    custom: Custom | None = None,
    glanced: Glanced | None = None,
) -> int:
    """Run ``stage`` for git and give the exit code: 0 go on, 1 findings, 2 usage, 3 in part.

    ``words`` are what git gives the hook, or paths to scan before a commit. ``program`` is git.
    ``glanced`` is what has been looked at already, without ``custom`` settings.
    """
    if stage not in STAGES:
        sys.stderr.write(f"secretkit: there is no such hook: one of {', '.join(STAGES)}\n")
        return _WRONG
    try:
        git = Git(_here(), inherited=environ, program=program)
        work = _Stage(git, environ, custom or Custom())
        found = work.scan(stage, words) if glanced is None else work.go_on(glanced)
    except SecretkitError as error:
        return _failed(stage, error)
    return _report(stage, found)


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - no pathlib on the hook's way
    except OSError:
        raise ScanError("the current directory is gone", hint="cd somewhere that exists") from None


def _failed(stage: str, error: SecretkitError) -> int:
    what = _WHAT.get(stage, "push")
    sys.stderr.write(f"secretkit: this {what} is stopped: it was not scanned in full: {error}\n")
    sys.stderr.write(f"hint: {error.hint or 'run `secretkit hook selftest`'}\n")
    return _WRONG if isinstance(error, ConfigError) else _PARTLY


class _Stage:
    """One run: the repository, and the scanners for it."""

    def __init__(self, git: Git, environ: Mapping[str, str], custom: Custom) -> None:
        self._git, self._environ, self._custom = git, environ, custom

    def scan(self, stage: str, words: Sequence[str]) -> Summary:
        with Objects(self._git) as objects:
            if stage == "pre-commit":
                return self._commit(words, objects)
            from secretkit.scan.pushed import scan_pushed  # noqa: PLC0415 - not for a commit

            updates, remote = self._updates(stage, words)
            revision = next((update.new for update in updates if update.new), "")
            lacking = _lacking(remote) if stage == "pre-push" else ["--all"]
            found = scan_pushed(
                self._git, updates, lacking=lacking, means=self._means(revision, objects)
            )
        excluded = self._custom.excluded
        if excluded is None:
            return found
        return replace(
            found, findings=tuple(one for one in found.findings if not excluded(one.path))
        )

    def go_on(self, glanced: Glanced) -> Summary:
        """Scan what was doubtful at a glance. Most often no git is asked again."""
        from secretkit.scan.baseline import NAME, Baseline, parse  # noqa: PLC0415 - after a glance
        from secretkit.scan.engine.hyper import HyperscanEngine  # noqa: PLC0415 - as above
        from secretkit.scan.rule import lazy_rules  # noqa: PLC0415 - as above
        from secretkit.scan.staged import scan_staged  # noqa: PLC0415 - as above

        raw = glanced.baseline
        baseline = Baseline() if raw is None else parse(raw, file=f":{NAME}")
        held = {oid.decode("ascii"): data for oid, data in glanced.held.items()}
        with Objects(self._git, held=held) as objects:
            means = self._with(
                baseline, lazy_rules(glanced.pack), HyperscanEngine(glanced.scan), objects
            )
            found = scan_staged(_staged(glanced), means=means)
        return total([found, Summary(files=glanced.files, blobs=glanced.files, size=glanced.size)])

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
        wanted = frozenset(named) if paths else None
        excluded = self._custom.excluded
        if excluded is not None:
            named = {path: word for path, word in named.items() if not excluded(path)}
            kept = frozenset(one.path for one in what.changes if not excluded(one.path))
            wanted = kept if wanted is None else wanted & kept
        found = scan_staged(what, means=means, only=wanted)
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

        baseline = read_revision(self._git, revision)
        rules, engine = self._engine()
        return self._with(baseline, rules, engine, objects)

    def _engine(self) -> tuple[Sequence[Rule], Engine]:
        from secretkit.scan.engine import open_built_in, open_engine  # noqa: PLC0415 - as above
        from secretkit.scan.engine.cache import default_folder  # noqa: PLC0415 - as above

        cache = default_folder(self._environ)
        if not self._custom.own_rules:
            return open_built_in(cache=cache, progress=_progress)
        from secretkit.scan.decode.hint import HINT_RULES  # noqa: PLC0415 - few have own rules
        from secretkit.scan.rule import built_in_rules  # noqa: PLC0415 - as above

        rules = (*built_in_rules(), *HINT_RULES, *self._custom.own_rules)
        return rules, open_engine(rules, cache=cache, progress=_progress)

    def _with(
        self, baseline: Baseline, rules: Sequence[Rule], engine: Engine, objects: Objects
    ) -> Means:
        from secretkit.scan.fingerprint import Fingerprinter  # noqa: PLC0415 - after git answers
        from secretkit.scan.scanner import Scanner  # noqa: PLC0415 - as above
        from secretkit.scan.staged import Means  # noqa: PLC0415 - as above

        prints = Fingerprinter(baseline.keys or (os.urandom(32),))
        lowest = self._custom.confidence
        return Means(
            Scanner(
                rules,
                engine=engine,
                fingerprints=prints,
                acceptance=baseline,
                live=self._custom.live,
                lowest=lowest,
            ),
            Scanner(rules, engine=engine, fingerprints=prints, lowest=lowest),
            objects,
        )


def _staged(glanced: Glanced) -> Staged:
    from secretkit.scan.staged import Change, Staged  # noqa: PLC0415 - after a glance

    def path(name: bytes) -> str:
        return name.decode("utf-8", errors="surrogateescape")

    changes = tuple(
        Change(path(name), mode.decode(), old.decode(), new.decode(), "M")
        for name, mode, old, new in glanced.doubtful
    )
    known = tuple(dict.fromkeys((path(name), old.decode()) for name, old in glanced.known))
    return Staged(changes, known, 0)


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
        if os.path.islink(file):  # noqa: PTH114 - no pathlib on the hook's way
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
