"""Reads the documents for ``test_docs``: blocks, what may stand above them, and sessions.

What a writer of documents needs to know:

- In a ``console`` block a line that starts with ``$ `` is a command, the lines after it what a
  terminal shows. ``…`` stands for any text, a line ``…`` for any lines. A command that shows
  ``$?`` may follow one that fails; every other command must end with exit code 0. A block of
  commands alone is run, and what it shows is not compared.
- All blocks of a page run in order, in one fresh home (``/home/you``). Hidden prompts are given a
  made-up key, which is in ``~/key`` too; questions are answered with yes. ``app.py`` stands for
  the reader's own program.
- The ``python`` blocks of a page run after its sessions, in one process and one namespace, where a
  stand-in takes the place of the Claude API.
- ``toml`` blocks are read as a configuration, and each built-in provider in them is opened.
- A comment above a block changes that: ``<!-- file: NAME -->`` writes the block to a file of the
  session when it is reached, ``<!-- same as: PATH -->`` says which file of the repository it
  repeats, and ``<!-- not run: REASON -->`` leaves it out, and is counted.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import secrets
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
KEY = f"sk-ant-api03-{secrets.token_urlsafe(69)}-AA"
LIMIT = 60.0  # seconds without a word after which a command counts as hung

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>file|same as|not run): (?P<text>[^\n]+?) -->\n+)?"
    r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_END = re.compile(r"\x1e(\d+)\x1e")
_IDENTITY = {
    f"GIT_{who}_{what}": text
    for who in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "you"), ("EMAIL", "you@example.org"))
}
_SIZE = struct.pack("HHHH", 60, 400, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: its language, its text, its line, and the comment above it."""

    page: Path
    line: int
    kind: str
    body: str
    mark: str = ""
    text: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def steps(self) -> list[tuple[str, list[str]]]:
        """Each command with what a terminal shows after it."""
        found: list[tuple[str, list[str]]] = []
        for line in self.body.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
        return found


def blocks(page: Path) -> list[Block]:
    """Give the fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("body")),
            kind=found["kind"],
            body=found["body"],
            mark=found["mark"] or "",
            text=found["text"] or "",
        )
        for found in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """Give a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


class Session:
    """A home of its own, and a terminal in which commands run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.cwd = home / "work"
        self.cwd.mkdir(mode=0o755)
        (self.cwd / "app.py").write_text('print("hello")\n')
        (home / "key").touch(mode=0o600)
        (home / "key").write_text(KEY)
        self.environ = {
            "HOME": str(home),
            "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "NO_COLOR": "1",
            "USER": "you",
            **_IDENTITY,
        }
        self.placed: Callable[[str], str] = str  # what a stand-in changes in files

    def write(self, block: Block) -> None:
        """Put a block into the file that its comment names."""
        path = self.home / block.text[2:] if block.text.startswith("~/") else self.cwd / block.text
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(self.placed(block.body))
        path.chmod(0o644)

    def run(self, block: Block) -> list[tuple[int, str]]:
        """Run the commands of a block in one shell; give exit code and screen of each."""
        script = "true\n" + "".join(
            f"{command}\n__code=$?; printf '\\036%s\\036' $__code; (exit $__code)\n"
            for command, _ in block.steps
        )
        parts = _END.split(self._screen(script))
        return [(int(parts[n + 1]), self._shown(parts[n])) for n in range(0, len(parts) - 1, 2)]

    def _shown(self, screen: str) -> str:
        screen = _ESCAPE.sub("", screen).replace("\r\n", "\n").replace(KEY, "THE-KEY")
        return screen.replace(str(self.home), "/home/you")

    def _screen(self, script: str) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, _SIZE)
        # setsid makes the terminal its own, so that hidden prompts find it as /dev/tty.
        command = ["setsid", "-c", "-w", "bash", "-c", script]
        process = subprocess.Popen(
            command, cwd=self.cwd, env=self.environ, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        screen = ""
        try:
            while select.select([ours], [], [], LIMIT)[0]:
                try:
                    screen += os.read(ours, 65536).decode(errors="replace")
                except OSError:  # EIO: nobody has the terminal open any more
                    break
                if re.search(r"(\(hidden\)|Again): $", screen):
                    os.write(ours, f"{KEY}\n".encode())
                elif screen.endswith("[y/N]: "):
                    os.write(ours, b"y\n")
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        return screen


def lines(text: str) -> list[str]:
    """Give the lines of a screen as they are compared: widths of tables do not count."""
    plain = (re.sub(r"[ \t]+", " ", re.sub(r"─+", "─", line)).strip() for line in text.splitlines())
    return [line for line in plain if line]


def matches(expected: str, screen: str) -> bool:
    """Say whether a screen is what a page shows."""
    parts = [
        r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + "\n"
        for line in lines(expected)
    ]
    return re.fullmatch("".join(parts), "".join(f"{line}\n" for line in lines(screen))) is not None
