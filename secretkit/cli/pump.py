"""Pumps: each copies one output of a child through a masker to ours, in a thread of its own."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.redact import StreamMasker

__all__ = ["Pump", "finish"]

_PIECE: Final = 1 << 16
# A grandchild that keeps the pipe open and says nothing must not keep us.
_IDLE_MS: Final = 2000
_LOOK: Final = 0.1


class Pump(threading.Thread):
    """Copies ``source`` to the descriptor ``target`` until its end.

    ``ended`` is a pipe that reads as closed once the child is gone: from then on a source that is
    silent for two seconds counts as ended; a reader of ours that is slow does not. ``problem`` says
    afterwards why the target took no more, if so.
    """

    def __init__(self, source: IO[bytes], target: int, *, masker: StreamMasker, ended: int) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._target = target
        self._masker = masker
        self._ended = ended
        self.problem = ""

    def run(self) -> None:
        """Copy. If the target takes no more, close the pipe, so that the child learns it too."""
        try:
            with self._source:
                while self._has_more() and (piece := os.read(self._source.fileno(), _PIECE)):
                    self._write(self._masker.feed(piece))
                self._write(self._masker.flush())
        except BrokenPipeError:
            pass  # the reader went away, as after head: no error
        except OSError as error:
            stream = "stdout" if self._target == 1 else "stderr"
            self.problem = f"{stream}: {error.strerror or type(error).__name__}"

    def _has_more(self) -> bool:
        """Wait for bytes or the end; say False if, after the child's end, neither comes."""
        both = select.poll()
        both.register(self._source, select.POLLIN)
        both.register(self._ended, select.POLLIN)
        if any(number == self._source.fileno() for number, _ in both.poll()):
            return True
        both.unregister(self._ended)
        return bool(both.poll(_IDLE_MS))

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._target, left) :]
            except BlockingIOError:  # whoever gave us the target made it non-blocking
                room = select.poll()
                room.register(self._target, select.POLLOUT)
                room.poll()


def finish(pumps: Sequence[Pump], *, ended: int, stopped: Sequence[int]) -> str:
    """Let the pumps drain after the child's end, and give the first problem one of them had.

    ``ended`` is the end to close of the pipe they watch. A signal that appears in ``stopped``
    cuts it short, because there is no child left that could answer to it.
    """
    with suppress(OSError):
        os.close(ended)
    while any(pump.is_alive() for pump in pumps) and not stopped:
        for pump in pumps:
            pump.join(_LOOK)
    return next((pump.problem for pump in pumps if pump.problem), "")
