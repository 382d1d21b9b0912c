"""Git: runs git's plumbing so that a hostile repository runs nothing and reaches nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from secretkit.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["HARDENED", "Git", "environment"]

_TIMEOUT: Final = 60.0

# A repository's own configuration may name programs to run (research/security.md, 0.8 and 0.9).
# Porcelain stays dangerous even so: only plumbing that reads objects and the index is called.
HARDENED: Final = (
    "--no-optional-locks",
    "--no-pager",
    "--no-replace-objects",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "safe.bareRepository=explicit"),
    *("-c", "protocol.allow=never"),
    *("-c", "submodule.recurse=false"),
)
_FIXED: Final = {
    "PATH": os.defpath,
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
# What git sets for its hooks: where this very repository and index are. A stranger's environment
# may set them too, so they count in a hook only.
_HOOK: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
)


def environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment git runs in: constant, but for what a hook has in ``inherited``."""
    given = {} if inherited is None else {k: inherited[k] for k in _HOOK if k in inherited}
    return {**_FIXED, **given}


class Git:
    """Runs git in one directory. ``inherited`` is the environment that git gave to a hook."""

    def __init__(self, folder: Path, *, inherited: Mapping[str, str] | None = None) -> None:
        found = shutil.which("git", path=os.defpath)
        if found is None:
            raise ScanError("git is not installed", hint="install git")
        self._command = (found, *HARDENED)
        self.folder = folder
        self.environ = environment(inherited)

    def command(self, *words: str) -> list[str]:
        """Give the whole command line for ``words``, for those that stream from it."""
        return [*self._command, *words]

    def run(self, *words: str, codes: Sequence[int] = (0,), stdin: bytes = b"") -> bytes:
        """Give what git prints.

        Raises:
            ScanError: if it does not start, takes over a minute, or ends with a code that is not
                in ``codes``.
        """
        return self.ask(*words, codes=codes, stdin=stdin)[1]

    def ask(
        self, *words: str, codes: Sequence[int] = (0, 1, 128), stdin: bytes = b""
    ) -> tuple[int, bytes]:
        """Give the exit code and what git prints; see :meth:`run`."""
        try:
            done = subprocess.run(  # noqa: S603 - constant options; the folder is the cwd
                self.command(*words),
                cwd=self.folder,
                env=self.environ,
                input=stdin,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScanError(f"git did not run: {type(error).__name__}", hint="try again") from None
        if done.returncode not in codes:
            raise ScanError(
                f"git {words[0]} failed with code {done.returncode}",
                hint="run `git status` there; a repository of another user must be copied first",
            )
        return done.returncode, done.stdout
