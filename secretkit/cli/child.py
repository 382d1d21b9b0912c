"""Runs a child process as if it had been started directly: its exit code, its signals.

With ``mask`` its output passes through us, so that known secrets are taken out; it then sees a
pipe and not a terminal. A signal that a terminal key sends reaches the child by itself, because it
is in our process group; all others are forwarded.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from secretkit.cli import exits
from secretkit.cli.output import prose
from secretkit.cli.pump import Pump, finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from secretkit.redact import StreamMasker

__all__ = ["Forward", "forwarding", "run_child"]

_FORWARDED: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
_FROM_KEYS: Final = frozenset({"SIGINT", "SIGQUIT", "SIGWINCH"})
_ENDING: Final = frozenset({"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"})


class Forward:
    """Sends the signals we get to the child, once it is named; see :func:`forwarding`."""

    def __init__(self) -> None:
        self.late: list[int] = []
        """Signals that wanted to end us after the child had ended."""
        self._waiting: list[int] = []
        self._child: subprocess.Popen[bytes] | None = None

    def to(self, child: subprocess.Popen[bytes]) -> None:
        """Name the child; what came before it gets now."""
        self._child = child
        while self._waiting:
            _send(child, self._waiting.pop(0))

    def caught(self, number: int, _frame: object) -> None:
        """Pass one signal on."""
        if self._child is None:
            self._waiting.append(number)
        elif self._child.returncode is None:
            _send(self._child, number)
        elif signal.Signals(number).name in _ENDING:
            self.late.append(number)


def run_child(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    mask: Callable[[], StreamMasker] | None,
    forward: Forward,
) -> int:
    """Run ``command`` to its end and give its exit code, 128+n if signal n ended it.

    126 or 127, with a message, if it cannot be started. ``mask`` makes one masker for each of
    stdout and stderr; None lets the child write to ours directly. ``forward`` comes from
    :func:`forwarding`, which must be in force.
    """
    piped = None if mask is None else subprocess.PIPE
    try:
        child = subprocess.Popen(  # noqa: S603 - running what the user typed is the purpose
            list(command), env=dict(environ), stdout=piped, stderr=piped
        )
    except OSError as error:
        return _not_started(command[0], error)
    forward.to(child)
    if mask is None:
        code = child.wait()
        return code if code >= 0 else 128 - code
    watched, ended = os.pipe()
    pumps = _pumps(child, mask, ended=watched)
    code = child.wait()
    problem = finish(pumps, ended=ended, stopped=forward.late)
    if problem:
        _not_written(problem)
        code = code or exits.NOT_STARTED
    if forward.late:
        return 128 + forward.late[0]
    return code if code >= 0 else 128 - code


def _not_written(problem: str) -> None:
    prose(
        "secretkit run: the command's output was not written",
        problem,
        "hint: free some space there, or let the output go somewhere that takes it",
    )


def _not_started(name: str, error: OSError) -> int:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    hint = f"check its spelling, PATH and file mode: command -v {name}"
    if error.errno == errno.E2BIG:
        hint = "arguments and environment are too long; a large secret goes along with --file"
    prose(
        "secretkit run: the command was not started",
        f"{name}: {error.strerror or type(error).__name__}",
        f"hint: {hint}",
    )
    return exits.NOT_FOUND if missing else exits.NOT_EXECUTABLE


@contextmanager
def forwarding() -> Iterator[Forward]:
    """Catch signals from now on; give what sends them to the child.

    One that comes before there is a child waits for it: files with secrets may stand there already.
    """
    forward = Forward()
    before = {}
    for name in _FORWARDED:
        number = getattr(signal, name)
        # One that is ignored (nohup) stays ignored, for the child too.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, forward.caught)
    try:
        yield forward
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(child: subprocess.Popen[bytes], number: int) -> None:
    if signal.Signals(number).name in _FROM_KEYS and _in_foreground():
        return
    with suppress(ProcessLookupError):
        child.send_signal(number)


def _in_foreground() -> bool:
    """Say whether the keys of a terminal send their signals to our process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _pumps(
    child: subprocess.Popen[bytes], mask: Callable[[], StreamMasker], *, ended: int
) -> list[Pump]:
    pumps = [
        Pump(source, target, masker=mask(), ended=ended)
        for source, target in ((child.stdout, 1), (child.stderr, 2))
        if source is not None
    ]
    # Blocked in the threads that start now, so that signals reach the main thread, which waits.
    numbers = {getattr(signal, name) for name in _FORWARDED}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        for pump in pumps:
            pump.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pumps
