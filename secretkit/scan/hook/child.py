"""Child: a git process with a pipe to it and one from it, without the subprocess module."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Child", "Unclear"]

_LARGEST = 4 << 20
_PIECE = 1 << 16
_FEW = 8
_AT_ONCE = 200  # names in one write: fits into the smallest pipe there is, 16 KiB on macOS


class Unclear(Exception):  # noqa: N818 - no error: the answer "look again, in full"
    """It cannot be said here that all is clean."""


class Child:
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
        self._buffer, self._at = b"", 0  # what was read, and how much of it was used

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

    def blobs(self, names: list[bytes]) -> Iterator[bytes]:
        """Give the content of blobs, asked for by their ids."""
        if len(names) > _FEW:
            self._widen()
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            self.ask(b"\n".join((*some, b"")))
            for name in some:
                words = self._line().split(b" ")
                if len(words) != 3 or words[:2] != [name, b"blob"]:  # noqa: PLR2004
                    raise Unclear("no such blob")
                yield self._body(int(words[2]))

    def _widen(self) -> None:
        """Let git write ahead by 1 MiB: it unpacks on another core meanwhile."""
        import fcntl  # noqa: PLC0415 - 0.2 ms, for many files only

        try:
            fcntl.fcntl(self._from, fcntl.F_SETPIPE_SZ, 1 << 20)
        except (AttributeError, OSError):
            return  # not Linux, or the user has no more such memory

    def answer(self, name: bytes) -> bytes | None:
        """Give the content of the blob ``name``, which was asked for; None if there is none."""
        line = self._line()
        if line == name + b" missing":
            return None
        words = line.split(b" ")
        if len(words) != 3 or words[1] != b"blob":  # noqa: PLR2004
            raise Unclear("no blob")
        return self._body(int(words[2]))

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            self._buffer, self._at = self._buffer[self._at :] + self._more(_PIECE), 0
        line, self._at = self._buffer[self._at : end], end + 1
        return line

    def _more(self, count: int) -> bytes:
        part = os.read(self._from, count)
        if not part:
            raise Unclear("git ended early")
        return part

    def _body(self, size: int) -> bytes:
        """Give that many bytes; a line break follows them."""
        if size > _LARGEST:
            raise Unclear("large")
        body = self._buffer[self._at : self._at + size]
        self._at += size + 1
        left = self._at - len(self._buffer)
        if left <= 0:
            return body
        parts = [body]
        while left:
            parts.append(self._more(left))
            left -= len(parts[-1])
        self._buffer, self._at = b"", 0
        return b"".join(parts)[:size]

    def end(self) -> None:
        """Close the pipes and wait for it."""
        os.close(self._to)
        os.close(self._from)
        if self._process:
            os.waitpid(self._process, 0)
