"""Other processes: commands that are timed, and the Claude stand-in that is talked to."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretkit.core.secret import Secret

BIN: Final = Path(sys.executable).parent
_PATIENCE: Final = 30.0


class CommandFailedError(Exception):
    """A command that was to be timed did not do its work."""


def clean_environ(home: Path) -> dict[str, str]:
    """Give an environment with a home of its own and nothing of this process's."""
    return {"HOME": str(home), "PATH": f"{BIN}:/usr/bin:/bin", "LANG": "C.UTF-8"}


def timed(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Give the seconds from start to end of a process whose output is thrown away."""
    began = time.perf_counter()
    # os.posix_spawn: subprocess would add its own work, and a fork of this large process.
    pid = os.posix_spawn(
        command[0],
        list(command),
        dict(environ),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
    )
    _, status = os.waitpid(pid, 0)
    taken = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) != 0:
        raise CommandFailedError(f"{Path(command[0]).name} ended with an error")
    return taken


def output(command: Sequence[str], environ: Mapping[str, str], *, given: str = "") -> str:
    """Run a command to its end and give what it wrote to stdout."""
    done = _run(command, environ, given)
    return done.stdout


def errors(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run a command to its end and give what it wrote to stderr."""
    return _run(command, environ, "").stderr


def _run(
    command: Sequence[str], environ: Mapping[str, str], given: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        env=dict(environ),
        input=given,
        capture_output=True,
        text=True,
        timeout=_PATIENCE * 4,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [""]
        raise CommandFailedError(f"{Path(command[0]).name} ended with {done.returncode}: {last[0]}")
    return done


@contextlib.contextmanager
def stand_in(key: Secret) -> Iterator[str]:
    """Run the Claude stand-in as a process that accepts ``key``; give its URL."""
    command = [sys.executable, "-m", "secretkit.testing.stub", "--control"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise TypeError("a pipe was asked for")
    try:
        url = process.stdout.readline().strip()
        accept = {"do": "accept", "label": "benchmark", "key": key.reveal()}
        process.stdin.write(json.dumps(accept) + "\n")
        process.stdin.flush()
        if not json.loads(process.stdout.readline()).get("ok"):
            raise CommandFailedError("the stand-in did not take the key")
        yield url
    finally:
        process.stdin.close()
        process.wait(_PATIENCE)
        process.stdout.close()
