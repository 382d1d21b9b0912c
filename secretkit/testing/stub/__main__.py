"""The stand-in as a process: ``python -m secretkit.testing.stub --port 0``.

The first line of its output is its URL. With ``--control`` it reads commands from standard input,
one JSON object a line, and answers each with one line; the end of the input ends the process.
Without it, SIGINT or SIGTERM does. Keys come by standard input only: argv can be read by others.

::

    {"do": "accept", "label": "a", "key": "…"}      {"do": "refuse", "label": "a"}
    {"do": "refuse_after", "label": "a", "seconds": 2.5}       {"do": "expire", "label": "a"}
    {"do": "next", "status": 429, "retry_after": 1}            {"do": "summary"}
    {"do": "down"}       {"do": "up"}       {"do": "reply", "text": "…"}
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.secret import Secret
from secretkit.errors import SecretkitError
from secretkit.testing.stub.face import ClaudeStub
from secretkit.testing.stub.script import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_NEXT: Final = frozenset(
    ("status", "times", "path", "retry_after", "cut_after", "error_after", "error")
)
_NEXT_SECONDS: Final = frozenset(("delay", "pace"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run until the input ends (``--control``) or a signal comes."""
    parser = argparse.ArgumentParser(
        prog="python -m secretkit.testing.stub",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--log", type=Path, default=None, help="append a JSON line a request")
    parser.add_argument("--control", action="store_true", help="read commands from stdin")
    options = parser.parse_args(argv)
    done = threading.Event()
    if not options.control:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: done.set())
    with ClaudeStub(port=options.port, log_file=options.log) as stub:
        _say(stub.url)
        if options.control:
            with contextlib.suppress(KeyboardInterrupt):
                _obey(stub)
        else:
            done.wait()
    return 0


def _obey(stub: ClaudeStub) -> None:
    for line in sys.stdin:
        try:
            answer = _command(stub, json.loads(line))
        except SecretkitError as error:
            answer = {"ok": False, "error": str(error), "hint": error.hint}
        except (ValueError, TypeError, KeyError, AttributeError):
            # Their text can quote the line, and the line can hold a key.
            answer = {"ok": False, "error": "this is not a command", "hint": "see --help"}
        _say(json.dumps(answer))


def _command(stub: ClaudeStub, command: dict[str, object]) -> dict[str, object]:
    do = command.pop("do")
    if do == "next":
        _next(stub, command)
    elif do == "summary":
        return {"ok": True} | stub.summary()
    elif do == "accept":
        stub.keys.accept(Secret(str(command.pop("key"))), label=_label(command))
    elif do == "refuse_after":
        seconds = timedelta(seconds=float(str(command["seconds"])))
        stub.keys.refuse_after(_label(command), seconds)
    elif do == "reply":
        stub.reply = str(command["text"])
    else:
        {
            "refuse": lambda: stub.keys.refuse(_label(command)),
            "expire": lambda: stub.keys.expire(_label(command)),
            "down": stub.down,
            "up": stub.up,
        }[str(do)]()
    return {"ok": True}


def _next(stub: ClaudeStub, command: dict[str, object]) -> None:
    if command.keys() - _NEXT - _NEXT_SECONDS:
        raise ValueError("unknown field")
    for name in _NEXT_SECONDS & command.keys():
        command[name] = timedelta(seconds=float(str(command[name])))
    stub.script(Step(**command))  # type: ignore[arg-type]  # Step checks its values


def _label(command: dict[str, object]) -> str:
    return str(command["label"])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
