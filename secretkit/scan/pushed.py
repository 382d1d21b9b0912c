"""Pushed: what a push brings that the other side does not have, and the leaked keys in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.core.record import replace
from secretkit.errors import ScanError
from secretkit.scan.staged import changes, without_old
from secretkit.scan.summary import Summary, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretkit.scan.git import Git
    from secretkit.scan.staged import Change, Means

__all__ = [
    "Update",
    "range_updates",
    "received_updates",
    "replaced",
    "scan_pushed",
    "sent_updates",
]

_HEX: Final = frozenset("0123456789abcdef")
_BLOB: Final = b"blob"
_HINT: Final = "run `git fsck`"
_UNNAMED: Final = "(no path)"


class Update(NamedTuple):
    """One reference that a push moves, and the objects before and after; "" for none."""

    ref: str
    old: str
    new: str


class _Brought(NamedTuple):
    """A blob that a push brings: where it stands, and in which commit it first does."""

    oid: str
    path: str
    commit: str | None


def sent_updates(told: bytes) -> list[Update]:
    """Read what git tells pre-push: local reference and object, remote reference and object.

    Raises:
        ScanError: for anything else.
    """
    return [
        Update(words[2], _object(words[3]), _object(words[1])) for words in _lines(told, width=4)
    ]


def received_updates(told: bytes) -> list[Update]:
    """Read what git tells pre-receive: old object, new object, reference.

    Raises:
        ScanError: for anything else.
    """
    return [
        Update(words[2], _object(words[0]), _object(words[1])) for words in _lines(told, width=3)
    ]


def range_updates(git: Git, *, old: str, new: str) -> list[Update]:
    """Give the update from one revision to another, as a person names them; ``old`` may be "".

    Raises:
        ScanError: if there is no such revision.
    """
    return [Update(new, _resolved(git, old) if old else "", _resolved(git, new))]


def _resolved(git: Git, name: str) -> str:
    if not name.strip("0"):
        return ""
    words = ("--verify", "--quiet", "--end-of-options", name)
    code, told = git.ask("rev-parse", *words)
    if code:
        raise ScanError("there is no such revision", hint="git log --oneline")
    return told.decode("ascii").strip()


def _lines(told: bytes, *, width: int) -> Iterator[list[str]]:
    for line in told.decode("utf-8", errors="surrogateescape").splitlines():
        words = line.split(" ")
        if len(words) < width:
            raise ScanError("git did not say what is pushed", hint="let git run this hook")
        # Only the first word of pre-push may hold spaces: an expression like HEAD@{1 day ago}.
        yield words[-width:]


def _object(name: str) -> str:
    if not _HEX.issuperset(name) or len(name) not in {40, 64}:
        raise ScanError("git did not say what is pushed", hint="let git run this hook")
    return name.strip("0") and name


def scan_pushed(
    git: Git,
    updates: Sequence[Update],
    *,
    lacking: Sequence[str],
    means: Means,
) -> Summary:
    """Scan every blob that the other side gets; a finding names the first commit that has it.

    A secret that a later commit of the same push takes out again is still brought, and found; one
    that the other side holds already, at a path that changes, is not. ``lacking`` says what the
    other side has, in the words of ``git rev-list --not``: ``--remotes=origin`` or ``--all``.

    Raises:
        ScanError: if git fails.
    """
    wanted = [update for update in updates if update.new]
    if not wanted:
        return Summary()
    blobs, known, commits = _brought(git, _range(git, wanted, lacking))
    parts = [
        means.objects.scan(one.oid, path=one.path, scanner=means.scanner, commit=one.commit)
        for one in blobs
    ]
    found = total([*parts, Summary(commits=commits)])
    if blobs and not found.files and not found.skipped:
        raise ScanError("there are new files, and none was scanned", hint=_HINT)
    return replace(found, findings=without_old(found.findings, known, means=means))


def replaced(git: Git, revisions: str) -> list[tuple[str, str]]:
    """Give (path, blob) of what stood where a range brings something new: ``main..topic``.

    Raises:
        ScanError: if git fails.
    """
    return _brought(git, ["--end-of-options", *revisions.split()])[1]


def _range(git: Git, updates: Sequence[Update], lacking: Sequence[str]) -> list[str]:
    """Give the arguments of rev-list; an old object that is not here cannot be left out."""
    olds = dict.fromkeys(update.old for update in updates if update.old)
    here = [old for old in olds if not git.ask("cat-file", "-e", old)[0]]
    return [*dict.fromkeys(update.new for update in updates), "--not", *here, *lacking]


def _brought(git: Git, wanted: Sequence[str]) -> tuple[list[_Brought], list[tuple[str, str]], int]:
    """Give the new blobs in order of commits, the old blobs at their paths, and how many commits.

    Which blobs are new is what rev-list says; where they stand, what diff-tree says.
    """
    options = ("--objects", "--missing=allow-any")
    named = _named(git.run("rev-list", *options, *wanted, "--"))
    commits = git.run("rev-list", "--reverse", "--topo-order", *wanted, "--")
    blobs: dict[str, _Brought] = {}
    known: dict[tuple[str, str], None] = {}
    for commit, change in _differences(git, commits):
        if change.new in named and change.mode != "160000":
            blobs.setdefault(change.new, _Brought(change.new, change.path, commit))
        if change.old and change.old not in named:
            known[change.path, change.old] = None
    rest = [oid for oid in named if oid not in blobs]
    for oid in _blobs_of(git, rest):
        blobs[oid] = _Brought(oid, named[oid] or _UNNAMED, None)
    return list(blobs.values()), list(known), commits.count(b"\n")


def _named(told: bytes) -> dict[str, str]:
    """Give the path of each object, "" for a commit, from what rev-list prints."""
    found: dict[str, str] = {}
    for line in told.decode("utf-8", errors="surrogateescape").split("\n"):
        oid, _, path = line.partition(" ")
        if oid:
            found.setdefault(oid, path)  # git cuts a path at a line break
    return found


def _differences(git: Git, commits: bytes) -> Iterator[tuple[str, Change]]:
    """Give each commit and what it changes against each of its parents."""
    options = ("--stdin", "-r", "-m", "--root", "--raw", "-z", "--no-renames", "--no-abbrev")
    commit, told = "", git.run("diff-tree", *options, stdin=commits)
    fields = told.split(b"\0")
    at = 0
    while at < len(fields) - 1:
        if fields[at].startswith(b":"):
            change = changes(b"\0".join((*fields[at : at + 2], b"")))
            yield commit, change[0]
            at += 2
        else:
            commit, at = fields[at].decode("ascii", errors="replace").split(" ")[0], at + 1


def _blobs_of(git: Git, oids: Sequence[str]) -> list[str]:
    """Give those objects that are blobs."""
    if not oids:
        return []
    asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
    words = ("--batch-check=%(objecttype) %(objectname)", "--buffer")
    told = git.run("cat-file", *words, stdin=asked)
    pairs = (line.split(b" ") for line in told.splitlines())
    return [words[1].decode("ascii") for words in pairs if words[0] == _BLOB]
