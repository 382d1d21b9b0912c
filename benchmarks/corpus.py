"""Corpus: trees of real source text to scan, made of what is installed on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commit", "repository", "stage", "tree"]

_TEXT: Final = frozenset(
    {
        *(".py", ".pyi", ".js", ".mjs", ".cjs", ".ts", ".json", ".md", ".rst", ".txt", ".toml"),
        *(".yaml", ".yml", ".cfg", ".ini", ".html", ".css", ".sh", ".pl", ".pm", ".rb", ".go"),
        *(".rs", ".c", ".h", ".hpp", ".cpp", ".java", ".php", ".xml", ".sql", ".lua", ".tcl"),
    }
)
_LARGEST: Final = 1 << 20  # so that no single file is the benchmark


def tree(folder: Path, *, size: int) -> tuple[int, int]:
    """Fill ``folder`` with at least ``size`` bytes of text files; give files and bytes.

    The files are those of the installed Python packages, the standard library, node's packages and
    what else lies in /usr; if that is too little they are there several times.
    """
    files = total = turn = 0
    while total < size:
        before = total
        for number, (source, length) in enumerate(_sources()):
            target = (
                folder / str(turn) / f"{number // 4000}" / f"{number // 40 % 100}" / _name(source)
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                continue
            target.write_bytes(source.read_bytes())
            files, total = files + 1, total + length
            if total >= size:
                break
        turn += 1
        if total == before:
            raise RuntimeError("this machine has no source text to scan")
    return files, total


def _name(source: Path) -> str:
    return f"{source.parent.name}-{source.name}"


def _sources() -> Iterator[tuple[Path, int]]:
    roots = [
        Path(sysconfig.get_path("stdlib")),
        Path(sys.prefix),
        *map(Path, ("/usr/lib", "/usr/share")),
    ]
    seen: set[tuple[int, int]] = set()
    for root in roots:
        for folder, inner, names in os.walk(root):
            inner.sort()
            for name in sorted(names):
                if os.path.splitext(name)[1] not in _TEXT:  # noqa: PTH122 - a name, not a path
                    continue
                path = Path(folder, name)
                facts = path.lstat()
                place = facts.st_dev, facts.st_ino
                if path.is_symlink() or place in seen or not 0 < facts.st_size <= _LARGEST:
                    continue
                seen.add(place)
                yield path, facts.st_size


def repository(folder: Path, *, files: int) -> None:
    """Make a repository with one commit of at least ``files`` real text files."""
    for number, (source, _) in zip(range(files), _sources(), strict=False):
        target = folder / f"{number // 50}" / f"{number % 50}-{source.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    git(folder, "init", "-q")
    git(folder, "add", "-A", "-f")
    commit(folder, "all of it")


def commit(folder: Path, message: str) -> None:
    """Commit what is staged."""
    git(folder, "commit", "-q", "-m", message)


def stage(folder: Path, *, files: int, lines: int) -> None:
    """Stage ``lines`` new lines in each of ``files`` files: clean code from the other files."""
    texts = [path for path in sorted(folder.rglob("*.py")) if path.stat().st_size > lines * 40]
    for number, path in enumerate(texts[:files]):
        donor = texts[-1 - number].read_text("utf-8", errors="replace").splitlines()[:lines]
        text = path.read_text("utf-8", errors="replace")
        path.write_text(text + "\n" + "\n".join(donor) + "\n", "utf-8")
    git(folder, "add", "-A", "-f")


def git(folder: Path, *words: str) -> bytes:
    """Run git in ``folder`` with a configuration of its own."""
    environ = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "bench@localhost"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    done = subprocess.run(["git", *words], cwd=folder, env=environ, check=True, capture_output=True)
    return done.stdout
