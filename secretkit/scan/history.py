"""History: scans every blob of a repository once, and says which commit brought what it finds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from secretkit.core.record import replace
from secretkit.errors import ScanError
from secretkit.scan.finding import Skipped
from secretkit.scan.loose import walk_loose
from secretkit.scan.origin import Place, first_places, listing, revisions
from secretkit.scan.packfile import BLOB, COMMIT, DamageError, Pack
from secretkit.scan.pool import spread
from secretkit.scan.share import Chosen, Share, Work, shares
from secretkit.scan.store import Store, find_store
from secretkit.scan.stream import facts, records
from secretkit.scan.summary import Summary, from_plain, ordered, plain
from secretkit.scan.tally import Tally
from secretkit.scan.window import Looker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from secretkit.scan.finding import Finding
    from secretkit.scan.git import Git
    from secretkit.scan.rule import Rule
    from secretkit.scan.scanner import Scanner

__all__ = ["History"]

_MANY: Final = 50  # blobs to report on, from which on workers share them
_SHORT: Final = 12


class History:
    """Scans the history of one repository.

    Packs are read in this process and its forks; git is asked for what they do not know. The
    order of findings is that of every summary. ``commit`` of a finding is the first that brought
    this secret to this path; what no branch or tag leads to has none.
    """

    def __init__(
        self,
        git: Git,
        *,
        make_scanner: Callable[[], Scanner],
        rules: Sequence[Rule],
        workers: int = 2,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._git = git
        self._scanner = make_scanner()
        self._rules = rules
        self._workers = workers
        self._progress = progress
        self._tally = Tally()
        self._total = 0
        self._gaps: list[Skipped] = []

    def scan(self, wanted: str = "") -> Summary:
        """Scan all objects of the repository, or those that the range ``wanted`` brings.

        Raises:
            ScanError: if there is no repository, no such range, or if a worker dies.
        """
        looker = Looker(self._scanner, self._rules)
        work = Work(self._git, scanner=self._scanner, looker=looker, known=None)
        try:
            if wanted.strip():
                work.listed = self._brought(revisions(wanted))
            else:
                work.listed = self._stored(work, find_store(self._git))
            self._look(work, shares("git", len(work.listed)))
            return self._report(work, revisions(wanted))
        finally:
            work.close()

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

    def _blobs(self, oids: Iterable[str] | None) -> list[str]:
        """Give those of ``oids``, or of all objects, that are blobs, or that git cannot tell."""
        found = [oid for oid, kind, _ in facts(self._git, oids) if kind not in _OTHER]
        self._total += len(found)
        return found

    def _stored(self, work: Work, store: Store) -> list[str]:
        """Look at what can be read here; give the ids of what is left to git."""
        packs: list[Pack] = []
        damaged = False
        try:
            work.folder = os.open(store.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            inner = os.open("pack", os.O_RDONLY | os.O_DIRECTORY, dir_fd=work.folder)
            try:
                for name in store.packs:
                    try:
                        packs.append(Pack(inner, name, width=store.width))
                    except (DamageError, IndexError):
                        damaged = True
            finally:
                os.close(inner)
            work.loose = list(walk_loose(work.folder, width=store.width))
        except OSError as error:
            raise ScanError(f"the objects cannot be listed: {error.strerror}") from None
        packs.sort(key=lambda pack: -pack.count)
        work.packs = packs
        self._look(work, self._shares(work))
        left = self._tally.left
        left += [
            pack.oid(rank).hex()
            for pack in packs
            for rank in range(pack.count)
            if not pack.kind[rank]
        ]
        held = _Held(work)
        if damaged:
            left += [oid for oid in self._blobs(None) if not held.holds(oid)]
        elif store.borrowed:
            left += self._borrowed(held)
        if store.partial:
            self._note_missing()
        return left

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
        chosen = _chosen(tally.hits, places)
        failed = [Skipped(path=_path(oid, places), reason=reason) for oid, reason in tally.failed]
        parts = self._scanned(work, chosen)
        order = {one.path: places[one.oid].order for one in chosen if one.oid in places}
        del order
        return Summary(
            findings=_first(((one, part.findings) for one, part in parts), places),
            accepted=_first(((one, part.accepted) for one, part in parts), places),
            skipped=_once([*self._gaps, *failed, *(s for _, part in parts for s in part.skipped)]),
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


_OTHER: Final = ("commit", "tree", "tag")


class _Held:
    """Which objects were already looked at in packs and loose files."""

    def __init__(self, work: Work) -> None:
        self._packs = work.packs
        self._loose = frozenset(work.loose)

    def holds(self, oid: str) -> bool:
        return oid in self._loose or any(pack.holds(bytes.fromhex(oid)) for pack in self._packs)


def _path(oid: str, places: Mapping[str, Place]) -> str:
    return places[oid].path if oid in places else f"(unreachable blob {oid[:_SHORT]})"


def _chosen(hits: Iterable[tuple[str, str, str]], places: Mapping[str, Place]) -> list[Chosen]:
    """Choose for each secret and path the first blob that holds it.

    Of a secret that only unreachable blobs hold, one of these is enough.
    """
    first: dict[tuple[str, str, str], tuple[int, str]] = {}
    stray: dict[tuple[str, str], str] = {}
    for oid, rule, fingerprint in hits:
        place = places.get(oid)
        if place is None:
            stray[rule, fingerprint] = min(oid, stray.get((rule, fingerprint), oid))
        else:
            key = rule, fingerprint, place.path
            first[key] = min((place.order, oid), first.get(key, (place.order, oid)))
    named = {(rule, fingerprint) for rule, fingerprint, _ in first}
    chosen = {oid for _, oid in first.values()}
    chosen |= {oid for key, oid in stray.items() if key not in named}
    return [
        Chosen(oid, _path(oid, places), places[oid].commit if oid in places else None)
        for oid in sorted(chosen)
    ]


def _first(
    parts: Iterable[tuple[Chosen, Sequence[Finding]]], places: Mapping[str, Place]
) -> tuple[Finding, ...]:
    """Keep each secret once a path: where it was first."""
    kept: dict[tuple[str, str, str], tuple[int, Finding]] = {}
    for chosen, findings in parts:
        order = places[chosen.oid].order if chosen.oid in places else -1
        for one in findings:
            key = one.rule, one.fingerprint, one.path
            if key not in kept or order < kept[key][0]:
                kept[key] = order, replace(one, commit=chosen.commit)
    return ordered(one for _, one in kept.values())


def _once(skipped: Iterable[Skipped]) -> tuple[Skipped, ...]:
    return tuple(sorted(set(skipped), key=lambda one: (one.path, one.reason)))
