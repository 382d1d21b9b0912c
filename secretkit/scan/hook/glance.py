"""Glance: looks through what is staged and says that it is clean, or that it cannot tell.

This is the way of nearly every commit, so it imports nothing that the interpreter has not loaded:
no re, no subprocess, no pathlib. Whatever is out of the ordinary, the answer is "cannot tell", and
:mod:`secretkit.scan.hook.stage` looks again, in full.
"""

# pathlib is not loaded here.
from __future__ import annotations

import os

from secretkit.scan.engine import cache, native
from secretkit.scan.hardening import HARDENED, environment
from secretkit.scan.hook.difference import changed
from secretkit.scan.hook.wrapped import encoded, joined, packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from secretkit.scan.engine.pack import Pack

__all__ = ["Unclear", "glance"]

_MOST_FILES = 1000
_LARGEST = 4 << 20
_PIECE = 1 << 16
_AT_ONCE = 200  # names in one write: fits into the smallest pipe there is, 16 KiB on macOS
_CONFIG = "secretkit.toml"  # may hold rules of its own
_CHANGE = 5  # words before a path: modes, ids, status
_GITLINK = b"160000"
# Fields of a rule's record (secretkit.scan.rule): its pattern, how far a match may go on behind its
# line, and its purpose. A "hint" names an encoding; secretkit.scan.hook.wrapped tells that exactly.
_PATTERN, _REACH, _JUDGED = 3, 8, 11


class Unclear(Exception):  # noqa: N818 - no error: the answer "look again, in full"
    """It cannot be said here that all is clean."""


def glance(*, program: str, paths: list[str], environ: Mapping[str, str]) -> str:
    """Give one line about a clean commit.

    ``program`` is git's absolute path, ``paths`` are where hyperscan may be installed.

    Raises:
        Unclear, OSError, ValueError: if it cannot be said that what is staged is clean.
    """
    if os.path.lexists(_CONFIG):
        raise Unclear(_CONFIG)
    command, env = (program, *HARDENED), environment(environ)
    listing = _Child((*command, "diff-index", *_OPTIONS, "HEAD", "--"), env)
    objects = _Child((*command, "cat-file", "--batch"), env)
    try:
        objects.ask(b"MERGE_HEAD\n")
        scan, pack = _engine(paths, environ)
        changes = _changes(listing.everything())
        if objects.line() != b"MERGE_HEAD missing":
            raise Unclear("merge")
        size = _look(changes, objects, scan, pack)
    finally:
        listing.end()
        objects.end()
    if not changes:
        return "secretkit: nothing staged, nothing scanned"
    files = "1 file" if len(changes) == 1 else f"{len(changes)} files"
    return f"secretkit: {files}, {_size(size)} scanned, no leaked keys"


_OPTIONS = ("--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ita-invisible-in-index")


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{(count + 500) // 1000:,} kB"  # noqa: PLR2004


def _engine(paths: list[str], environ: Mapping[str, str]) -> tuple[Callable[..., Any], Pack]:
    extension, folder = native.find(paths), cache.default_folder(environ)
    key = cache.built_in_key(extension) if extension else None
    pack = cache.read(folder, key=key) if folder and key else None
    module = native.load(extension) if extension and pack else None
    scan = native.open_database(module, pack.database) if module and pack else None
    if scan is None or pack is None:
        raise Unclear("no compiled rules")
    return scan, pack


def _changes(raw: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Give path, old and new blob of every path that gets new content."""
    fields = raw.split(b"\0")
    if len(fields) // 2 > _MOST_FILES:
        raise Unclear("many files")
    found = []
    for about, path in zip(fields[::2], fields[1::2], strict=False):
        words = about.split(b" ")
        if len(words) != _CHANGE or not words[0].startswith(b":") or words[4] == b"U":
            raise Unclear("an unknown kind of change")
        _, mode, old, new, _ = words
        if mode != _GITLINK and new.strip(b"0") and new != old:
            found.append((path, old.strip(b"0") and old, new))
    return found


def _look(
    changes: list[tuple[bytes, bytes, bytes]],
    objects: _Child,
    scan: Callable[..., Any],
    pack: Pack,
) -> int:
    """Scan the new blobs and give their size."""
    total = 0
    doubts: list[tuple[bytes, bytes, list[tuple[int, int]]]] = []
    hits: list[tuple[int, int]] = []

    def note(rule: int, start: int, end: int, flags: int, context: object) -> None:
        del start, flags, context
        hits.append((rule, end))

    blobs = objects.blobs([new for _, _, new in changes])
    for (path, old, _), data in zip(changes, blobs, strict=True):
        total += len(data)
        if packed(data, path=path):
            raise Unclear("packed")
        scan(data, note)
        doubts.append((old, data, hits))
        hits = []
    olds = objects.blobs([old for old, _, _ in doubts if old])
    for old, data, found in doubts:
        _decide(data, next(olds) if old else b"", found, pack)
    return total


def _decide(data: bytes, before: bytes, hits: list[tuple[int, int]], pack: Pack) -> None:
    """Pass only if every line in doubt stood in the old content of the file, word for word.

    Of a rule whose match may go on behind its line, with all that it may reach. What is new is
    matched by :mod:`re`: an engine nominates more than the rule means.
    """
    low, high = changed(data, before)
    known = frozenset(before[low : len(before) - len(data) + high].split(b"\n"))
    rules, fresh, hints = _Rules(pack), [], set()
    for rule, end in hits:
        hint = rules.hint(rule)
        if hint:
            hints.add(hint)
            continue
        start, stop, reach = data.rfind(b"\n", 0, end) + 1, data.find(b"\n", end), rules[rule].reach
        stop = stop if stop >= 0 else len(data)
        old = start >= high or stop + reach < low or (reach == 0 and data[start:stop] in known)
        if not old:
            fresh.append((rule, end))
    if fresh:
        from secretkit.scan.confirm import Confirmer  # noqa: PLC0415 - loads re and typing, 10 ms

        if Confirmer(rules).confirm(data, fresh):  # type: ignore[arg-type]
            raise Unclear("a candidate")
    if hints:
        _pieces(data, known, (low, high), frozenset(hints))


def _pieces(
    data: bytes, known: frozenset[bytes], place: tuple[int, int], hints: frozenset[str]
) -> None:
    """Pass only if no new line may be part of encoded text, or of a value in pieces."""
    low, high = place
    lines = data.split(b"\n")
    first, end = data.count(b"\n", 0, low), data.count(b"\n", 0, high)
    numbers = [at for at in range(first, end + (high == len(data))) if lines[at] not in known]
    text = b"\n".join([lines[at] for at in numbers])
    if encoded(text, hints=hints) or joined(lines, fresh=numbers, hints=hints):
        raise Unclear("encoded text")


class _Rule:
    """What confirming a match takes of a rule."""

    def __init__(self, pattern: str, reach: int) -> None:
        self.pattern, self.reach = pattern, reach


class _Rules:
    """The rules of a pack, without the classes that the full scan has for them."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def hint(self, index: int) -> str:
        """Give the encoding of which the rule is a sign, or nothing for any other rule."""
        fields = self._pack.record(index).split(b"\0")
        return fields[0].decode().removeprefix("hint-") if fields[_JUDGED] == b"hint" else ""

    def __getitem__(self, index: int) -> _Rule:
        fields = self._pack.record(index).split(b"\0")
        return _Rule(fields[_PATTERN].decode(), int(fields[_REACH]))


class _Child:
    """A git process with a pipe to it and a pipe from it."""

    def __init__(self, command: tuple[str, ...], env: dict[str, str]) -> None:
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        if min(theirs_in, self._to, self._from, theirs_out) <= 2:  # noqa: PLR2004 - 0, 1, 2
            raise Unclear("standard streams are closed")
        moves = [(os.POSIX_SPAWN_DUP2, theirs_in, 0), (os.POSIX_SPAWN_DUP2, theirs_out, 1)]
        moves.append((os.POSIX_SPAWN_DUP2, null, 2))
        self._process = os.posix_spawn(command[0], command, env, file_actions=moves)
        for one in (theirs_in, theirs_out, null):
            os.close(one)
        self._buffer = b""

    def ask(self, text: bytes) -> None:
        """Write to it."""
        while text:
            text = text[os.write(self._to, text) :]

    def everything(self) -> bytes:
        """Give all it prints, once it has ended well."""
        parts = []
        while part := os.read(self._from, _PIECE):
            parts.append(part)
        process, self._process = self._process, 0
        if os.waitpid(process, 0)[1]:
            raise Unclear("git failed")
        return b"".join(parts)

    def line(self) -> bytes:
        """Give the next line it prints."""
        while b"\n" not in self._buffer:
            self._more(_PIECE)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _more(self, count: int) -> None:
        part = os.read(self._from, count)
        if not part:
            raise Unclear("git ended early")
        self._buffer += part

    def blobs(self, names: list[bytes]) -> Iterator[bytes]:
        """Give the content of blobs."""
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            self.ask(b"\n".join((*some, b"")))
            for name in some:
                words = self.line().split(b" ")
                if len(words) != 3 or words[:2] != [name, b"blob"]:  # noqa: PLR2004
                    raise Unclear("no such blob")
                yield self._body(int(words[2]))

    def _body(self, size: int) -> bytes:
        if size > _LARGEST:
            raise Unclear("large")
        while len(self._buffer) <= size:
            self._more(max(_PIECE, size + 1 - len(self._buffer)))
        data, self._buffer = self._buffer[:size], self._buffer[size + 1 :]
        return data

    def end(self) -> None:
        """Close the pipes and wait for it."""
        os.close(self._to)
        os.close(self._from)
        if self._process:
            os.waitpid(self._process, 0)
