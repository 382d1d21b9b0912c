"""Reads a file only if nobody but its owner, root and we can change it.

A configuration names commands and addresses, so whoever can write it can take the secrets.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MOST_BYTES", "check_directory", "read_owned"]

MOST_BYTES: Final = 1 << 20
_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


def read_owned(path: Path) -> bytes:
    """Give the bytes of a regular file of at most 1 MiB.

    A symbolic link is followed; its target, and every directory above either, is checked as well.

    Raises:
        FileNotFoundError: if there is none.
        ConfigError: if others could change it, or it is no regular file, too large or unreadable.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(
            f"cannot be opened: {error.strerror}", hint=f"ls -l {path}", file=str(path)
        ) from None
    try:
        found = os.fstat(handle)
        problem = _problem(path, found)
        if problem is not None:
            raise problem
        return os.read(handle, found.st_size) if found.st_size else b""
    finally:
        os.close(handle)


def check_directory(path: Path) -> None:
    """Judge a directory before a configuration is written into it.

    Raises:
        ConfigError: if others could change what is in it.
        FileNotFoundError: if there is none.
    """
    for place in dict.fromkeys((path.absolute(), path.resolve())):
        problem = _exposed(place, place.stat()) or _exposed_above(place)
        if problem is not None:
            raise problem


def _problem(path: Path, found: os.stat_result) -> ConfigError | None:
    """Say what speaks against using this file, or give None."""
    if not stat.S_ISREG(found.st_mode):
        return ConfigError("is not a regular file", hint="name a TOML file", file=str(path))
    if found.st_size > MOST_BYTES:
        return ConfigError(
            f"is larger than {MOST_BYTES} bytes", hint="name a secretkit.toml", file=str(path)
        )
    target = path.resolve()
    problem = _exposed(target, found)
    if problem is not None:
        return problem
    # Whoever can rename a directory on the way can put another in its place.
    return _exposed_above(target) or (_exposed_above(path.absolute()) if target != path else None)


def _exposed_above(path: Path) -> ConfigError | None:
    return next((bad for place in path.parents if (bad := _exposed(place, place.stat()))), None)


def _exposed(place: Path, found: os.stat_result) -> ConfigError | None:
    if found.st_uid not in {0, os.geteuid()}:
        return ConfigError(
            f"belongs to uid {found.st_uid}, who could change it",
            hint=f"chown {os.geteuid()} {place}",
            file=str(place),
        )
    if not found.st_mode & _WRITABLE:
        return None
    # In a sticky directory (/tmp) others can add files but neither replace nor rename ours; on a
    # read-only mount (a Kubernetes ConfigMap has mode 0777) nobody can write.
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if sticky or os.statvfs(place).f_flag & os.ST_RDONLY:
        return None
    return ConfigError(
        f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o})",
        hint=f"chmod go-w {place}",
        file=str(place),
    )
