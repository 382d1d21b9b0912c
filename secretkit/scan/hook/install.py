"""Install: puts the hook where git looks for it, in front of what is there, and takes it out."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.errors import ConfigError
from secretkit.scan.hook.script import (
    BEFORE,
    FORWARDED,
    HOOKS,
    forwarder,
    hook_script,
    is_ours,
    own_hook,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Place", "global_place", "install", "installed", "repository_place", "uninstall"]

_OWN_FOLDER: Final = "secretkit/git-hooks"
_EXECUTABLE: Final = 0o755
_LARGEST: Final = 1 << 20


@record(kw_only=True)
class Place:
    """A directory of hooks. ``git`` is the program; ``top`` is the top of the work tree.

    ``everywhere`` is whether it is the one directory of ours for every repository; ``shared``,
    whether it is part of the work tree, and so of everybody's.
    """

    folder: Path
    top: Path
    git: str
    everywhere: bool = False
    shared: bool = False
    environ: Mapping[str, str]


def repository_place(cwd: Path, *, environ: Mapping[str, str]) -> Place:
    """Give where git looks for the hooks of the repository around ``cwd``.

    git says so itself, by the user's own configuration: worktrees and core.hooksPath count.

    Raises:
        ConfigError: if there is no repository, or git does not work.
    """
    git = _program(environ)
    code, told = _ask(git, "rev-parse", "--git-path", "hooks", cwd=cwd, environ=environ)
    if code:
        raise ConfigError("this is no git repository", hint="git init, or cd to one")
    folder = (cwd / told).absolute()
    _, common = _ask(git, "rev-parse", "--git-common-dir", cwd=cwd, environ=environ)
    _, top = _ask(git, "rev-parse", "--show-toplevel", cwd=cwd, environ=environ)
    real, inside = folder.resolve(), (cwd / common).resolve()
    tree = Path(top or inside).resolve()
    shared = real.is_relative_to(tree) and not real.is_relative_to(inside)
    return Place(folder=folder, top=tree, git=git, shared=shared, environ=environ)


def global_place(*, environ: Mapping[str, str]) -> Place:
    """Give the directory of hooks for every repository of this user: theirs, or one of ours.

    Raises:
        ConfigError: if git does not work, or there is no home.
    """
    git = _program(environ)
    home = environ.get("XDG_CONFIG_HOME", "") or os.path.join(environ.get("HOME", ""), ".config")  # noqa: PTH118 - text
    if not home.startswith("/"):
        raise ConfigError("there is no HOME", hint="set HOME")
    ours = Path(home) / _OWN_FOLDER
    words = ("config", "--global", "--type=path", "--get", "core.hooksPath")
    code, told = _ask(git, *words, cwd=Path("/"), environ=environ)
    folder = ours if code else Path(told)
    own = folder == ours
    return Place(folder=folder, top=folder, git=git, everywhere=own, environ=environ)


def install(place: Place, *, hooks: Sequence[str] = HOOKS[:1]) -> list[Path]:
    """Write the hooks and give their paths. A hook that is there moves aside and runs first.

    Run again, it writes the same files.

    Raises:
        ConfigError: if a file cannot be written.
    """
    fast = str(Path(__file__).with_name("fast.py"))
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        if place.everywhere:
            for name in FORWARDED:
                _write(place.folder / name, forwarder(name, git=place.git))
        for name in hooks:
            path, previous = place.folder / name, own_hook(name, git=place.git)
            if not place.everywhere:
                _put_aside(path)
                previous = f'"${{0%/*}}/{name}{BEFORE}"'
            text = hook_script(
                name, python=sys.executable, fast=fast, git=place.git, previous=previous
            )
            _write(path, text)
    except OSError as error:
        raise _unwritten(place, error) from None
    if place.everywhere:
        _configure(place, "core.hooksPath", str(place.folder))
    return [place.folder / name for name in hooks]


def _put_aside(path: Path) -> None:
    """Move a hook that is not ours aside; the one that moved first is never overwritten."""
    if not _exists(path) or _ours(path):
        return
    aside = path.with_name(path.name + BEFORE)
    if _exists(aside):
        raise ConfigError(
            f"{path} is not ours, and {aside.name} is there already",
            hint=f"look at both, and remove {aside}",
        )
    path.rename(aside)


def uninstall(place: Place) -> list[Path]:
    """Take our hooks out and put back, as they were, those that stood there. Give their paths.

    Raises:
        ConfigError: if a file cannot be written.
    """
    changed = []
    try:
        for name in FORWARDED:
            path = place.folder / name
            if not _ours(path):
                continue
            aside = path.with_name(name + BEFORE)
            if _exists(aside):
                aside.replace(path)
            else:
                path.unlink()
            changed.append(path)
        if place.everywhere and place.folder.is_dir():
            place.folder.rmdir()
    except OSError as error:
        raise _unwritten(place, error) from None
    if place.everywhere:
        _configure(place, "--unset", "core.hooksPath")
    return changed


def installed(place: Place, name: str) -> str:
    """Say what is wrong with the hook ``name`` there; "" if git will run it, and it is ours."""
    path = place.folder / name
    if not _exists(path):
        return "is not there"
    if not _ours(path):
        return "is not ours"
    return "" if os.access(path, os.X_OK) else "is not executable"


def _ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and is_ours(file.read(_LARGEST))
    except OSError:
        return False


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _write(path: Path, text: str) -> None:
    """Replace the file at once: git never meets half a hook."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(draft, flags, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(os.fsencode(text))
            os.fchmod(file.fileno(), _EXECUTABLE)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _unwritten(place: Place, error: OSError) -> ConfigError:
    return ConfigError(
        f"{place.folder}: {error.strerror}", hint="make the directory one that you can write"
    )


def _configure(place: Place, *words: str) -> None:
    code, _ = _ask(place.git, "config", "--global", *words, cwd=Path("/"), environ=place.environ)
    if code:
        raise ConfigError(
            "git's configuration cannot be written",
            hint=f"git config --global core.hooksPath {place.folder}",
        )


def _program(environ: Mapping[str, str]) -> str:
    found = shutil.which("git", path=environ.get("PATH", os.defpath))
    if found is None:
        raise ConfigError("git is not installed", hint="install git")
    return str(Path(found).absolute())


def _ask(git: str, *words: str, cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Ask git as the user has configured it, for its own settings only."""
    try:
        done = subprocess.run(  # noqa: S603 - git, as the user runs it, with constant words
            [git, *words], cwd=cwd, env=dict(environ), capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"git did not run: {type(error).__name__}", hint="git --version"
        ) from None
    return done.returncode, os.fsdecode(done.stdout).removesuffix("\n")
