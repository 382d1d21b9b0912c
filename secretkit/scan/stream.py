"""Stream: reads what git prints while it still runs: lists, and the contents of many objects."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from secretkit.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretkit.scan.git import Git

__all__ = ["Blob", "blobs", "facts", "opened", "records"]

_LONGEST: Final = 1 << 16  # bytes of a line of git's: an id and a path
_PIECE: Final = 1 << 20
_RESTARTS: Final = 50
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
    git: Git, *words: str, given: Iterable[str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start git with the lines ``given`` as its input; it is ended with the block.

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
                stdin=file if given is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=_PIECE,
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


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise ScanError("git has no output")
    return process.stdout


def records(git: Git, *words: str, given: Iterable[str] | None = None) -> Iterator[bytes]:
    """Give the lines that git prints, without their ends, as they come.

    Raises:
        ScanError: if git ends with an error; the lines before it have been given.
    """
    with opened(git, *words, given=given) as process:
        output = _output(process)
        while line := output.readline(_LONGEST):
            yield line.removesuffix(b"\n")
        if process.wait():
            raise ScanError(
                f"git {words[0]} failed with code {process.returncode}",
                hint="check the range, and run `git fsck`: git cannot read all of this repository",
            )


def facts(git: Git, given: Iterable[str] | None = None) -> Iterator[tuple[str, str, int]]:
    """Give id, kind and size of ``given`` objects, or of all there are; "missing" is a kind too.

    Raises:
        ScanError: if git ends with an error.
    """
    every = ("--batch-all-objects", "--unordered") if given is None else ("--buffer",)
    for line in records(git, "cat-file", *every, _FACTS, given=given):
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
