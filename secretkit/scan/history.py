"""History: scans every blob of a repository once, and says which commit brought what it finds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from secretkit.errors import ScanError
from secretkit.scan.beneath import open_file
from secretkit.scan.choice import choose, first, once, shown_path
from secretkit.scan.finding import Skipped
from secretkit.scan.loose import files, walk_loose
from secretkit.scan.origin import first_places, listing, revisions
from secretkit.scan.packfile import BLOB, COMMIT, DamageError, Pack
from secretkit.scan.pool import spread
from secretkit.scan.recall import Memory, Recalled, digest, pack_facts
from secretkit.scan.share import Work, shares
from secretkit.scan.store import find_store
from secretkit.scan.stream import facts, records
from secretkit.scan.summary import Summary, from_plain, plain
from secretkit.scan.tally import Tally
from secretkit.scan.window import Looker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from secretkit.scan.git import Git
    from secretkit.scan.rule import Rule
    from secretkit.scan.scanner import Scanner
    from secretkit.scan.share import Chosen, Share
    from secretkit.scan.store import Store

__all__ = ["History"]

_MANY: Final = 50  # blobs to report on, from which on workers share them


class History:
    """Scans the history of one repository.

    Packs are read in this process and its forks; git is asked for what they do not know. The
    order of findings is that of every summary. ``commit`` of a finding is the first that brought
    this secret to this path; what no branch or tag leads to has none.

    With a directory ``cache`` of the user's own, a scan of everything looks only at what is new
    since the last one, counts only that, and reports all.
    """

    def __init__(  # noqa: PLR0913 - all by name, most with a default
        self,
        git: Git,
        *,
        make_scanner: Callable[[], Scanner],
        rules: Sequence[Rule],
        workers: int = 2,
        cache: Path | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._git = git
        self._scanner = make_scanner()
        self._rules = rules
        self._workers = workers
        self._cache = cache
        self._earlier = Recalled()
        self._progress = progress
        self._tally = Tally()
        self._total = 0
        self._gaps: list[Skipped] = []
        self._known_packs: frozenset[str] = frozenset()

    def scan(self, wanted: str = "") -> Summary:
        """Scan all objects of the repository, or those that the range ``wanted`` brings.

        Raises:
            ScanError: if there is no repository, no such range, or if a worker dies.
        """
        looker = Looker(self._scanner, self._rules)
        memory = None
        store = find_store(self._git)
        if self._cache is not None and not wanted.strip():
            mark = digest(self._scanner, self._rules)
            memory = Memory(self._cache, repository=store.folder.absolute(), digest=mark)
            self._earlier = memory.recall()
        known = self._earlier.blobs.__contains__ if self._earlier.blobs else None
        work = Work(self._git, scanner=self._scanner, looker=looker, known=known)
        try:
            if wanted.strip():
                work.listed = self._brought(revisions(wanted))
            else:
                work.listed = self._stored(work, store)
            self._look(work, shares("git", len(work.listed)))
            if memory is not None:
                self._keep(memory, work)
            self._tally.hits += self._earlier.hits
            return self._report(work, revisions(wanted))
        finally:
            work.close()

    def _keep(self, memory: Memory, work: Work) -> None:
        """Write down what was looked at, but not what failed: that is tried again."""
        failed = {oid for oid, _ in self._tally.failed}
        fresh = {
            oid
            for pack in work.packs
            for rank in range(pack.count)
            if pack.kind[rank] == BLOB and (oid := pack.oid(rank)).hex() not in failed
        }
        fresh.update(bytes.fromhex(oid) for oid in (*work.loose, *work.listed) if oid not in failed)
        self._known_packs |= self._earlier.packs
        if fresh or self._known_packs != self._earlier.packs:
            memory.keep(
                Recalled(
                    packs=self._known_packs if not failed else self._earlier.packs,
                    blobs=self._earlier.blobs | fresh,
                    hits=(*self._earlier.hits, *self._tally.hits),
                )
            )

    # Which objects there are

    def _brought(self, walked: Sequence[str]) -> list[str]:
        """Give the ids of the blobs that a range brings."""
        names = (line.partition(b" ")[0].decode("ascii") for line in self._walk(walked))
        return self._blobs(names)

    def _walk(self, walked: Sequence[str]) -> Iterable[bytes]:
        for line in records(self._git, *listing(walked)):
            if b" " in line:
                yield line
            else:
                self._tally.commits += 1

    def _blobs(self, oids: Iterable[str]) -> list[str]:
        """Give those of ``oids`` that are blobs, or of which git cannot tell."""
        found = [oid for oid, kind, _ in facts(self._git, oids) if kind not in _OTHER]
        self._total += len(found)
        return found

    def _stored(self, work: Work, store: Store) -> list[str]:
        """Look at what can be read here; give the ids of what is left to git."""
        packs: list[Pack] = []
        damaged: list[str] = []
        try:
            work.folder = os.open(store.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            inner = os.open("pack", os.O_RDONLY | os.O_DIRECTORY, dir_fd=work.folder)
            try:
                files(inner)
                for name in store.packs:
                    facts = pack_facts(inner, name)
                    if facts in self._earlier.packs:
                        continue
                    try:
                        packs.append(Pack(inner, name, width=store.width))
                        self._known_packs |= {facts}
                    except (DamageError, IndexError):
                        damaged += self._indexed(inner, name, store)
            finally:
                os.close(inner)
            known = self._earlier.blobs
            loose = walk_loose(work.folder, width=store.width)
            work.loose = [oid for oid in loose if bytes.fromhex(oid) not in known]
        except OSError as error:
            raise ScanError(f"the objects cannot be listed: {error.strerror}") from None
        packs.sort(key=lambda pack: -pack.count)
        work.packs = packs
        self._look(work, self._shares(work))
        left = self._tally.left
        for pack in packs:
            # Deltas of each other, or of nothing. git goes round in a circle for ever.
            lost = (rank for rank in range(pack.count) if not pack.kind[rank])
            self._tally.failed += [(pack.oid(rank).hex(), _LOST) for rank in lost]
        held = _Held(work, self._earlier.blobs)
        if damaged:
            left += self._blobs(dict.fromkeys(oid for oid in damaged if not held.holds(oid)))
        if store.borrowed:
            left += self._borrowed(held)
        if store.partial:
            self._note_missing()
        return left

    def _indexed(self, folder: int, name: str, store: Store) -> list[str]:
        """Give the objects of a pack that cannot be read here; git lists them, of any version."""
        words = ("show-index", f"--object-format={'sha256' if store.width > _SHA1 else 'sha1'}")
        try:
            index = open_file(folder, f"{name}.idx")
            try:
                listed = records(self._git, *words, index=index)
                return [line.split(b" ")[1].decode("ascii") for line in listed]
            finally:
                os.close(index)
        except (ScanError, OSError, IndexError, UnicodeDecodeError):
            self._gaps.append(Skipped(path=f"(pack {name})", reason="its index cannot be read"))
            return []

    def _shares(self, work: Work) -> list[Share]:
        self._total = sum(pack.kind.count(BLOB) for pack in work.packs) + len(work.loose)
        self._tally.commits = sum(pack.kind.count(COMMIT) for pack in work.packs)
        wanted = shares("loose", len(work.loose))
        for number, pack in enumerate(work.packs):
            wanted += shares(number, len(pack.roots))
        return wanted

    def _borrowed(self, held: _Held) -> list[str]:
        """Give the blobs that this history uses and another repository keeps."""
        names = (
            line.partition(b" ")[0] for line in records(self._git, "rev-list", "--objects", "--all")
        )
        return self._blobs(name.decode("ascii") for name in names if not held.holds(name.decode()))

    def _note_missing(self) -> None:
        words = ("rev-list", "--objects", "--all", "--missing=print")
        count = sum(line.startswith(b"?") for line in records(self._git, *words))
        if count:
            reason = f"{count} objects were never fetched: this clone is partial"
            self._gaps.append(Skipped(path="(history)", reason=reason))

    # What is in them

    def _look(self, work: Work, wanted: Sequence[Share]) -> None:
        for table in spread(wanted, work.look, workers=self._workers):
            self._tally.merge(table)
            self._progress(self._tally.blobs, max(self._total, self._tally.blobs))

    # Where it came from

    def _report(self, work: Work, walked: Sequence[str]) -> Summary:
        tally = self._tally
        wanted = {oid for oid, _, _ in tally.hits} | {oid for oid, _ in tally.failed}
        try:
            places = first_places(self._git, wanted, walked=walked)
        except ScanError as error:
            places = {}
            self._gaps.append(Skipped(path="(history)", reason=f"commits are not known: {error}"))
        chosen = choose(tally.hits, places)
        failed = [
            Skipped(path=shown_path(oid, places), reason=reason) for oid, reason in tally.failed
        ]
        parts = self._scanned(work, chosen)
        return Summary(
            findings=first(((one, part.findings) for one, part in parts), places),
            accepted=first(((one, part.accepted) for one, part in parts), places),
            skipped=once([*self._gaps, *failed, *(s for _, part in parts for s in part.skipped)]),
            size=tally.size,
            blobs=tally.blobs,
            commits=tally.commits,
        )

    def _scanned(self, work: Work, chosen: Sequence[Chosen]) -> list[tuple[Chosen, Summary]]:
        workers = self._workers if len(chosen) > _MANY else 1

        def report(number: int) -> tuple[int, object]:
            return number, plain(work.report(chosen[number]))

        found = spread(range(len(chosen)), report, workers=workers)
        return sorted(
            ((chosen[number], from_plain(table)) for number, table in found),
            key=lambda one: one[0],
        )


_SHA1: Final = 20
_LOST: Final = "is damaged: nobody can tell what it is"
_OTHER: Final = ("commit", "tree", "tag")


class _Held:
    """Which objects were already looked at in packs and loose files."""

    def __init__(self, work: Work, known: frozenset[bytes]) -> None:
        self._known = known
        self._packs = work.packs
        self._loose = frozenset(work.loose)

    def holds(self, oid: str) -> bool:
        name = bytes.fromhex(oid)
        return oid in self._loose or name in self._known or any(p.holds(name) for p in self._packs)
