"""Reading one regular file that somebody else may be replacing at this moment.

A FIFO or a device never hangs us (``O_NONBLOCK`` and ``S_ISREG``), a path is opened anew each time
(Kubernetes swaps the ``..data`` link above the file), and what changed while it was read is read
again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderTimeoutError,
    RefError,
    SecretNotFoundError,
)
from secretkit.providers.contents import decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.core.ref import SecretRef
    from secretkit.errors import SecretkitError
    from secretkit.ports import ProviderContext
    from secretkit.providers.deadline import Deadline

    Pread = Callable[[int, int, int], bytes]

__all__ = ["MAX_BYTES", "Contents", "PlainFile", "locate"]

MAX_BYTES: Final = 1 << 20
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_PAUSE: Final = timedelta(milliseconds=5)
# A link whose target is gone may be the middle of a Kubernetes swap, which takes microseconds.
_DANGLING_TRIES: Final = 5
_DENIED: Final = (errno.EACCES, errno.EPERM)
_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR)


def locate(path: str, *, ref: SecretRef | None, context: ProviderContext) -> str:
    """Give the absolute path: ``~`` is HOME, and a relative path starts at the configuration file.

    Raises:
        RefError: if there is no HOME, or no configuration file to start from.
    """
    at = f"{ref}: " if ref is not None else ""
    if path.startswith("~"):
        home = context.environ.get("HOME", "")
        if not home.startswith("/") or not path.startswith("~/"):
            raise RefError(
                f"{at}'~' cannot be resolved", hint="write the whole path, starting with '/'"
            )
        return str(Path(home) / path[2:])
    if not path.startswith("/") and not context.config_dir:
        raise RefError(
            f"{at}a relative path starts at the configuration file, and there is none",
            hint="write the whole path, starting with '/' or '~/'",
        )
    return str(Path(context.config_dir) / path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file held, None if it was empty, and a text that changes when the file does."""

    secret: Secret | None
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFile:
    """One file to read on behalf of ``ref``; with ``root``, only if it lies beneath that."""

    path: str
    ref: SecretRef
    root: str = ""
    pread: Pread = os.pread

    def read(self, *, deadline: Deadline, newline: str = "keep") -> Contents:
        """Read the file whole, again if it changes meanwhile. One open file, up to 1 MiB.

        Raises:
            SecretNotFoundError: if nothing is there.
            AccessDeniedError: if it may not be read, or lies outside ``root``.
            SecretError: if it is not text that can be a secret.
            ProviderTimeoutError: if it never held still.
            ProviderError: if it is no regular file, too large, or cannot be read.
        """
        tries = 0
        while True:
            deadline.check(self.ref)
            found = self._attempt(newline)
            if isinstance(found, Contents):
                return found
            if found is not None:
                raise found
            tries += 1
            if tries >= _DANGLING_TRIES and not Path(self.path).exists():
                raise self._absent("it is a link to nothing")
            deadline.pause(_PAUSE)
            if deadline.seconds <= 0:
                raise ProviderTimeoutError(
                    f"{self.ref}: the file changes each time it is read",
                    ref=str(self.ref),
                    hint="replace it in one step: write another file and rename it over this one",
                )

    def version(self) -> str:
        """Give the version alone, for the cost of one open; raises like :meth:`read`."""
        for _ in range(_DANGLING_TRIES):
            fd = self._opened()
            if fd is None:
                continue
            try:
                found = self._checked(fd)
            finally:
                os.close(fd)
            if found is not None:
                return _version(found)
        raise self._absent("it is a link to nothing")

    def _attempt(self, newline: str) -> Contents | SecretkitError | None:
        """Read once; None says that the file, or a link to it, changed meanwhile."""
        fd = self._opened()
        if fd is None:
            return None
        try:
            before = self._checked(fd)
            if before is None:
                return None
            found = self._text(fd, before.st_size, newline)
            if _moment(os.fstat(fd)) != _moment(before):
                return None
        finally:
            os.close(fd)
        if found is None or isinstance(found, Secret):
            return Contents(secret=found, version=_version(before))
        return found

    def _opened(self) -> int | None:
        self._beneath_root()
        try:
            # Looking first keeps us from opening devices, where opening alone can do something.
            self._regular(Path(self.path).stat())
            return os.open(self.path, _FLAGS)
        except OSError as error:
            number = error.errno or 0
        if number in _ABSENT:
            if os.path.lexists(self.path):
                return None
            raise self._absent("there is no such file")
        if number in _DENIED:
            raise AccessDeniedError(
                f"{self.ref}: this user may not read the file",
                ref=str(self.ref),
                hint=f"look at the owner and mode: ls -l {self.path}",
            )
        raise self._failed(os.strerror(number))

    def _checked(self, fd: int) -> os.stat_result | None:
        """Refuse what may not be read; None says that a link on the way changed meanwhile."""
        found = os.fstat(fd)
        self._regular(found)
        if found.st_size > MAX_BYTES:
            raise self._failed(f"the file is larger than {MAX_BYTES} bytes")
        if not self.root:
            return found
        real = os.path.realpath(self.path)
        if not _beneath(os.path.realpath(self.root), real):
            raise self._outside()
        # The name was resolved after the file was opened: both must be the same file.
        try:
            return found if os.path.samestat(Path(real).lstat(), found) else None
        except OSError:
            return None

    def _beneath_root(self) -> None:
        """Refuse a path that is outside as it is written, without a look at what is there."""
        roots = (os.path.normpath(self.root), os.path.realpath(self.root)) if self.root else ()
        path = os.path.normpath(self.path)
        if roots and not any(_beneath(root, path) for root in roots):
            raise self._outside()

    def _regular(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._failed(f"this is {_kind(found.st_mode)}, not a regular file")

    def _text(self, fd: int, size: int, newline: str) -> Secret | SecretkitError | None:
        """Give the text, an error, or None for an empty file. Never raises: it holds clear text."""
        data = bytearray()
        try:
            while len(data) <= size and (part := self.pread(fd, size + 1 - len(data), len(data))):
                data += part
        except OSError as error:
            return self._failed(os.strerror(error.errno or 0))
        if len(data) != size:
            return self._failed("its size is not what the file system states")
        return decoded(data, ref=self.ref, newline=newline) if data else None

    def _absent(self, reason: str) -> SecretNotFoundError:
        return SecretNotFoundError(
            f"{self.ref}: {reason}", ref=str(self.ref), hint=f"looked for {self.path}"
        )

    def _outside(self) -> AccessDeniedError:
        return AccessDeniedError(
            f"{self.ref}: the file lies outside the provider's root",
            ref=str(self.ref),
            hint="move the file beneath the root, or change the option root",
        )

    def _failed(self, reason: str) -> ProviderError:
        return ProviderError(
            f"{self.ref}: {reason}", ref=str(self.ref), hint=f"look at it: ls -l {self.path}"
        )


def _beneath(root: str, path: str) -> bool:
    return os.path.commonpath((root, path)) == root


def _moment(found: os.stat_result) -> tuple[int, int, int, int]:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _version(found: os.stat_result) -> str:
    text = f"{found.st_dev} {found.st_ino} {found.st_mtime_ns} {found.st_size}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kind(mode: int) -> str:
    tests = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for test, name in tests if test(mode)), "a device")
