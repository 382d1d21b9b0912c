"""The real `secretkit scan` in a child whose memory and time are measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

BIN = Path(sys.executable).parent / "secretkit"
ENVIRON = {"PATH": f"{BIN.parent}:{os.defpath}", "LANG": "C.UTF-8"}
# From a small process: what is forked from a large one inherits its peak.
_MEASURE = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"[{os.waitstatus_to_exitcode(status)}, {used.ru_maxrss}, "
               f"{used.ru_utime + used.ru_stime}]")
"""


class Done(NamedTuple):
    """What a run gave; memory of the largest process in MiB, processor time and time in seconds."""

    code: int
    out: bytes
    err: bytes
    memory: float
    cpu: float
    seconds: float

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def findings(self) -> list[dict[str, Any]]:
        return self.report["findings"]

    @property
    def skipped(self) -> list[dict[str, Any]]:
        return self.report["stats"]["skipped"]


def scan(folder: Path, *words: str, home: Path, given: bytes = b"", **environ: str) -> Done:
    """Run it in ``folder`` and report as JSON, unless ``words`` say otherwise."""
    measured = home / "measured"
    words = words if "--format" in words else ("--format", "json", *words)
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _MEASURE, measured, BIN, "scan", *words],
        cwd=folder,
        env={**ENVIRON, "HOME": str(home), **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(given, timeout=600)
        except BaseException:  # a test that is ended leaves no scan behind
            os.killpg(process.pid, signal.SIGKILL)
            raise
    seconds = time.monotonic() - started
    assert measured.exists(), err
    code, memory, cpu = json.loads(measured.read_text())
    return Done(code, out, err, memory / 1024, cpu, seconds)
