"""Runs a child process as if it had been started directly: its exit code, its signals.

With ``mask`` its output passes through us, so that known secrets are taken out; it then sees a
pipe and not a terminal. A signal that a terminal key sends reaches the child by itself, because it
is in our process group; all others are forwarded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

from secretkit.cli import exits
from secretkit.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from secretkit.redact import StreamMasker

__all__ = ["forwarding", "run_child"]

_FORWARDED: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
_FROM_KEYS: Final = frozenset({"SIGINT", "SIGQUIT", "SIGWINCH"})
_PIECE: Final = 1 << 16
# A grandchild that keeps the pipe open must not keep us: what it says later is lost.
_LAST_WORDS: Final = 2.0


def run_child(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    mask: Callable[[], StreamMasker] | None,
    forward: Callable[[subprocess.Popen[bytes]], None],
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
    forward(child)
    pumps = [] if mask is None else _pumps(child, mask)
    code = child.wait()
    for pump in pumps:
        pump.join(_LAST_WORDS / len(pumps))
    return code if code >= 0 else 128 - code


def _not_started(name: str, error: OSError) -> int:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    sys.stderr.write(
        f"secretkit run: the command was not started\n"
        f"{printable(name)}: {error.strerror or type(error).__name__}\n"
        f"hint: check its spelling, PATH and file mode: command -v {printable(name)}\n"
    )
    return exits.NOT_FOUND if missing else exits.NOT_EXECUTABLE


@contextmanager
def forwarding() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Catch signals from now on; give the function that names the child to send them to.

    One that comes before there is a child waits for it: files with secrets may stand there already.
    """
    waiting: list[int] = []
    children: list[subprocess.Popen[bytes]] = []

    def caught(number: int, _frame: object) -> None:
        if children:
            _send(children[0], number)
        else:
            waiting.append(number)

    def forward(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        while waiting:
            _send(child, waiting.pop(0))

    before = {}
    for name in _FORWARDED:
        number = getattr(signal, name)
        # One that is ignored (nohup) stays ignored, for the child too.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, caught)
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
    child: subprocess.Popen[bytes], mask: Callable[[], StreamMasker]
) -> list[threading.Thread]:
    pumps = [
        threading.Thread(target=_pump, args=(source, target, mask()), daemon=True)
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


def _pump(source: IO[bytes], target: int, masker: StreamMasker) -> None:
    """Copy until the end. If nobody reads on, close the pipe, so that the child learns it too."""
    with source, suppress(BrokenPipeError):
        while piece := os.read(source.fileno(), _PIECE):
            _write(target, masker.feed(piece))
        _write(target, masker.flush())


def _write(target: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]
