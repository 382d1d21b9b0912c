"""Selftest: proves in a repository of its own that the hook stops a key, and nothing else."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.scan.hook.install import install, installed, repository_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Check", "selftest"]

_FINDINGS: Final = 1  # git commit itself ends with 1 whatever the hook says
_WHO: Final = ("-c", "user.name=secretkit", "-c", "user.email=secretkit@localhost")
_KEPT: Final = ("PATH", "HOME", "XDG_CACHE_HOME", "TMPDIR")


@record(kw_only=True)
class Check:
    """One thing that was tried: ``wrong`` says what went wrong, or nothing."""

    what: str
    wrong: str = ""


def selftest(cwd: Path, *, environ: Mapping[str, str]) -> Iterator[Check]:
    """Give the checks as they are made: a repository with a canary, then the one around ``cwd``.

    The canary is a key that is made here and belongs to nobody; it is gone with the repository.
    """
    kept = {name: environ[name] for name in _KEPT if name in environ}
    quiet = kept | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    with tempfile.TemporaryDirectory(prefix="secretkit-") as made:
        yield from _canary(Path(made), quiet)
    place = repository_place(cwd, environ=environ)
    yield Check(
        what=f"{place.folder / 'pre-commit'} is installed",
        wrong=installed(place, "pre-commit"),
    )


def _canary(folder: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    _git(folder, environ, "init", "-q")
    install(repository_place(folder, environ=environ))
    clean = folder / "clean.txt"
    clean.write_text("nothing to see\n")
    code, told = _commit(folder, environ)
    scanned = "1 file" in told and "no leaked keys" in told
    wrong = "" if code == 0 and scanned else f"git commit ended with {code}"
    yield Check(what="a clean commit passes, and says that it was scanned", wrong=wrong)
    leak = folder / "canary.txt"
    leak.write_text(f"key = 'sk-ant-api03-{secrets.token_urlsafe(69)}-AA'\n")
    code, told = _commit(folder, environ)
    named = "canary.txt:1:" in told and "anthropic-api-key" in told
    wrong = "" if code == _FINDINGS and named else f"git commit ended with {code}"
    yield Check(what="a commit with a key is stopped, and the place is named", wrong=wrong)
    inside = leak.read_text().split("'")[1][-40:]
    wrong = "it prints the key" if inside in told else ""
    yield Check(what="the key is not printed", wrong=wrong)


def _commit(folder: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    _git(folder, environ, "add", "-A")
    return _git(folder, environ, *_WHO, "commit", "-q", "-m", "selftest")


def _git(folder: Path, environ: Mapping[str, str], *words: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - constant words, in a directory of our own
        ["git", *words],  # noqa: S607 - the git that the user runs
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")
