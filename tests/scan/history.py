"""Real repositories for the tests of history, and their scan by the simplest means there is."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from secretkit.scan.decode.hint import HINT_RULES
from secretkit.scan.engine import open_engine
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.history import History
from secretkit.scan.rule import parse_rules
from secretkit.scan.scanner import Scanner
from secretkit.scan.store import open_repository

if TYPE_CHECKING:
    import random  # noqa: TID251 - seeded, so that a failure can be repeated
    from pathlib import Path

    from secretkit.scan.summary import Summary

RULES = HINT_RULES + parse_rules(
    r"""
issuer = "tests"
[[rule]]
id = "token"
description = "a token"
severity = "high"
confidence = "high"
keywords = ["tok_"]
pattern = '\btok_[0-9a-z]{40}\b'
matches = []
misses = []
[[rule]]
id = "near"
description = "a value near a word"
severity = "high"
confidence = "high"
near = ["acme"]
value = '[0-9a-f]{32}'
judged = "shape"
matches = []
misses = []
[[rule]]
id = "body"
description = "a key over several lines"
severity = "high"
confidence = "high"
keywords = ["-----begin tests key"]
pattern = '-----BEGIN TESTS KEY-----\n(?P<secret>(?:[A-Za-z0-9+/=]{1,76}\n){4,200})-----END'
reach = 16384
matches = []
misses = []
""",
    file="tests.toml",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def scanner() -> Scanner:
    engine = open_engine(RULES, wanted="re")
    return Scanner(RULES, engine=engine, fingerprints=Fingerprinter([b"k" * 32]))


def token(rng: random.Random) -> str:
    return "tok" + "_" + "".join(rng.choices(LETTERS, k=40))


def key(rng: random.Random, *, lines: int = 20) -> str:
    body = "".join("".join(rng.choices(LETTERS, k=64)) + "\n" for _ in range(lines))
    return f"-----{'BEGIN'} TESTS KEY-----\n{body}-----END TESTS KEY-----\n"


def near(rng: random.Random) -> str:
    return f"acme_key = {rng.randbytes(16).hex()}"


class Repository:
    """A repository in a directory of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = 1_700_000_000
        self.git("init", "-q", "-b", "main", *words)

    def git(self, *words: str, given: bytes = b"", codes: tuple[int, ...] = (0,)) -> bytes:
        environ = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{
                f"GIT_{who}_{what}": "a@b.c"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            **{f"GIT_{who}_DATE": f"{self.clock} +0000" for who in ("AUTHOR", "COMMITTER")},
        }
        done = subprocess.run(
            ["git", "-c", "gc.auto=0", "-c", "protocol.file.allow=always", *words],
            cwd=self.folder,
            env=environ,
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode in codes, done.stderr
        return done.stdout

    def write(self, name: str, content: bytes | str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, **files: bytes | str) -> str:
        """Commit files (a double underscore stands for the dot of a name); give the commit."""
        for name, content in files.items():
            self.write(name.replace("__", "."), content)
        self.clock += 60
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD").decode().strip()

    def pack(self, *words: str, depth: int = 50) -> None:
        self.git("repack", "-q", "-a", "-d", "-f", f"--depth={depth}", "--window=50", *words)

    def blobs(self) -> dict[str, bytes]:
        """Give every blob that git knows of."""
        words = ("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)")
        facts = [line.split() for line in self.git(*words).decode().splitlines()]
        return {oid: self.git("cat-file", "blob", oid) for oid, kind in facts if kind == "blob"}

    def scan(self, wanted: str = "", *, workers: int = 1) -> Summary:
        return history(self.folder, workers=workers).scan(wanted)


def history(folder: Path, *, workers: int = 1, cache: Path | None = None) -> History:
    return History(
        open_repository(folder), make_scanner=scanner, rules=RULES, workers=workers, cache=cache
    )


def secrets_of(summary: Summary) -> set[tuple[str, str]]:
    return {(one.rule, one.fingerprint) for one in summary.findings}


def whole(repository: Repository) -> set[tuple[str, str]]:
    """Give what a scan of every blob as a whole finds."""
    mine = scanner()
    found: set[tuple[str, str]] = set()
    for data in repository.blobs().values():
        for one in mine.scan(data, path="").findings:
            found.add((one.rule, one.fingerprint))
    return found
