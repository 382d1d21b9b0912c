"""Chronicle: a repository with thousands of commits, made of source text on this machine.

The releases of Python's standard library that are installed are committed one after the other. What
changed from one to the next is committed hunk by hunk, a few files at a time, as people do it.
"""

from __future__ import annotations

import difflib
import json
import os
import random
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["History", "make"]

_SUFFIXES: Final = (".py", ".txt", ".rst", ".h", ".cfg", ".toml", ".json", ".xml", ".html", ".sh")
_LARGEST: Final = 512 << 10
_LONGEST: Final = 3000  # lines that are compared; longer files change at once
_STEPS: Final = 10  # commits that the change of one file is spread over at most
_SELDOM: Final = frozenset({"site-packages", "__pycache__", "ensurepip", "lib2to3"})


class History:
    """What was made: commits, and the bytes that git checks out over all versions of all files."""

    def __init__(self) -> None:
        self.commits = 0
        self.blobs = 0
        self.size = 0


def make(folder: Path, *, commits: int) -> History:
    """Make a repository of at most ``commits`` commits, packed as by git gc; always the same."""
    made = History()
    _git(folder, "init", "-q", "-b", "main", str(folder))
    command = ["git", "fast-import", "--quiet"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE) as process:
        if process.stdin is None:
            raise TypeError("a pipe was asked for")
        for changes in _commits(commits):
            _commit(process.stdin, changes, made)
    if process.returncode:
        raise RuntimeError("git fast-import failed")
    _git(folder, "-c", "pack.threads=2", "repack", "-q", "-a", "-d", "-f")
    return made


def _git(folder: Path, *words: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", *words], cwd=folder, check=True)


def _commit(stream: IO[bytes], changes: dict[str, bytes | None], made: History) -> None:
    made.commits += 1
    stream.write(
        b"commit refs/heads/main\ncommitter a <a@b.c> %d +0000\ndata 6\nchange"
        % (1_600_000_000 + 600 * made.commits)
    )
    for name, content in changes.items():
        if content is None:
            stream.write(f"\nD {name}".encode())
        else:
            stream.write(f"\nM 100644 inline {name}\ndata {len(content)}\n".encode() + content)
            made.blobs += 1
            made.size += len(content)
    stream.write(b"\n\n")


def _commits(count: int) -> Iterator[dict[str, bytes | None]]:
    rng = random.Random(2026)  # noqa: S311 - the same repository each time
    releases = [_release(folder) for folder in _libraries()]
    now = releases[0]
    yield dict(now)
    pairs = max(1, len(releases) - 1)
    for number, after in enumerate(releases[1:]):
        left = (count - 1) * (number + 1) // pairs - (count - 1) * number // pairs
        yield from _between(now, after, left, rng)
        now = after
    if len(releases) == 1:
        yield from _between(now, {name: _edited(now[name], rng) for name in now}, count, rng)


def _between(
    now: dict[str, bytes], after: dict[str, bytes], count: int, rng: random.Random
) -> Iterator[dict[str, bytes | None]]:
    """Give ``count`` commits that lead from one release to the next, the last with what is left."""
    changed = sorted(name for name in after if name in now and now[name] != after[name])
    rng.shuffle(changed)
    at = now.copy()
    steps: list[Iterator[bytes]] = []
    names: dict[int, str] = {}
    for _ in range(count - 1):
        changes: dict[str, bytes | None] = {}
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
            if len(steps) < 20 and changed:
                name = changed.pop()
                steps.append(_steps(now[name], after[name]))
                names[id(steps[-1])] = name
            if not steps:
                break
            one = rng.choice(steps)
            content = next(one, None)
            if content is None:
                steps.remove(one)
            else:
                changes[names[id(one)]] = at[names[id(one)]] = content
        if changes:
            yield changes
    rest: dict[str, bytes | None] = {
        name: content for name, content in after.items() if at.get(name) != content
    }
    rest |= dict.fromkeys(name for name in now if name not in after)
    yield rest


def _steps(before: bytes, after: bytes) -> Iterator[bytes]:
    """Give the versions of a file between two, each with some more hunks changed."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if max(len(old), len(new)) > _LONGEST:
        yield after
        return
    hunks = [
        one for one in difflib.SequenceMatcher(None, old, new).get_opcodes() if one[0] != "equal"
    ]
    size = max(1, -(-len(hunks) // _STEPS))
    for done in range(size, len(hunks), size):
        high = hunks[done - 1][4]
        yield b"".join([*new[:high], *old[hunks[done - 1][2] :]])
    yield after


def _edited(content: bytes, rng: random.Random) -> bytes:
    """Give a file with some lines moved: for a machine that has only one release."""
    lines = content.splitlines(keepends=True)
    for _ in range(min(8, len(lines) // 10)):
        lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
    return b"".join(lines)


def _libraries() -> list[Path]:
    own = Path(sysconfig.get_path("stdlib"))
    installed = Path(sys.base_prefix).parent.glob("*/lib/python3.*")
    libraries = {own, *(one for one in installed if (one / "os.py").is_file())}
    return sorted(libraries, key=lambda one: (int(one.name.partition(".")[2]), one != own))


def _release(library: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for folder, inner, names in os.walk(library):
        inner[:] = sorted(one for one in inner if one not in _SELDOM)
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in _SUFFIXES and path.stat().st_size <= _LARGEST:
                files[str(path.relative_to(library))] = path.read_bytes()
    return files


if __name__ == "__main__":
    print(json.dumps(vars(make(Path(sys.argv[1]), commits=int(sys.argv[2])))))
