"""Origin: which commit first brought a blob, and at which path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.scan.stream import records

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from secretkit.scan.git import Git

__all__ = ["EVERY_REF", "Place", "first_places", "listing", "revisions"]

EVERY_REF: Final = ("--all",)
# Each tree is walked once, however many commits and trees hold it: a tree that names one subtree
# ten times, ten levels deep, costs ten steps and not ten to the tenth.
_WALK: Final = (
    *("rev-list", "--objects", "--missing=allow-any"),
    *("--in-commit-order", "--date-order", "--reverse"),
)


class Place(NamedTuple):
    """Where a blob came into history: ``order`` counts objects from the oldest commit on."""

    order: int
    commit: str
    path: str


def revisions(wanted: str) -> tuple[str, ...]:
    """Give what git is to walk for a range as a user writes it: ``main..topic``; nothing is all.

    It is never taken for an option.
    """
    return ("--end-of-options", *wanted.split(), "--") if wanted.strip() else EVERY_REF


def listing(walked: Sequence[str]) -> tuple[str, ...]:
    """Give git's words for a list of the objects of ``walked``, the oldest commit first."""
    return (*_WALK, *walked)


def first_places(
    git: Git, wanted: Collection[str], *, walked: Sequence[str] = EVERY_REF
) -> dict[str, Place]:
    """Give where each of the ``wanted`` blobs first was; those that no commit holds are left out.

    Costs one walk over all trees, in bounded memory, that ends with the last blob it finds. A path
    ends where it has a newline.

    Raises:
        ScanError: if git cannot walk the history.
    """
    missing, commit = set(wanted), ""
    places: dict[str, Place] = {}
    if not missing:
        return places
    for order, line in enumerate(records(git, *listing(walked))):
        name, named, path = line.partition(b" ")
        if not named:
            commit = line.decode("ascii", errors="replace")
            continue
        oid = name.decode("ascii", errors="replace")
        if oid in missing:
            places[oid] = Place(order, commit, os.fsdecode(path))
            missing.discard(oid)
            if not missing:
                break
    return places
