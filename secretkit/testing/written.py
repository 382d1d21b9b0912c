"""WrittenFiles: the files this process wrote, and what changed below a test's directories."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["WrittenFiles"]

_WRITES: Final = os.O_WRONLY | os.O_RDWR
_Signature = tuple[int, int, int]


class WrittenFiles:
    """Notes the files that Python code opens for writing or renames, by an audit hook.

    The hook stays in the interpreter for good (PEP 578); after ``close`` it does nothing.
    What child processes write is found by comparing directories. Bytecode caches are passed over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: set[str] = set()
        self._seen: dict[str, _Signature] = {}
        self._cwd: tuple[str, dict[str, _Signature]] | None = None
        _listen(self)

    def begin(self) -> None:
        """Forget the last test, and remember the files that stand in the working directory."""
        with self._lock:
            self._opened.clear()
        self._seen.clear()
        here = _cwd()
        self._cwd = (here, dict(_regular(_names(here)))) if here else None

    def changed(self, *trees: Path) -> list[Path]:
        """Give the files that were written since the last call: each once per state it was in.

        Below ``trees`` at any depth, directly in the working directory, and wherever this process
        opened one for writing.
        """
        with self._lock:
            opened, self._opened = self._opened, set()
        names = list(opened)
        for tree in trees:
            names += [f"{top}{os.sep}{name}" for top, _, here in os.walk(tree) for name in here]
        if self._cwd is not None and self._cwd[0] == _cwd():
            before = self._cwd[1]
            now = _regular(_names(self._cwd[0]))
            names += [name for name, signature in now if before.get(name) != signature]
        fresh = []
        for name, signature in _regular(names):
            if self._seen.get(name) != signature and f"{os.sep}__pycache__{os.sep}" not in name:
                self._seen[name] = signature
                fresh.append(Path(name))
        return fresh

    def close(self) -> None:
        """Stop noting."""
        with contextlib.suppress(ValueError):
            _listeners.remove(self)

    def keep(self, path: object) -> None:
        """Note a path that is being written; never raises, for that would come out of open()."""
        if isinstance(path, (str, bytes, os.PathLike)):
            try:
                name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - of any path-like, fast
            except (OSError, ValueError):
                return
            with self._lock:
                self._opened.add(name)


_listeners: list[WrittenFiles] = []
_hooked = threading.Event()


def _listen(files: WrittenFiles) -> None:
    _listeners.append(files)
    if not _hooked.is_set():
        _hooked.set()
        sys.addaudithook(_hear)


def _hear(event: str, args: tuple[object, ...]) -> None:
    if event == "open":
        if isinstance(args[2], int) and args[2] & _WRITES:
            for files in _listeners:
                files.keep(args[0])
    elif event == "os.rename":
        for files in _listeners:
            files.keep(args[1])


# Plain strings below here: this runs for every test of a suite, and paths cost ten times as much.


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as above
    except OSError:  # it was removed
        return ""


def _names(directory: str) -> list[str]:
    try:
        return [f"{directory}{os.sep}{name}" for name in os.listdir(directory)]  # noqa: PTH208 - as above
    except OSError:
        return []


def _regular(names: Iterable[str]) -> Iterator[tuple[str, _Signature]]:
    for name in names:
        try:
            facts = os.lstat(name)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(facts.st_mode):
            yield name, (facts.st_mtime_ns, facts.st_size, facts.st_ino)
