"""Baseline: the findings that people have accepted, and why, in a file that merges by itself.

One line a finding: its keyed fingerprint, its path, the reason. No line numbers and no times, so
nothing changes unless a decision does; sorted, so the same decisions give the same bytes. Every
line stands alone, so the union of two versions is again a baseline: ``merge=union`` in
``.gitattributes`` makes git do just that. Both may bring a key; all keys in the file count.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from secretkit.scan.finding import Finding

__all__ = ["NAME", "Baseline", "Entry", "Located", "encoded", "parse"]

NAME: Final = ".secretkit-baseline"
_MOST_KEYS: Final = 8  # each costs 3 ms for a distinct short value
_TITLE: Final = (
    "# Findings accepted for secretkit. To add some: secretkit scan --accept --reason WHY"
)
_KEY: Final = re.compile(r"key ([0-9a-f]{64})")
_ENTRY: Final = re.compile(r"([0-9a-f]{32}) (\S+)  # (\S.*)")
_PLAIN: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+,=@!~"
)
_MARKERS: Final = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


class Entry(NamedTuple):
    """One accepted finding. ``path`` is percent-encoded."""

    fingerprint: str
    path: str
    reason: str


class Baseline:
    """What is accepted, under which keys. Immutable and thread-safe."""

    def __init__(
        self, keys: Iterable[bytes] = (), entries: Iterable[Entry] = (), notes: Iterable[str] = ()
    ) -> None:
        self.keys = tuple(sorted(set(keys)))
        self.entries = frozenset(entries)
        self._notes = tuple(dict.fromkeys((_TITLE, *notes)))
        self._known = {(one.fingerprint, one.path) for one in self.entries}

    def accepts(self, path: str, fingerprints: Sequence[str]) -> str:
        """Give the fingerprint of these that is accepted at ``path``, or nothing."""
        where = encoded(path)
        return next((one for one in fingerprints if (one, where) in self._known), "")

    def unused(self, accepted: Iterable[tuple[str, str]]) -> list[Entry]:
        """Give the entries that are none of these pairs of path and fingerprint, in order."""
        used = {(fingerprint, encoded(path)) for path, fingerprint in accepted}
        return sorted(one for one in self.entries if (one.fingerprint, one.path) not in used)

    def with_entries(self, entries: Iterable[Entry], *, key: bytes) -> Baseline:
        """Give this baseline with more entries, whose fingerprints were made under ``key``."""
        return Baseline((*self.keys, key), self.entries.union(entries), self._notes)

    def text(self) -> str:
        """Give the file: notes, keys, then entries, each sorted."""
        keys = [f"key {key.hex()}" for key in self.keys]
        lines = [f"{one.fingerprint} {one.path}  # {one.reason}" for one in sorted(self.entries)]
        return "".join(f"{line}\n" for line in (*self._notes, *keys, *lines))


class Located:
    """A baseline for findings whose paths are written in another way than its own."""

    def __init__(self, baseline: Baseline, *, locate: Callable[[str], str]) -> None:
        self._baseline = baseline
        self.locate = locate

    def accepts(self, path: str, fingerprints: Sequence[str]) -> str:
        """Give the fingerprint of these that is accepted at ``path``, or nothing."""
        return self._baseline.accepts(self.locate(path), fingerprints)

    def entry(self, finding: Finding, *, reason: str) -> Entry:
        """Give the line that accepts ``finding``."""
        return Entry(finding.fingerprint, encoded(self.locate(finding.path)), reason)

    def unused(self, accepted: Iterable[Finding]) -> list[Entry]:
        """Give the entries that accepted none of these."""
        return self._baseline.unused((self.locate(one.path), one.fingerprint) for one in accepted)


def parse(raw: bytes, *, file: str) -> Baseline:
    """Read what :meth:`Baseline.text` wrote, or a union of several.

    Raises:
        ConfigError: for anything else, with the number of the line.
    """
    keys: list[bytes] = []
    entries: list[Entry] = []
    notes: list[str] = []
    for number, line in enumerate(_lines(raw, file), 1):
        if not line or line.startswith("#"):
            notes.extend([line] if line else [])
        elif key := _KEY.fullmatch(line):
            keys.append(bytes.fromhex(key[1]))
        elif entry := _ENTRY.fullmatch(line):
            entries.append(Entry(*entry.groups()))
        else:
            raise _unread(line, number, file)
    if len(set(keys)) > _MOST_KEYS or (entries and not keys):
        raise ConfigError(
            f"a baseline has 1 to {_MOST_KEYS} keys, this one has {len(set(keys))}",
            file=file,
            hint="accept the findings anew: move the file away, then secretkit scan --accept",
        )
    return Baseline(keys, entries, notes)


def _lines(raw: bytes, file: str) -> list[str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    lines = text.replace("\r\n", "\n").split("\n")
    if all(line.isprintable() for line in lines):
        return lines
    raise ConfigError("this is not text of one line a finding", file=file, hint=_ANEW)


def _unread(line: str, number: int, file: str) -> ConfigError:
    if line.startswith(_MARKERS):
        return ConfigError(
            f"line {number} is left over from a merge",
            file=file,
            hint="delete the marker lines and keep all others: a union is what is wanted",
        )
    return ConfigError(f"line {number} is no 'FINGERPRINT PATH  # REASON'", file=file, hint=_ANEW)


_ANEW: Final = "take out what secretkit scan --accept did not write there"


def encoded(path: str) -> str:
    """Give ``path`` with everything but plain ASCII percent-encoded: one word, whatever it is."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in _bytes(path))


def _bytes(path: str) -> bytes:
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a name from an archive, not from a file system
        return path.encode("utf-8", "surrogatepass")
