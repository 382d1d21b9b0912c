"""Chain: goes through a pack from each whole blob along its deltas, and looks at what changed.

Depth first, so that few objects are in memory; an object is let go of with its last delta.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.scan.delta import apply, target_size
from secretkit.scan.packfile import LARGEST, DamageError
from secretkit.scan.window import OPAQUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.scan.delta import Rebuilt
    from secretkit.scan.packfile import Pack
    from secretkit.scan.tally import Tally
    from secretkit.scan.window import Looker, Spots

__all__ = ["Chain", "cover"]

_HELD: Final = 48 << 20  # bytes of objects in memory at a time, before some are left to git
_LONG: Final = 256 << 10  # bytes of a delta: git applies what has more instructions faster


class _Open:
    """An object whose deltas are being looked at."""

    __slots__ = ("content", "kid", "spots")

    def __init__(self, content: bytes, spots: Spots, kid: int) -> None:
        self.content = content
        self.spots = spots
        self.kid = kid


class Chain:
    """Looks at the blobs of one pack. What it cannot do, or not fast, it leaves to git."""

    def __init__(
        self, pack: Pack, *, looker: Looker, tally: Tally, known: Callable[[bytes], bool] | None
    ) -> None:
        self._pack = pack
        self._looker = looker
        self._tally = tally
        self._known = known
        self._held = 0

    def walk(self, root: int) -> None:
        """Look at the blob ``root`` and at all that are deltas of it, straight or in turn."""
        pack = self._pack
        try:
            content = pack.content(root)
        except DamageError:
            self._leave(root)
            return
        spots = self._look(root, content, None, OPAQUE)
        stack = self._opened(root, content, spots)
        self._held = len(content)
        while stack:
            top = stack[-1]
            kid = top.kid
            top.kid = pack.sibling[kid]
            if top.kid < 0:
                stack.pop()
                self._held -= len(top.content)
            if pack.child[kid] >= 0 or not self._is_known(kid):
                stack += self._descend(kid, top)

    def _descend(self, kid: int, parent: _Open) -> list[_Open]:
        """Look at one delta; give it, if it has deltas itself."""
        rebuilt = self._rebuilt(kid, parent.content)
        if rebuilt is None:
            self._leave(kid)
            return []
        content, changes = rebuilt
        spots = self._look(kid, content, changes, parent.spots)
        opened = self._opened(kid, content, spots)
        if opened:
            if self._held + len(content) > _HELD:
                for one in self._pack.children(kid):
                    self._leave(one)
                return []
            self._held += len(content)
        return opened

    def _rebuilt(self, rank: int, base: bytes) -> Rebuilt | None:
        try:
            delta = self._pack.content(rank)
            if len(delta) > _LONG or target_size(delta) > LARGEST:
                return None
            return apply(delta, base)
        except DamageError:
            return None

    def _opened(self, rank: int, content: bytes, spots: Spots) -> list[_Open]:
        first = self._pack.child[rank]
        return [_Open(content, spots, first)] if first >= 0 else []

    def _look(
        self, rank: int, content: bytes, changes: list[tuple[int, int]] | None, before: Spots
    ) -> Spots:
        oid = self._pack.oid(rank)
        if self._known is not None and self._known(oid):
            return OPAQUE
        if changes is None:
            spots = self._looker.whole(content)
        else:
            spots = self._looker.changed(content, changes, before=before)
        self._tally.add(oid, len(content), spots)
        return spots

    def _is_known(self, rank: int) -> bool:
        return self._known is not None and self._known(self._pack.oid(rank))

    def _leave(self, rank: int) -> None:
        """Leave an object, and all that need it, to git."""
        for one in cover(self._pack, rank):
            if not self._is_known(one):
                self._tally.left.append(self._pack.oid(one).hex())


def cover(pack: Pack, rank: int) -> list[int]:
    """Give the ranks of an object and of all its deltas, straight or in turn."""
    found, stack = [rank], [rank]
    while stack:
        kids = pack.children(stack.pop())
        found += kids
        stack += kids
    return found
