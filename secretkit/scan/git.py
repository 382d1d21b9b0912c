"""Git: runs git's plumbing so that a hostile repository runs nothing and reaches nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from secretkit.errors import ScanError
from secretkit.scan.hardening import HARDENED, PLACES, environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["HARDENED", "Git", "environment", "program"]

_TIMEOUT: Final = 60.0


def program() -> str:
    """Give the path of git, or nothing; without shutil, which costs the git hook 3 ms."""
    files = (f"{folder}/git" for folder in PLACES.split(":"))
    return next((file for file in files if os.access(file, os.X_OK)), "")


_program = program


class Git:
    """Runs git in one directory. ``inherited`` is the environment that git gave to a hook.

    ``program`` is the absolute path of git; by default it is looked for in the usual places.
    """

    def __init__(
        self, folder: Path | str, *, inherited: Mapping[str, str] | None = None, program: str = ""
    ) -> None:
        found = program or _program()
        if not found:
            raise ScanError("git is not installed", hint="install git")
        self._command = (found, *HARDENED)
        self.where = os.fspath(folder)
        self.environ = environment(inherited)

    @property
    def folder(self) -> Path:
        """The directory that git runs in."""
        from pathlib import Path  # noqa: PLC0415 - 3 ms, which the git hook spares most often

        return Path(self.where)

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
        import subprocess  # noqa: PLC0415 - 5 ms, which the git hook spares most often

        try:
            done = subprocess.run(  # noqa: S603 - constant options; the folder is the cwd
                self.command(*words),
                cwd=self.where,
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
                hint="run `git fsck` there: git cannot read this repository",
            )
        return done.returncode, done.stdout
