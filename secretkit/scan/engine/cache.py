"""Cache: compiled databases in the user's own directory.

A database is code for an engine written in C, so a file is only read if nobody else can have
written it: it and its directory belong to this user, and nobody else may even look. Whatever is
wrong, the answer is "not there", and the caller compiles again.

The key of the rules that ship with secretkit is made from name, inode and change time of each rule
file and of the extension: 3 ms for 950 files, where reading them all takes 15. The change time is
set by the kernel whenever a file's content, name or times change, and no program can set it, so a
file that was edited, or replaced with its old times restored, gives another key. A file that was
copied or unpacked anew does too: that costs one compilation.

Where an installer put the package, its list of files, ``secretkit-….dist-info/RECORD``, stands for
the rule files, in 0.2 ms: an installer writes it anew whenever it writes them, and the directory of
the rules counts too, which changes with each file that is added, removed or replaced. Who edits an
installed rule file in place keeps the rules that were compiled before.
"""

# pathlib is not loaded on the way of the git hook.
# ruff: noqa: PTH102, PTH103, PTH113, PTH116, PTH120, PTH208
from __future__ import annotations

import os
import stat
import sys
from _blake2 import blake2b

from secretkit.scan.engine import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["built_in_key", "content_key", "default_folder", "read", "rules_folder", "write"]

# What else decides how a database is made of rules, from the directory of the rules.
_COMPILING = ("../decode/hint.py", "../engine/hyper.py", "../expression.py")
# What a pack is made by, seen from the folder of rules: edited, it may make another one.
_MAKERS = ("../expression.py", "../syntax.py", "../rule.py", "../rulefile.py", "../decode/hint.py")
_KEPT = 8  # of several installations, virtual environments and sets of custom rules
_LARGEST = 64 << 20
_OTHERS = 0o077
_DIGITS = frozenset("0123456789abcdef")
_PREFIX, _SUFFIX, _KEY = "rules-", ".pack", 32


def default_folder(environment: Mapping[str, str], *, platform: str = sys.platform) -> str | None:
    """Give where this user's cache is: below ``XDG_CACHE_HOME`` or ``~/.cache``, or None.

    On macOS below ``~/Library/Caches``. An entry that is no absolute path does not count.
    """
    home, wanted = environment.get("HOME", ""), environment.get("XDG_CACHE_HOME", "")
    if platform == "win32":
        return None  # no owner and no mode to check there
    if wanted.startswith("/"):
        return f"{wanted}/secretkit/scan"
    if not home.startswith("/"):
        return None
    return f"{home}/{'Library/Caches' if platform == 'darwin' else '.cache'}/secretkit/scan"


def rules_folder() -> str:
    """Give the directory of the rule files that ship with secretkit."""
    return f"{os.path.dirname(os.path.dirname(__file__))}/rules"


def built_in_key(extension: str) -> str | None:
    """Give the key of the built-in rules for the extension at that path, without reading any.

    None where the rules are not files in a directory.
    """
    try:
        folder = os.open(rules_folder(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        record = _installed()
        names = sorted(_COMPILING if record else (*os.listdir(folder), *_COMPILING))
        found = [os.stat(name, dir_fd=folder) for name in names]
        found += [os.stat(record), os.fstat(folder)] if record else []
        facts = [(one.st_ino, one.st_ctime_ns) for one in found]
        return _key(extension, repr((names, facts)).encode("utf-8", "surrogateescape"))
    except OSError:
        return None
    finally:
        os.close(folder)


def _installed() -> str:
    """Give the path of the list of files that an installer made for this package, if it did."""
    place = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    found = [name for name in os.listdir(place) if _is_listing(name)]
    path = f"{place}/{found[0]}/RECORD" if len(found) == 1 else ""
    return path if path and os.path.isfile(path) else ""


def _is_listing(name: str) -> bool:
    return name.startswith("secretkit-") and name.endswith(".dist-info")


def content_key(extension: str, content: Iterable[bytes]) -> str | None:
    """Give the key of rules with this content; None if there is no such extension."""
    digest = blake2b(digest_size=32)
    for part in content:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    try:
        return _key(extension, digest.digest())
    except OSError:
        return None


def _key(extension: str, rules: bytes) -> str:
    machine = os.uname()
    where = (pack.FORMAT, machine.sysname, machine.machine, *_facts(os.stat(extension)))
    return blake2b(repr(where).encode() + rules, digest_size=_KEY // 2).hexdigest()


def _facts(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_ino, facts.st_ctime_ns


def read(folder: str, *, key: str) -> pack.Pack | None:
    """Give the pack with this key, or None if there is none that can be trusted.

    The directory must be this user's with mode 0700, the file with 0600, and neither a link.
    """
    try:
        directory = _open_folder(folder)
    except OSError:
        return None
    try:
        file = os.open(f"{_PREFIX}{key}{_SUFFIX}", _FLAGS | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return None
    finally:
        os.close(directory)
    try:
        facts = os.fstat(file)
        if not (stat.S_ISREG(facts.st_mode) and _is_mine(facts) and facts.st_size <= _LARGEST):
            return None
        return pack.load(file, size=facts.st_size)
    except OSError:
        return None
    finally:
        os.close(file)


def write(folder: str, *, key: str, content: bytes) -> bool:
    """Put a pack's bytes under ``key``, all or nothing, and remove all but the 8 newest packs.

    Makes the directory, with its parents, if need be. Gives False where it cannot be written
    safely; nothing is raised.
    """
    try:
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        if not os.path.lexists(folder):
            os.mkdir(folder, mode=0o700)
    except FileExistsError:
        pass  # another process was faster
    except OSError:
        return False
    try:
        directory = _open_folder(folder)
    except OSError:
        return False
    try:
        return _put(directory, f"{_PREFIX}{key}{_SUFFIX}", content)
    finally:
        os.close(directory)


def _put(directory: int, name: str, content: bytes) -> bool:
    passing = f"{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        _remove(directory, passing)
        file = os.open(passing, flags, 0o600, dir_fd=directory)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
        finally:
            os.close(file)
        os.rename(passing, name, src_dir_fd=directory, dst_dir_fd=directory)
        _prune(directory)
    except OSError:
        _remove(directory, passing)
        return False
    return True


def _prune(directory: int) -> None:
    """Remove all but the newest packs, and what killed writers left; nothing else."""
    ours: list[tuple[int, str]] = []
    for name in os.listdir(directory):
        if _is_ours(name):
            facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
            ours.append((facts.st_mtime_ns, name))
    for _, name in sorted(ours)[:-_KEPT]:
        _remove(directory, name)


def _is_ours(name: str) -> bool:
    key, suffix = name[len(_PREFIX) : len(_PREFIX) + _KEY], name[len(_PREFIX) + _KEY :]
    passing = suffix.removeprefix(f"{_SUFFIX}.")
    known = suffix == _SUFFIX or (passing != suffix and passing.isdigit())
    return name.startswith(_PREFIX) and len(key) == _KEY and _DIGITS.issuperset(key) and known


def _remove(directory: int, name: str) -> None:
    try:  # noqa: SIM105 - contextlib is not loaded either
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass


def _open_folder(folder: str) -> int:
    """Open the directory, if only this user can have written what is in it."""
    directory = os.open(folder, _FLAGS | os.O_DIRECTORY)
    if not _is_mine(os.fstat(directory)):
        os.close(directory)
        raise PermissionError(folder)
    return directory


def _is_mine(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() and not stat.S_IMODE(facts.st_mode) & _OTHERS


_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
