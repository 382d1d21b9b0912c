"""A real git repository for a test, and keys that are made at run time."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

from secretkit.scan.engine.keyword import KeywordEngine
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.git import Git
from secretkit.scan.objects import Objects
from secretkit.scan.rule import built_in_rules
from secretkit.scan.scanner import Scanner
from secretkit.scan.staged import Means, scan_staged, staged

if TYPE_CHECKING:
    from pathlib import Path

    from secretkit.scan.summary import Summary

ENVIRON = {
    "PATH": os.defpath,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_ALLOW_PROTOCOL": "file",
}


def key(seed: str = "one") -> str:
    """Make a key of a known shape that is the same for the same seed."""
    noise = hashlib.shake_256(seed.encode()).digest(69)
    return "sk-ant" + "-api03-" + base64.urlsafe_b64encode(noise).decode() + "-AA"


class Repository:
    """A work tree with git; ``files`` are written, ``git`` runs."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environ = ENVIRON | {"HOME": str(folder.parent)}
        self.git("init", "-q", "-b", "main", *words)

    def git(self, *words: str, code: int = 0, given: bytes = b"", **environ: str) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=self.folder,
            env=self.environ | environ,
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, **files: str | bytes) -> None:
        for name, content in files.items():
            self.put(name.replace("__", "/"), content)

    def put(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def stage(self, **files: str | bytes) -> None:
        self.write(**files)
        self.git("add", "-A")

    def commit(self, **files: str | bytes) -> str:
        self.stage(**files)
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def scan(self, *, only: frozenset[str] | None = None, inherited=None) -> Summary:
        """Scan what is staged."""
        git = Git(self.folder, inherited=inherited)
        with Objects(git) as objects:
            return scan_staged(staged(git), means=means(objects), only=only)


def means(objects: Objects) -> Means:
    rules = built_in_rules()
    prints = Fingerprinter([b"k" * 32])
    scanner = Scanner(rules, engine=KeywordEngine(rules), fingerprints=prints)
    return Means(scanner, scanner, objects)


def places(found: Summary) -> list[tuple[str, int]]:
    return [(one.path, one.line) for one in found.findings]
