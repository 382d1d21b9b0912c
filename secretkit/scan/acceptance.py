"""Acceptance: reads baselines, which may come from a stranger, and writes decisions down."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError, ScanError
from secretkit.scan.baseline import NAME, Baseline, parse
from secretkit.scan.report.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

    from secretkit.scan.git import Git

__all__ = ["read_baseline", "read_plain", "read_revision", "write_baseline"]

_LARGEST: Final = 8 << 20
_ATTRIBUTES: Final = ".gitattributes"
_SIMPLE: Final = re.compile(r"[A-Za-z0-9._+-]+")


def read_baseline(file: Path) -> Baseline:
    """Give the baseline in ``file``; an empty one if there is none.

    Raises:
        ConfigError: for anything but a regular file of at most 8 MiB that is a baseline.
    """
    raw = read_plain(str(file))
    return Baseline() if raw is None else parse(raw, file=shown(str(file)))


def read_revision(git: Git, revision: str, *, name: str = NAME) -> Baseline:
    """Give the baseline as it stands in a revision, at ``name`` from the top; "" is the index.

    An empty one if that revision has none.

    Raises:
        ScanError: if there is no such revision.
        ConfigError: if what is there is no baseline.
    """
    tree = revision
    if revision:
        words = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        code, told = git.ask("rev-parse", *words)
        if code:
            raise ScanError(f"there is no revision {shown(revision)}", hint="git log --oneline")
        tree = told.decode("ascii").strip()
    where = f"{tree}:{name}"
    code, told = git.ask("cat-file", "-s", where)
    if code:
        return Baseline()
    size = int(told)
    if size > _LARGEST:
        raise ConfigError(f"is larger than {_LARGEST >> 20} MiB", file=shown(where), hint=_REGULAR)
    return parse(git.run("cat-file", "blob", where), file=shown(where))


def write_baseline(file: Path, made: Baseline) -> bool:
    """Replace ``file`` at once, and have git merge it by union; say whether git was told now.

    Raises:
        ConfigError: if a file cannot be written, or ``.gitattributes`` is no regular file.
    """
    try:
        _replace(file, made.text().encode())
        return _attributed(file)
    except OSError as error:
        reason = f"cannot be written: {error.strerror}"
        raise ConfigError(reason, file=str(file), hint="ls -ld that directory") from None


def _attributed(file: Path) -> bool:
    if not _SIMPLE.fullmatch(file.name):
        return False
    attributes = file.with_name(_ATTRIBUTES)
    present = read_plain(str(attributes)) or b""
    wanted = f"{file.name} merge=union".encode()
    if wanted in (line.strip() for line in present.split(b"\n")):
        return False
    newline = b"\n" if present and not present.endswith(b"\n") else b""
    _replace(attributes, present + newline + wanted + b"\n")
    return True


def _replace(file: Path, content: bytes) -> None:
    draft = file.with_name(f".{file.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def read_plain(path: str, *, largest: int = _LARGEST) -> bytes | None:
    """Give the bytes of a regular file, or None if there is none.

    It may belong to a stranger: a link, a FIFO or a device is refused and does not block.

    Raises:
        ConfigError: for those, for a file that is too large, or one that cannot be read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "is a link" if os.path.islink(path) else f"cannot be opened: {error.strerror}"  # noqa: PTH114 - no pathlib on a hook's way
        raise ConfigError(reason, file=path, hint=_REGULAR) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigError("is not a regular file", file=path, hint=_REGULAR)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        data = file.read(largest + 1)
    if len(data) > largest:
        raise ConfigError(f"is larger than {largest >> 20} MiB", file=path, hint=_REGULAR)
    return data


_REGULAR: Final = "put a regular file there, or none"
