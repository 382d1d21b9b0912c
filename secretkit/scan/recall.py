"""Recall: which objects of a repository earlier scans have looked at, in the user's own directory.

A file that anybody else could have written is not read. It holds ids, rules and keyed fingerprints,
and no value. Whatever is wrong with it, the answer is "nothing was seen", and all is scanned again.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.scan.rule import to_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretkit.scan.rule import Rule
    from secretkit.scan.scanner import Scanner

__all__ = ["Memory", "Recalled", "digest", "pack_facts"]

_FORMAT: Final = 1
_LARGEST: Final = 64 << 20
_MOST: Final = 300_000  # ids that are remembered one by one; 25 MB of memory
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PROBE: Final = b"secretkit: whose key is this?"


@record(kw_only=True)
class Recalled:
    """What was looked at: packs by what :func:`pack_facts` gives, blobs by id, and their hits.

    ``hits`` are (id, rule, fingerprint).
    """

    packs: frozenset[str] = frozenset()
    blobs: frozenset[bytes] = frozenset()
    hits: tuple[tuple[str, str, str], ...] = ()


def digest(scanner: Scanner, rules: Iterable[Rule]) -> str:
    """Give what changes with rules, judging code, fingerprint key and the confidence wanted.

    Reads all modules of this package: 3 ms.
    """
    made = hashlib.sha256(scanner.fingerprint(_PROBE).encode())
    made.update(repr(sorted(scanner.wanted)).encode())
    for rule in rules:
        made.update(to_record(rule))
    for file in sorted(Path(__file__).parent.rglob("*")):
        if file.suffix in {".py", ".txt"} and file.is_file():
            made.update(hashlib.sha256(file.read_bytes()).digest())
    return made.hexdigest()


def pack_facts(folder: int, name: str) -> str:
    """Give name and state of a pack: no program can set the time at which a file was changed.

    Raises:
        OSError: if it is not there.
    """
    facts = os.stat(f"{name}.pack", dir_fd=folder, follow_symlinks=False)
    return f"{name} {facts.st_size} {facts.st_ino} {facts.st_ctime_ns}"


class Memory:
    """The file of one repository in the directory ``folder``, which is made 0700.

    ``repository`` is the absolute path of its objects; ``digest`` is what :func:`digest` gives.
    """

    def __init__(self, folder: Path, *, repository: Path, digest: str) -> None:
        named = hashlib.sha256(os.fsencode(repository)).hexdigest()[:32]
        self._folder = folder
        self._name = f"history-{named}.json"
        self._digest = digest
        top = repository.resolve().parent
        top = top.parent if top.name == ".git" else top
        self._inside = folder.resolve().is_relative_to(top)

    def recall(self) -> Recalled:
        """Give what was seen under the same digest, or nothing."""
        try:
            with self._directory() as directory:
                table = json.loads(_read(directory, self._name))
            if table["format"] != _FORMAT or table["digest"] != self._digest:
                return Recalled()
            return _seen(table)
        except (OSError, ValueError, KeyError, TypeError, binascii.Error):
            return Recalled()

    def keep(self, seen: Recalled) -> bool:
        """Write down what was seen, all or nothing; say whether that could be done."""
        few = len(seen.blobs) <= _MOST
        width = len(next(iter(seen.blobs), b""))
        table = {
            "format": _FORMAT,
            "digest": self._digest,
            "packs": sorted(seen.packs),
            "width": width,
            "blobs": base64.b64encode(b"".join(sorted(seen.blobs))).decode() if few else "",
            "hits": sorted(seen.hits),
        }
        fresh = f"{self._name}.{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._directory() as directory:
                flags = _FLAGS | os.O_WRONLY | os.O_CREAT | os.O_EXCL
                descriptor = os.open(fresh, flags, 0o600, dir_fd=directory)
                try:
                    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                        file.write(json.dumps(table).encode())
                    os.rename(fresh, self._name, src_dir_fd=directory, dst_dir_fd=directory)
                except OSError:
                    os.unlink(fresh, dir_fd=directory)
                    raise
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _directory(self) -> Iterator[int]:
        if self._inside:
            raise OSError("the cache would be in the repository that is scanned")
        directory = os.open(self._folder, _FLAGS | os.O_RDONLY | os.O_DIRECTORY)
        try:
            _check(os.fstat(directory))
            yield directory
        finally:
            os.close(directory)


def _read(directory: int, name: str) -> bytes:
    descriptor = os.open(name, _FLAGS | os.O_RDONLY, dir_fd=directory)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        facts = os.fstat(descriptor)
        _check(facts)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
            raise OSError("is no file, or too large")
        return file.read(_LARGEST)


def _check(facts: os.stat_result) -> None:
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise PermissionError("somebody else could have written this")


def _seen(table: dict[str, Any]) -> Recalled:
    joined, width = base64.b64decode(table["blobs"], validate=True), int(table["width"])
    ids = range(0, len(joined), width) if width else ()
    return Recalled(
        packs=frozenset(str(one) for one in table["packs"]),
        blobs=frozenset(joined[at : at + width] for at in ids),
        hits=tuple((str(oid), str(rule), str(known)) for oid, rule, known in table["hits"]),
    )
