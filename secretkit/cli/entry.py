"""The console script: runs one command and turns its end into an exit code.

No traceback ever reaches the user: its frames and its text could hold a secret.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Final

from secretkit.cli import exits
from secretkit.cli.output import prose
from secretkit.cli.session import Session
from secretkit.errors import LedgerError, SecretkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``secretkit`` with ``arguments`` (default: the process's) and give its exit code."""
    _settle_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session()
    if given[:1] == ["token"]:
        from secretkit.cli import fast  # noqa: PLC0415 - only the one command needs it

        ask = fast.token_request(given[1:], session)
        if ask is not None:
            return _ended(session, ask)
    if given[:2] == ["hook", "run"]:
        from secretkit.cli import fast  # noqa: PLC0415 - as above

        ask = fast.hook_request(given[2:], session)
        if ask is not None:
            return _ended(session, ask)
    from secretkit.cli.root import run  # noqa: PLC0415 - imports click, which token spares

    return _ended(session, lambda: run(given, session))


def _settle_streams() -> None:
    """Make sure that 0, 1 and 2 are open, and that no character can break an output.

    Started with one of them closed (``>&-``), the next file that is opened, our database say, would
    take its number and receive what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # Writing to this stdout fails: a value that nobody gets is not handed out in silence.
            mode = os.O_RDONLY if number == 1 else os.O_RDWR
            while (opened := os.open(os.devnull, mode)) < number:
                pass
            os.set_inheritable(opened, True)  # noqa: FBT003 - positional only
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - a descriptor that stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _ended(session: Session, work: Callable[[], int]) -> int:
    """Do the work, close the session, flush stdout; translate each way it can end."""
    try:
        try:
            code = work()
        finally:
            session.close()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place that can keep its text to itself
        return _failed(session, error)
    return code


def _failed(session: Session, error: Exception) -> int:
    if isinstance(error, SecretkitError):
        return _explain(session, error)
    if isinstance(error, BrokenPipeError):
        _drop_stdout()
        return exits.BROKEN_PIPE
    if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
        _drop_stdout()
        return _explain(session, _unwritten(error.errno))
    return _defect(error)


def _drop_stdout() -> None:
    """Let what is left in the buffer go nowhere: at exit it would fail again, loudly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritten(number: int | None) -> LedgerError:
    hint = "free some space there, and try again"
    if number == errno.EBADF:
        hint = "stdout is closed; send it to a pipe, a file or /dev/null"
    return LedgerError(f"stdout: {os.strerror(number or errno.EIO)}", hint=hint)


def _explain(session: Session, error: SecretkitError) -> int:
    """Say what failed, why, and what to type next."""
    what = f"secretkit {session.command}".strip()
    lines = [f"{what}: {exits.verdict(error)}", str(error) or type(error).__name__]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    prose(*lines)
    return exits.NOT_STARTED if session.command == "run" else exits.exit_code(error)


def _defect(error: Exception) -> int:
    place = "?"
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "secretkit" in code.co_filename or place == "?":
            place = f"{code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    prose(
        f"secretkit: this is a bug, not your mistake: {type(error).__name__} at {place}",
        "its text is withheld, because it could hold a secret",
        "hint: report the line above, with the output of secretkit version",
    )
    return exits.DEFECT
