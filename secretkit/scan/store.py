"""Store: where a repository keeps its objects, and what must be known to read them without git."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.errors import ScanError
from secretkit.scan.git import Git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


__all__ = ["Store", "find_store", "open_repository"]

_WIDTHS: Final = {"sha1": 20, "sha256": 32}
_BARE: Final = ("HEAD", "objects", "refs")


@record(kw_only=True)
class Store:
    """The objects of one repository. ``width`` is that of an id in bytes; ``packs`` are names.

    ``borrowed``: objects are also taken from other repositories. ``partial``: some were never
    fetched. ``shallow``: the history was cut off.
    """

    folder: Path
    width: int
    packs: tuple[str, ...]
    borrowed: bool
    partial: bool
    shallow: bool


def find_store(git: Git) -> Store:
    """Give the store of the repository that ``git`` runs in.

    Raises:
        ScanError: if there is no repository, or its objects are of a kind unknown here.
    """
    asked = ("--show-object-format", "--is-shallow-repository", "--git-path", "objects")
    code, printed = git.ask("rev-parse", *asked)
    lines = printed.split(b"\n", 2)
    if code or len(lines) != len(asked) - 1:
        raise ScanError(
            "there is no git repository to scan the history of",
            hint="run it inside a repository, or give the path of one",
        )
    kind, shallow, path = lines
    width = _WIDTHS.get(kind.decode("ascii", errors="replace"))
    if width is None:
        raise ScanError("the objects of this repository are named in an unknown way")
    folder = git.folder / os.fsdecode(path.removesuffix(b"\n"))
    try:
        names = sorted(one.name for one in (folder / "pack").iterdir())
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise ScanError(f"the packs cannot be listed: {error.strerror}") from None
    return Store(
        folder=folder,
        width=width,
        packs=tuple(
            name.removesuffix(".pack")
            for name in names
            if name.endswith(".pack") and f"{name.removesuffix('.pack')}.idx" in names
        ),
        borrowed=_borrows(folder) or "GIT_ALTERNATE_OBJECT_DIRECTORIES" in git.environ,
        partial=any(name.endswith(".promisor") for name in names),
        shallow=shallow == b"true",
    )


def _borrows(folder: Path) -> bool:
    try:
        return (folder / "info" / "alternates").stat().st_size > 0
    except OSError:
        return False


def open_repository(folder: Path, *, inherited: Mapping[str, str] | None = None) -> Git:
    """Give git for the repository around ``folder``, or for the bare one that ``folder`` is.

    git is told of a bare one, or it would take none that it was not told of: a hostile tree may
    hold one with a configuration of its own. ``inherited`` is as for :class:`Git`.

    Raises:
        ScanError: if git is not installed.
    """
    bare = not (folder / ".git").exists() and all((folder / name).exists() for name in _BARE)
    told = {"GIT_DIR": str(folder.absolute())} if bare else {}
    return Git(folder, inherited={**told, **(inherited or {})})
