"""Collecting what a child process prints, under a deadline and a cap that always hold."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from secretkit.providers.contents import decoded

if TYPE_CHECKING:
    from typing import IO

    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.errors import SecretError
    from secretkit.providers.deadline import Deadline

__all__ = ["MAX_OUTPUT", "Child", "Ended"]

MAX_OUTPUT: Final = 64 * 1024
_CHUNK: Final = 16 * 1024
# How often we look whether the child ended while a grandchild keeps its pipes open. Without one,
# the end of the pipes tells us at once.
_LOOK: Final = 0.02
_REAP: Final = 1.0  # a killed process is gone in microseconds, unless the kernel holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended. ``problem`` is empty, ``"timeout"`` or ``"too much"``."""

    code: int
    output: Secret | SecretError
    stderr_bytes: int
    problem: str = ""


class Child:
    """One running process whose output is collected once. Its messages are counted, not kept."""

    __slots__ = ("_output", "_process", "_stderr_bytes")

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._output = bytearray()
        self._stderr_bytes = 0

    def collect(self, *, deadline: Deadline, ref: SecretRef, newline: str) -> Ended:
        """Wait for the end and give it; after that nothing of the output is kept here."""
        problem = "interrupted"
        try:
            problem = self._drain(deadline)
            if problem:
                self._kill()
            return Ended(
                code=self._process.returncode or 0,
                output=decoded(self._output, ref=ref, newline=newline),
                stderr_bytes=self._stderr_bytes,
                problem=problem,
            )
        finally:
            self._output.clear()
            if problem == "interrupted":
                self._kill()
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()

    def _drain(self, deadline: Deadline) -> str:
        """Read both pipes until the child has ended; give the problem that stopped it earlier."""
        with selectors.DefaultSelector() as selector:
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ, pipe)
            while selector.get_map():
                ended = self._process.poll() is not None
                ready = selector.select(0 if ended else min(_LOOK, deadline.seconds))
                for key, _ in ready:
                    if not self._read(key.data):
                        selector.unregister(key.data)
                if len(self._output) > MAX_OUTPUT:
                    return "too much"
                if ended and not ready:
                    return ""  # what keeps the pipes open is not the program that was asked
                if deadline.seconds <= 0:
                    return "timeout"
        try:
            self._process.wait(deadline.seconds)
        except subprocess.TimeoutExpired:
            return "timeout"
        return ""

    def _read(self, pipe: IO[bytes]) -> bool:
        """Take what is there; False at the end of the pipe."""
        try:
            if pipe is self._process.stdout:
                size = len(self._output)
                self._output += os.read(pipe.fileno(), _CHUNK)
                return len(self._output) > size
            count = len(os.read(pipe.fileno(), _CHUNK))
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._stderr_bytes += count
        return count > 0

    def _kill(self) -> None:
        """End the whole group. Not yet reaped, so its number cannot belong to anyone else."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP)
