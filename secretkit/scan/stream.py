"""Stream: reads what git prints while it still runs: lists, and the contents of many objects."""

from __future__ import annotations

import contextlib
import io
import os
import select
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from secretkit.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretkit.scan.git import Git

__all__ = ["Blob", "blobs", "facts", "opened", "records"]

_LONGEST: Final = 1 << 16  # bytes of a line of git's: an id and a path
_PIECE: Final = 1 << 20
_RESTARTS: Final = 50
_SILENCE: Final = 600_000  # milliseconds: no walk takes that long before it prints
_MISSING: Final = "git does not have it: fetch it, or run `git fsck`"
_DAMAGED: Final = "git cannot read it: run `git fsck`"
_FACTS: Final = "--batch-check=%(objectname) %(objecttype) %(objectsize)"


class Blob(NamedTuple):
    """An object as git gives it. Without ``data`` there is a ``reason``, or it is too large."""

    oid: str
    kind: str = ""
    size: int = 0
    data: bytes | None = None
    reason: str = ""


@contextlib.contextmanager
def opened(
    git: Git, *words: str, given: Iterable[str] | None = None, index: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start git with the lines ``given``, or an open file, as its input; it ends with the block.

    Raises:
        ScanError: if it does not start.
    """
    with tempfile.TemporaryFile() as file, contextlib.ExitStack() as started:
        for line in given or ():
            file.write(line.encode("ascii") + b"\n")
        file.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 - constant options, and ids from git
                git.command(*words),
                cwd=git.folder,
                env=git.environ,
                stdin=file if index is None else index,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        except OSError as error:
            raise ScanError(f"git did not run: {type(error).__name__}", hint="try again") from None
        started.callback(_end, process)
        yield process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.kill()
    process.wait()


class _Patient(io.RawIOBase):
    """What git prints; a repository in which it waits for ever is an error."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            raise ScanError("git has no output")
        self._descriptor = process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if not self._poll.poll(_SILENCE):
            raise ScanError("git hangs in this repository", hint="run `git fsck` there")
        return os.readv(self._descriptor, [buffer])


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return io.BufferedReader(_Patient(process), _PIECE)


def records(
    git: Git, *words: str, given: Iterable[str] | None = None, index: int | None = None
) -> Iterator[bytes]:
    """Give the lines that git prints, without their ends, as they come; see :func:`opened`.

    Raises:
        ScanError: if git ends with an error; the lines before it have been given.
    """
    with opened(git, *words, given=given, index=index) as process:
        output = _output(process)
        while line := output.readline(_LONGEST):
            yield line.removesuffix(b"\n")
        if process.wait():
            raise ScanError(
                f"git {words[0]} failed with code {process.returncode}",
                hint="check the range, and run `git fsck`: git cannot read all of this repository",
            )


def facts(git: Git, given: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Give id, kind and size of objects; "missing" is a kind too.

    Raises:
        ScanError: if git ends with an error.
    """
    for line in records(git, "cat-file", "--buffer", _FACTS, given=given):
        oid, _, rest = line.decode("ascii", errors="replace").partition(" ")
        kind, _, size = rest.partition(" ")
        yield oid, kind, int(size) if size.isdigit() else 0


def blobs(git: Git, oids: Sequence[str], *, most: int) -> Iterator[Blob]:
    """Give ``oids`` in order, each with its content if that is at most ``most`` bytes.

    git ends at an object that it cannot read; it is started again behind that one, 50 times.

    Raises:
        ScanError: if it does not start.
    """
    done = 0
    for _ in range(_RESTARTS):
        with opened(git, "cat-file", "--batch", "--buffer", given=oids[done:]) as process:
            output = _output(process)
            while done < len(oids):
                one = _next(output, oids[done], most)
                if one is None:
                    break
                done += 1
                yield one
        if done < len(oids):
            yield Blob(oids[done], reason=_DAMAGED)
            done += 1
        if done >= len(oids):
            return
    yield from (Blob(oid, reason=_DAMAGED) for oid in oids[done:])


def _next(output: IO[bytes], oid: str, most: int) -> Blob | None:
    """Give the next object, or None if git has ended."""
    line = output.readline(_LONGEST)
    if not line.endswith(b"\n"):
        return None
    _, _, rest = line.partition(b" ")
    kind, _, count = rest.strip().partition(b" ")
    if not count.isdigit():
        return Blob(oid, reason=_MISSING)
    size, shown = int(count), kind.decode("ascii", errors="replace")
    if size > most:
        return Blob(oid, shown, size) if _drained(output, size + 1) else None
    data = output.read(size + 1)
    if len(data) != size + 1:
        return None
    return Blob(oid, shown, size, data[:-1])


def _drained(output: IO[bytes], count: int) -> bool:
    while count:
        piece = output.read(min(count, _PIECE))
        if not piece:
            return False
        count -= len(piece)
    return True
