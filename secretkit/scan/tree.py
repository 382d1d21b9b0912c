"""Tree: scans the files below directories, without being led out of them."""

from __future__ import annotations

import functools
import os
import stat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secretkit.scan.beneath import Beneath, open_file
from secretkit.scan.content import scan_descriptor, scan_text
from secretkit.scan.deadline import deadlines
from secretkit.scan.finding import Skipped
from secretkit.scan.git import Git
from secretkit.scan.pool import spread
from secretkit.scan.summary import NOTHING, Summary, Tally, from_plain, plain, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from secretkit.scan.scanner import Scanner

__all__ = ["scan_tree"]

_SHARE: Final = 128  # files a task
_FANNED: Final = 256  # directories to have before processes walk them on their own
_ALONE: Final = 64  # so few files are scanned before other processes have started
_GIT_FOLDER: Final = ".git"


class _Task(NamedTuple):
    """Files of one root by name, or everything below one directory of it."""

    root: int
    names: tuple[str, ...] = ()
    below: str | None = None


def scan_tree(
    roots: Sequence[Path],
    *,
    scanner: Scanner,
    workers: int = 1,
    excluded: Callable[[str], bool] = lambda _: False,
    progress: Callable[[int, int], None] = lambda _done, _tasks: None,
) -> Summary:
    """Scan files and directories and give what was found, with paths as ``roots`` name them.

    In a git work tree: what is tracked, and what is new and not ignored. Elsewhere, and in a
    directory of which git lists nothing: everything but ``.git``. A link is not followed: its
    target's name is scanned. ``excluded`` is asked about each path; ``progress`` is told how much
    of the work is done, in no particular unit.

    Raises:
        ScanError: if git cannot list a work tree, or a scanning process dies.
    """
    tasks: list[_Task] = []
    problems: list[Skipped] = []
    for number, root in enumerate(roots):
        tasks += _planned(number, root, problems)
    count = sum(len(task.names) + (_ALONE if task.below is not None else 0) for task in tasks)
    work = functools.partial(_work, roots=roots, scanner=scanner, excluded=excluded)
    parts = [Summary(skipped=tuple(problems))]
    for done, part in enumerate(spread(tasks, work, workers=workers if count > _ALONE else 1), 1):
        parts.append(from_plain(part))
        progress(done, len(tasks))
    return total(parts)


def _planned(number: int, root: Path, problems: list[Skipped]) -> list[_Task]:
    """Give the tasks for one root; what cannot be scanned at all joins ``problems``."""
    if not root.is_dir():
        return [_Task(number, (root.name,))]
    if root.is_symlink():
        problems.append(Skipped(path=str(root), reason="is a link: name what it leads to"))
        return []
    if _in_work_tree(root):
        wanted = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
        listed = {os.fsdecode(name) for name in Git(root).run(*wanted).split(b"\0") if name}
        if listed:  # none: the directory itself is ignored, and yet somebody asked for it
            return list(_shares(number, sorted(listed)))
    try:
        return _fanned(number, root)
    except OSError as error:
        problems.append(Skipped(path=str(root), reason=f"cannot be listed: {error.strerror}"))
        return []


def _in_work_tree(root: Path) -> bool:
    where = root.absolute()
    return any(os.path.lexists(above / _GIT_FOLDER) for above in (where, *where.parents))


def _shares(number: int, names: Sequence[str]) -> Iterator[_Task]:
    for at in range(0, len(names), _SHARE):
        yield _Task(number, tuple(names[at : at + _SHARE]))


def _fanned(number: int, root: Path) -> list[_Task]:
    """List directories from the top until there are enough to hand out."""
    folders, files = [""], list[str]()
    with Beneath(root) as beneath:
        at = 0
        while at < len(folders) and len(folders) - at < _FANNED:
            inner, leaves = _listed(beneath, folders[at])
            folders += inner
            files += leaves
            at += 1
    return [*_shares(number, files), *(_Task(number, below=name) for name in folders[at:])]


def _listed(beneath: Beneath, folder: str) -> tuple[list[str], list[str]]:
    """Give the directories and the files in ``folder``, by name from the root, sorted."""
    inner, leaves = [], []
    with os.scandir(beneath.folder(folder)) as entries:
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.is_dir(follow_symlinks=False):
                leaves.append(name)
            elif entry.name != _GIT_FOLDER:
                inner.append(name)
    return sorted(inner), sorted(leaves)


def _work(
    task: _Task, *, roots: Sequence[Path], scanner: Scanner, excluded: Callable[[str], bool]
) -> dict[str, Any]:
    root = roots[task.root]
    folder = root if root.is_dir() and not root.is_symlink() else root.parent
    try:
        with deadlines(), Beneath(folder) as beneath:
            run = _Run(beneath, str(folder / "_")[:-1], scanner, excluded, Tally())
            scanner.above = run.prefix if root.is_absolute() else ""
            return plain(run.task(task))
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}"
        return plain(Summary(skipped=(Skipped(path=str(root), reason=reason),)))


class _Run(NamedTuple):
    """Scans below one open root."""

    beneath: Beneath
    prefix: str
    scanner: Scanner
    excluded: Callable[[str], bool]
    tally: Tally

    def task(self, task: _Task) -> Summary:
        if task.below is not None:
            parts = list(self._below(task.below))
        else:
            parts = [part for name in task.names for part in self._named(name.rstrip("/"))]
        return total([*parts, self.tally.summary()])

    def _below(self, top: str) -> Iterator[Summary]:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                inner, leaves = _listed(self.beneath, folder)
            except OSError as error:
                yield self._skipped(folder, f"cannot be listed: {error.strerror}")
                continue
            waiting += reversed(inner)
            for name in leaves:
                yield from self._named(name)

    def _named(self, name: str) -> Iterable[Summary]:
        path = f"{self.prefix}{name}"
        if self.excluded(path):
            return ()
        folder, _, leaf = name.rpartition("/")
        try:
            inside = self.beneath.folder(folder)
        except OSError:
            return ()  # gone, or behind a link: git still knows it, but it is not in the tree
        try:
            descriptor = open_file(inside, leaf)
        except FileNotFoundError:
            return ()
        except OSError as error:
            return self._special(inside, leaf, path=path, error=error)
        facts = os.fstat(descriptor)
        if stat.S_ISDIR(facts.st_mode):  # a submodule, or a repository in this one
            os.close(descriptor)
            return self._below(name)
        found = scan_descriptor(
            descriptor, path=path, scanner=self.scanner, facts=facts, tally=self.tally
        )
        return () if found is NOTHING else (found,)

    def _special(self, inside: int, leaf: str, *, path: str, error: OSError) -> Iterable[Summary]:
        """Scan the target's name of a link; pass over sockets and devices; report the rest."""
        try:
            mode = os.stat(leaf, dir_fd=inside, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                target = os.fsencode(os.readlink(leaf, dir_fd=inside))
                result = scan_text(target, path=path, scanner=self.scanner)
                return (Summary(findings=result.findings, skipped=result.skipped),)
        except OSError:
            return ()
        if not stat.S_ISREG(mode):
            return ()
        reason = f"cannot be opened: {error.strerror}"
        return (Summary(skipped=(Skipped(path=path, reason=reason),)),)

    def _skipped(self, name: str, reason: str) -> Summary:
        return Summary(skipped=(Skipped(path=f"{self.prefix}{name}", reason=reason),))
