import os
import pty
import subprocess
import sys

import pytest

SCRIPT = """
import threading
from secretkit.cli.progress import progress
from secretkit.cli.session import Session

session = Session()
session.quiet = {quiet}
with progress(session, title="looking") as step:
    step(1, 4)
    threading.Event().wait({wait})
    step(2, 4)
    step(4, 4)
print("done")
"""


def run(*, terminal: bool, quiet: bool = False, wait: float = 1.2) -> bytes:
    """Run the script and give what it wrote to stderr."""
    script = SCRIPT.format(quiet=quiet, wait=wait)
    environ = {"PATH": os.defpath, "TERM": "xterm", "HOME": "/nonexistent"}
    lead, follow = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=follow if terminal else subprocess.PIPE,
    )
    os.close(follow)
    out, err = process.communicate(timeout=60)
    assert out == b"done\n"
    if not terminal:
        os.close(lead)
        return err
    seen = b""
    try:
        while chunk := os.read(lead, 65536):
            seen += chunk
    except OSError:  # EIO: the other end is closed
        pass
    os.close(lead)
    return seen


def test_a_terminal_sees_a_bar_for_what_takes_long():
    seen = run(terminal=True)
    assert b"looking" in seen
    assert b"100%" in seen or b"50%" in seen


@pytest.mark.parametrize(
    ("terminal", "quiet", "wait"), [(False, False, 1.2), (True, True, 1.2), (True, False, 0)]
)
def test_nobody_else_sees_anything(terminal, quiet, wait):
    assert run(terminal=terminal, quiet=quiet, wait=wait) == b""
