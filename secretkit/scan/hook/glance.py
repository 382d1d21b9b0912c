"""Glance: looks through what is staged and says that it is clean, or that it cannot tell.

This is the way of nearly every commit, so it imports nothing that the interpreter has not loaded:
no re, no subprocess, no pathlib. Whatever is out of the ordinary, the answer is "cannot tell", and
:mod:`secretkit.scan.hook.stage` looks again, in full.
"""

# pathlib is not loaded here.
from __future__ import annotations

import os

from secretkit.scan.engine import cache, native
from secretkit.scan.hardening import HARDENED, environment
from secretkit.scan.hook.child import Child, Unclear
from secretkit.scan.hook.doubt import Doubt, packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from secretkit.scan.engine.pack import Pack

__all__ = ["Glanced", "glance"]

_MOST_FILES = 1000
_BASELINE = b":.secretkit-baseline"  # as it is staged
_CHANGE = 5  # words before a path: modes, ids, status
_GITLINK = b"160000"


class Glanced:
    """What was seen of a commit that is not plainly clean, so that nothing is done twice.

    ``doubtful`` are the changes to scan in full, as (path, mode, old, new) in bytes, and ``known``
    the paths and blobs of the parent that the commit changes. ``files`` and ``size`` count what
    was clean. ``held`` has blobs by id, ``baseline`` the content of the one in the index.
    """

    def __init__(self, scan: Callable[..., Any], pack: Pack) -> None:
        self.scan, self.pack = scan, pack
        self.doubtful: list[tuple[bytes, bytes, bytes, bytes]] = []
        self.known: list[tuple[bytes, bytes]] = []
        self.held: dict[bytes, bytes] = {}
        self.baseline: bytes | None = None
        self.files = self.size = 0


def glance(
    *, program: str, paths: list[str], environ: Mapping[str, str], only: Sequence[str] = ()
) -> str | Glanced:
    """Give one line about a clean commit; for any other, what was seen of it.

    ``program`` is git's absolute path, ``paths`` are where hyperscan may be installed. ``only``
    are the files to look at, from the top of the work tree; without them it is all of them.

    Raises:
        Unclear, OSError, ValueError: if it cannot be said what is staged, or not cheaply.
    """
    command, env = (program, *HARDENED), environment(environ)
    listing = Child((*command, "diff-index", *_OPTIONS, "HEAD", "--"), env)
    objects = Child((*command, "cat-file", "--batch"), env)
    try:
        objects.ask(b"MERGE_HEAD\n" + _BASELINE + b"\n")
        seen = Glanced(*_engine(paths, environ))
        changes = _changes(listing.everything(), seen)
        if only:
            changes = _named(changes, only)
        if objects.answer(b"MERGE_HEAD") is not None:
            raise Unclear("merge")
        seen.baseline = objects.answer(_BASELINE)
        _look(changes, objects, seen)
    finally:
        listing.end()
        objects.end()
    if seen.doubtful:
        return seen
    if not changes:
        return "secretkit: nothing staged, nothing scanned"
    files = "1 file" if len(changes) == 1 else f"{len(changes)} files"
    return f"secretkit: {files}, {_size(seen.size)} scanned, no leaked keys"


_OPTIONS = ("--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ita-invisible-in-index")


def _named(
    changes: list[tuple[bytes, bytes, bytes, bytes]], only: Sequence[str]
) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """Give the changes of the files that are named, if each of these is one."""
    names = {os.fsencode(name) for name in only}
    kept = [one for one in changes if one[0] in names]
    if len(kept) != len(names) or not os.path.lexists(".git"):
        raise Unclear("a file that is not staged is named")
    return kept


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{(count + 500) // 1000:,} kB"  # noqa: PLR2004


def _engine(paths: list[str], environ: Mapping[str, str]) -> tuple[Callable[..., Any], Pack]:
    extension, folder = native.find(paths), cache.default_folder(environ)
    key = cache.built_in_key(extension) if extension else None
    pack = cache.read(folder, key=key) if folder and key else None
    module = native.load(extension) if extension and pack else None
    scan = native.open_database(module, pack.database) if module and pack else None
    if scan is None or pack is None:
        raise Unclear("no compiled rules")
    return scan, pack


def _changes(raw: bytes, seen: Glanced) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """Give path, mode, old and new blob of every path that gets new content."""
    fields = raw.split(b"\0")
    if len(fields) // 2 > _MOST_FILES:
        raise Unclear("many files")
    found = []
    for about, path in zip(fields[::2], fields[1::2], strict=False):
        words = about.split(b" ")
        if len(words) != _CHANGE or not words[0].startswith(b":") or words[4] == b"U":
            raise Unclear("an unknown kind of change")
        _, mode, old, new, _ = words
        old = old.strip(b"0") and old
        if old:
            seen.known.append((path, old))
        if mode != _GITLINK and new.strip(b"0") and new != old:
            found.append((path, mode, old, new))
    return found


def _look(changes: list[tuple[bytes, bytes, bytes, bytes]], objects: Child, seen: Glanced) -> None:
    """Scan the new blobs; tell what is clean from what is doubtful."""
    doubt = Doubt(seen.scan, seen.pack)
    # Asked for at once, the old one behind the new one: git unpacks while this process scans.
    blobs = objects.blobs([one for change in changes for one in change[3:1:-1] if one])
    for change, data in ((change, next(blobs)) for change in changes):
        before = b""
        if change[2]:
            before = seen.held[change[2]] = next(blobs)
        seen.files, seen.size = seen.files + 1, seen.size + len(data)
        if packed(data, path=change[0]) or doubt.of(data, before=before):
            _doubt(change, data, seen)


def _doubt(change: tuple[bytes, bytes, bytes, bytes], data: bytes, seen: Glanced) -> None:
    seen.files, seen.size = seen.files - 1, seen.size - len(data)
    seen.held[change[3]] = data
    seen.doubtful.append(change)
