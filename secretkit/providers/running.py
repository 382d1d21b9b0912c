"""Programs that this process started and that still run: none of them outlives it."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Running"]

_START: Final = 1.0  # a program starts in milliseconds, unless its file system hangs


class Running:
    """Starts programs, each in a process group of its own, and ends them on request. Thread-safe.

    A killed process cannot end its programs, and a forked child does not end its parent's.
    """

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.end)

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._starting = 0
        self._over = False
        self._programs: set[subprocess.Popen[bytes]] = set()

    def start(
        self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a program without a shell, its output in pipes.

        Raises:
            OSError: if it cannot be started, or if this process is ending.
        """
        with self._changed:
            if self._over:
                raise OSError(errno.ECANCELED, "this process is ending")
            self._starting += 1
        outcome: list[subprocess.Popen[bytes] | Exception] = []
        # Ctrl-C meets the main thread only. Inside Popen it would lose the number of the program.
        starter = threading.Thread(target=self._start, args=(argv, cwd, env, outcome), daemon=True)
        starter.start()
        starter.join()
        (found,) = outcome
        if isinstance(found, Exception):
            raise found
        return found

    def _start(
        self,
        argv: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        outcome: list[subprocess.Popen[bytes] | Exception],
    ) -> None:
        started: list[subprocess.Popen[bytes]] = []
        try:
            started.append(
                subprocess.Popen(  # noqa: S603 - a list from the configuration, and no shell
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                )
            )
            outcome.extend(started)
        except Exception as error:  # noqa: BLE001 - raised again where the program was asked for
            outcome.append(error)
        finally:
            with self._changed:
                self._starting -= 1
                self._programs.update(started)
                self._changed.notify_all()

    def ended(self, program: subprocess.Popen[bytes]) -> None:
        """Note that ``program`` was waited for."""
        with self._changed:
            self._programs.discard(program)

    def end(self) -> None:
        """Kill what still runs with its process group, and start nothing any more.

        It runs at exit, where no thread that waits for a program will see to that any more: after
        Ctrl-C, say. A program that is just being started is waited for.
        """
        with self._changed:
            self._over = True
            self._changed.wait_for(lambda: not self._starting, _START)
            for program in self._programs:
                if program.poll() is None:  # not reaped, so its number is nobody else's
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(program.pid, signal.SIGKILL)
