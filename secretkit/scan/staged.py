"""Staged: what is about to be committed, and which leaked keys in it were not there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.record import record, replace
from secretkit.errors import ScanError
from secretkit.scan.finding import Skipped
from secretkit.scan.summary import Summary, total

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from secretkit.scan.finding import Finding
    from secretkit.scan.git import Git
    from secretkit.scan.objects import Objects
    from secretkit.scan.scanner import Scanner

__all__ = ["Change", "Means", "Staged", "changes", "scan_staged", "staged", "without_old"]

_EMPTY_TREE: Final = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_GITLINK: Final = "160000"
_WORDS: Final = 5  # before a path: modes, ids, status
_UNMERGED: Final = "U"
_MOST_OLD: Final = 64 << 20  # bytes of old content read to see whether a finding is new


@record()
class Change:
    """One path whose content changes: from which blob to which, "" for none."""

    path: str
    mode: str
    old: str
    new: str
    status: str


@record()
class Staged:
    """What is about to be committed.

    ``changes`` are the paths that will hold content that no parent of the commit holds there;
    ``known`` are the paths that change and the blobs that the parents hold there.
    """

    changes: tuple[Change, ...]
    known: tuple[tuple[str, str], ...]
    submodules: int


@record()
class Means:
    """What a scan of git's objects is done with; ``plain`` knows of no accepted findings."""

    scanner: Scanner
    plain: Scanner
    objects: Objects


def changes(raw: bytes) -> list[Change]:
    """Read what ``git diff-index --raw -z --no-renames --no-abbrev`` or ``diff-tree`` prints.

    Raises:
        ScanError: for anything else.
    """
    fields = raw.split(b"\0")
    found: list[Change] = []
    for about, path in zip(fields[::2], fields[1::2], strict=False):
        words = about.decode("ascii", errors="replace").split(" ")
        if len(words) != _WORDS or not words[0].startswith(":"):
            raise ScanError("git printed what is no list of changes", hint="run `git fsck`")
        _, mode, old, new, status = words
        shown = path.decode("utf-8", errors="surrogateescape")
        found.append(Change(shown, mode, old.strip("0") and old, new.strip("0") and new, status))
    return found


def staged(git: Git) -> Staged:
    """Give what is about to be committed. Reads the index, never the work tree.

    Raises:
        ScanError: if git fails.
    """
    parents = _parents(git)
    per_parent = [_against(git, parent) for parent in parents]
    first, *others = per_parent
    elsewhere = [{change.path for change in other} for other in others]
    fresh = [change for change in first if all(change.path in other for other in elsewhere)]
    kept = {change.path for change in fresh}
    known = [(one.path, one.old) for listed in per_parent for one in listed if one.old]
    # What is identical in one of the parents of a merge comes from there.
    known += [(one.path, one.new) for one in first if one.new and one.path not in kept]
    content = [change for change in fresh if change.mode != _GITLINK and _brings(change)]
    return Staged(
        tuple(content),
        tuple(dict.fromkeys(known)),
        sum(change.mode == _GITLINK for change in fresh),
    )


def _brings(change: Change) -> bool:
    """Say whether there is content to look at: not for what is deleted or only changes mode."""
    return change.status == _UNMERGED or bool(change.new and change.new != change.old)


def _against(git: Git, parent: str) -> list[Change]:
    options = ("--cached", "--raw", "-z", "--no-renames", "--no-abbrev")
    told = git.run("diff-index", *options, "--ita-invisible-in-index", parent, "--")
    return changes(told)


def _parents(git: Git) -> list[str]:
    """Give the parents of the commit to be made, HEAD first; the empty tree if there is none."""
    code, told = git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if code:
        _, kind = git.ask("rev-parse", "--show-object-format")
        if git.ask("symbolic-ref", "--quiet", "HEAD")[0]:
            raise ScanError("HEAD is neither a branch nor a commit", hint="run `git status`")
        return [_EMPTY_TREE.get(kind.decode().strip(), _EMPTY_TREE["sha1"])]
    return [told.decode().strip(), *_merged(git)]


def _merged(git: Git) -> list[str]:
    """Give the commits that are being merged; more than one in an octopus."""
    path = git.run("rev-parse", "--git-path", "MERGE_HEAD").decode("utf-8", "surrogateescape")
    try:
        text = (git.folder / path.removesuffix("\n")).read_text("ascii")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ScanError(f"MERGE_HEAD cannot be read: {type(error).__name__}") from None
    return [_commit(git, name) for name in text.split()]


def _commit(git: Git, name: str) -> str:
    words = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return git.run("rev-parse", *words).decode().strip()


def scan_staged(
    what: Staged,
    *,
    means: Means,
    only: Collection[str] | None = None,
) -> Summary:
    """Scan what is about to be committed and give the findings that it adds.

    A finding counts if no parent of the commit holds the same secret in a path that this commit
    changes or deletes: a moved file is not a new leak. Which rule found it does not matter.
    ``only`` limits the scan to these paths. A submodule is another repository, and is not entered.

    Raises:
        ScanError: if git fails.
    """
    wanted = [one for one in what.changes if only is None or one.path in only]
    found = total(_scan(change, means) for change in wanted)
    if wanted and not found.files and not found.skipped:
        raise ScanError("there are staged files, and none was scanned", hint="run `git fsck`")
    return replace(found, findings=without_old(found.findings, what.known, means=means))


def _scan(change: Change, means: Means) -> Summary:
    if change.status == _UNMERGED:
        reason = "is in conflict: nothing is staged for it"
        return Summary(skipped=(Skipped(path=change.path, reason=reason),))
    return means.objects.scan(change.new, path=change.path, scanner=means.scanner)


def without_old(
    findings: Sequence[Finding],
    known: Sequence[tuple[str, str]],
    *,
    means: Means,
) -> tuple[Finding, ...]:
    """Drop the findings whose secret is in one of the ``known`` blobs, (path, id) each.

    Reads at most 64 MiB of them, those at the very paths of the findings first; what it did not
    come to is not dropped.
    """
    fresh = {one.fingerprint for one in findings}
    paths = {one.path.partition("!")[0] for one in findings}
    left = _MOST_OLD
    for path, oid in sorted(known, key=lambda one: one[0] not in paths):
        if not fresh or left <= 0:
            break
        old = means.objects.scan(oid, path=path, scanner=means.plain)
        left -= old.size
        fresh -= {one.fingerprint for one in old.findings}
    return tuple(one for one in findings if one.fingerprint in fresh)
