"""Runs the sessions in ``*.txt`` beside this file with the real console script.

``$ COMMAND`` is run by sh in a fresh home; the lines after it are its stdout, ``! LINE`` its
stderr, ``? N`` its exit code if that is not 0. ``<…>`` stands for any run of characters without a
space, a line ``...`` for any lines; ``#`` starts a comment between commands.
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SESSIONS = sorted(Path(__file__).parent.glob("*.txt"))


@dataclass
class Step:
    line: int
    command: str
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    code: int = 0


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("$ "):
            found.append(Step(number, line[2:]))
        elif line.startswith("#") or not found:
            continue
        elif line.startswith("! "):
            found[-1].err.append(line[2:])
        elif line.startswith("? "):
            found[-1].code = int(line[2:])
        elif line:
            found[-1].out.append(line)
    return found


def pattern(lines: list[str]) -> str:
    parts = [
        r"(?:.*\n)*" if line == "..." else re.sub(r"<[^<>]+>", r"\\S+", re.escape(line)) + r"\n"
        for line in lines
    ]
    return "".join(parts)


def matches(expected: list[str], text: str) -> bool:
    lines = "".join(f"{line}\n" for line in text.splitlines() if line)
    return re.fullmatch(pattern(expected), lines) is not None


@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_the_session_goes_as_written(session, home):
    for step in steps(session.read_text()):
        answer = subprocess.run(
            ["sh", "-c", step.command],
            cwd=home.cwd,
            env=home.environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
        out, err = answer.stdout.decode(), answer.stderr.decode()
        shown = f"{session.name}:{step.line}: $ {step.command}\n{out}! {err}? {answer.returncode}"
        assert answer.returncode == step.code, shown
        assert matches(step.out, out), shown
        assert matches(step.err, err), shown


def test_there_are_sessions_and_the_matcher_can_fail():
    assert len(SESSIONS) >= 6
    assert matches(["a <any> c", "...", "z"], "a b c\nx\ny\nz\n")
    assert not matches(["a <any> c"], "a b b c\n")
    assert not matches(["a"], "a\nb\n")
    assert not matches([], "b\n")
