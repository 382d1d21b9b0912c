"""Share: the parts that a scan of history is split into, and what a worker does with one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from secretkit.scan.chain import Chain
from secretkit.scan.loose import read_loose
from secretkit.scan.objects import WHOLE_BLOB, Objects
from secretkit.scan.packfile import DamageError
from secretkit.scan.stream import blobs
from secretkit.scan.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretkit.scan.git import Git
    from secretkit.scan.packfile import Pack
    from secretkit.scan.scanner import Scanner
    from secretkit.scan.summary import Summary
    from secretkit.scan.window import Looker

__all__ = ["Chosen", "Share", "Work", "shares"]

_SHARES: Final = 400  # of each source: small enough that workers end together
_AT_ONCE: Final = 2000  # objects that one git gives: it costs 5 ms to start


class Share(NamedTuple):
    """``[start, stop)`` of a source: the number of a pack, ``loose``, or ``git``."""

    source: int | str
    start: int
    stop: int


class Chosen(NamedTuple):
    """A blob to report on, and where it first was."""

    oid: str
    path: str
    commit: str | None


def shares(source: int | str, count: int, *, most: int = _AT_ONCE) -> list[Share]:
    """Split ``count`` things into shares of at most ``most``, 400 or more if there are as many."""
    size = max(1, min(most, count // _SHARES))
    return [Share(source, at, min(at + size, count)) for at in range(0, count, size)]


class Work:
    """What workers are forked with: all sources, opened, and a scanner. Give it shares."""

    def __init__(
        self, git: Git, *, scanner: Scanner, looker: Looker, known: Callable[[bytes], bool] | None
    ) -> None:
        self._git = git
        self._scanner = scanner
        self._looker = looker
        self._known = known
        self._objects: tuple[int, Objects] | None = None
        self.packs: Sequence[Pack] = ()
        self.folder = -1  # a descriptor of the directory of objects
        self.loose: Sequence[str] = ()
        self.listed: Sequence[str] = ()

    def look(self, share: Share) -> dict[str, Any]:
        """Give the plain form of a :class:`~secretkit.scan.tally.Tally` of one share."""
        tally, read = Tally(), self._looker.read
        if share.source == "loose":
            self._look_at_loose(share, tally)
        elif share.source == "git":
            self._look_at_listed(share, tally)
        else:
            self._look_at_pack(int(share.source), share, tally)
        tally.read = self._looker.read - read
        return tally.plain()

    def _look_at_pack(self, number: int, share: Share, tally: Tally) -> None:
        pack, before = self.packs[number], self.packs[:number]

        def known(oid: bytes) -> bool:
            return (self._known is not None and self._known(oid)) or any(
                earlier.holds(oid) for earlier in before
            )

        asked = known if before or self._known is not None else None
        chain = Chain(pack, looker=self._looker, tally=tally, known=asked)
        for root in pack.roots[share.start : share.stop]:
            chain.walk(root)

    def _look_at_loose(self, share: Share, tally: Tally) -> None:
        for oid in self.loose[share.start : share.stop]:
            try:
                kind, data = read_loose(self.folder, oid)
            except DamageError:
                tally.left.append(oid)
                continue
            if kind == "blob":
                tally.add(bytes.fromhex(oid), len(data), self._looker.whole(data))
            elif kind == "commit":
                tally.commits += 1

    def _look_at_listed(self, share: Share, tally: Tally) -> None:
        wanted = self.listed[share.start : share.stop]
        for one in blobs(self._git, wanted, most=WHOLE_BLOB):
            if one.reason:
                tally.failed.append((one.oid, one.reason))
            elif one.kind != "blob":
                tally.commits += one.kind == "commit"
            elif one.data is not None:
                tally.add(bytes.fromhex(one.oid), one.size, self._looker.whole(one.data))
            else:
                self._look_at_large(one.oid, one.size, tally)

    def _look_at_large(self, oid: str, size: int, tally: Tally) -> None:
        found = self._opened().scan(oid, path="", scanner=self._scanner)
        tally.blobs += 1
        tally.size += size
        tally.read += size
        seen = (*found.findings, *found.accepted)
        tally.hits += [(oid, one.rule, one.fingerprint) for one in seen]
        tally.failed += [(oid, one.reason) for one in found.skipped]

    def report(self, chosen: Chosen) -> Summary:
        """Scan one blob as a whole, under the path and the commit that brought it."""
        return self._opened().scan(
            chosen.oid, path=chosen.path, scanner=self._scanner, commit=chosen.commit
        )

    def _opened(self) -> Objects:
        """Give this process its own git: one that was forked with it is its parent's."""
        if self._objects is None or self._objects[0] != os.getpid():
            self._objects = os.getpid(), Objects(self._git)
        return self._objects[1]

    def close(self) -> None:
        """Close what this process has opened."""
        for pack in self.packs:
            pack.close()
        if self._objects is not None and self._objects[0] == os.getpid():
            self._objects[1].close()
        if self.folder >= 0:
            os.close(self.folder)
