"""Objects: reads and scans any number of objects of a repository through one git process."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from secretkit.core.record import replace
from secretkit.errors import ScanError
from secretkit.scan.content import LARGEST, scan_descriptor
from secretkit.scan.deadline import DeadlineError, deadline
from secretkit.scan.finding import Skipped
from secretkit.scan.summary import Summary

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from typing import IO

    from secretkit.scan.git import Git
    from secretkit.scan.scanner import Scanner

__all__ = ["WHOLE_BLOB", "Objects"]

WHOLE_BLOB: Final = 4 << 20
_PIECE: Final = 1 << 20
_HINT: Final = "run `git fsck`; in a partial clone, fetch the object first"


class _Pipes(NamedTuple):
    process: subprocess.Popen[bytes]
    ask: IO[bytes]
    answer: IO[bytes]


class Objects:
    """Reads objects by name, in any order, through one ``git cat-file``. Use it with ``with``.

    One thread at a time. What is larger than 4 MiB is never held in memory at once. ``held`` are
    blobs that have been read already, by id.
    """

    def __init__(self, git: Git, *, held: Mapping[str, bytes] | None = None) -> None:
        self._git = git
        self._held = held or {}
        self._pipes: _Pipes | None = None

    def read(self, name: str) -> bytes | None:
        """Give the content of an object of at most 4 MiB, or None if there is none of that name.

        Raises:
            ScanError: if it is larger, and if git fails.
        """
        size = self._open(name)
        if size is None:
            return None
        if size > WHOLE_BLOB:
            self.close()
            raise ScanError(f"is larger than {WHOLE_BLOB >> 20} MiB")
        return self._body(size)

    def scan(self, oid: str, *, path: str, scanner: Scanner, commit: str | None = None) -> Summary:
        """Scan a blob, however large; one that cannot be read is reported as skipped."""
        data = self._held.get(oid)
        try:
            size = self._open(oid) if data is None else len(data)
            if size is None:
                reason = f"its content is not in this repository: {oid[:12]}"
                return Summary(skipped=(Skipped(path=path, reason=reason),))
            if size > WHOLE_BLOB:
                return self._large(size, path=path, scanner=scanner, commit=commit)
            data = self._body(size) if data is None else data
        except ScanError as error:
            return Summary(skipped=(Skipped(path=path, reason=str(error)),))
        counted = Summary(files=1, blobs=1, size=size)
        try:
            with deadline(size=size):
                found = scanner.scan(data, path=path, commit=commit)
        except DeadlineError as error:
            return replace(counted, skipped=(Skipped(path=path, reason=str(error)),))
        return replace(
            counted, findings=found.findings, skipped=found.skipped, accepted=found.accepted
        )

    def _large(self, size: int, *, path: str, scanner: Scanner, commit: str | None) -> Summary:
        """Scan a large blob from a file without a name, in windows."""
        import tempfile  # noqa: PLC0415 - 4 ms, for few files

        with tempfile.TemporaryFile(buffering=0) as file:
            left = min(size, LARGEST + 1)
            while left:
                piece = self._take(min(left, _PIECE))
                file.write(piece)
                left -= len(piece)
            if size > LARGEST:
                self.close()  # the rest is not read
            else:
                self._take(1)
            file.seek(0)
            found = scan_descriptor(os.dup(file.fileno()), path=path, scanner=scanner)
        findings = tuple(replace(one, commit=commit) for one in found.findings)
        return replace(found, findings=findings, blobs=1)

    def _open(self, name: str) -> int | None:
        """Ask for an object; give its size, or None if there is none."""
        pipes = self._pipes = self._pipes or self._start()
        try:
            pipes.ask.write(name.encode("ascii") + b"\n")
            pipes.ask.flush()
        except OSError:
            raise self._ended() from None
        header = pipes.answer.readline()
        if header.endswith((b" missing\n", b" ambiguous\n")):
            return None
        size = header.rpartition(b" ")[2].strip()
        if not size.isdigit():
            raise self._ended()
        return int(size)

    def _body(self, size: int) -> bytes:
        return self._take(size + 1)[:-1]

    def _take(self, count: int) -> bytes:
        data = self._pipes.answer.read(count) if self._pipes is not None else b""
        if len(data) != count:
            raise self._ended()
        return data

    def _ended(self) -> ScanError:
        self.close()
        return ScanError("git ended before it had given its content", hint=_HINT)

    def _start(self) -> _Pipes:
        import subprocess  # noqa: PLC0415 - 5 ms, which the git hook spares most often

        try:
            process = subprocess.Popen(  # noqa: S603 - constant options
                self._git.command("cat-file", "--batch"),
                cwd=self._git.where,
                env=self._git.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ScanError(f"git did not run: {type(error).__name__}", hint="try again") from None
        if process.stdin is None or process.stdout is None:
            raise ScanError("git has no input or output")
        return _Pipes(process, process.stdin, process.stdout)

    def close(self) -> None:
        """End the process. It is started again when it is needed."""
        pipes, self._pipes = self._pipes, None
        if pipes is not None:
            pipes.answer.close()
            with contextlib.suppress(OSError):  # it has ended already
                pipes.ask.close()
            pipes.process.kill()
            pipes.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
