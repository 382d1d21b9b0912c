"""Tally: what one share of a scan of history has found, in a form that crosses to its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secretkit.scan.window import Spots

__all__ = ["Tally"]


class Tally:
    """Counts blobs, and notes which hold secrets, which failed, and which are left to git.

    ``hits`` are (id, rule, fingerprint); ``failed`` are (id, reason). No value is in it.
    """

    def __init__(self) -> None:
        self.blobs = 0
        self.commits = 0
        self.size = 0
        self.read = 0
        self.hits: list[tuple[str, str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.left: list[str] = []

    def add(self, oid: bytes, size: int, spots: Spots) -> None:
        """Note a blob of ``size`` bytes and what is in it."""
        self.blobs += 1
        self.size += size
        if spots.found:
            known = oid.hex()
            self.hits += [(known, rule, fingerprint) for rule, fingerprint in spots.found]
        if spots.failed:
            self.failed.append((oid.hex(), spots.failed))

    def merge(self, table: dict[str, Any]) -> None:
        """Add what :meth:`plain` of another gave."""
        for name in ("blobs", "commits", "size", "read"):
            setattr(self, name, getattr(self, name) + table[name])
        self.hits += [tuple(one) for one in table["hits"]]
        self.failed += [tuple(one) for one in table["failed"]]
        self.left += table["left"]

    def plain(self) -> dict[str, Any]:
        """Give all of it as what JSON can hold."""
        return dict(vars(self))
