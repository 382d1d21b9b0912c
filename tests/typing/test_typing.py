from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def mypy(*files: Path) -> subprocess.CompletedProcess[str]:
    """Run ``mypy --strict`` from the repository's root, with the repository's settings."""
    if subprocess.run([sys.executable, "-c", "import mypy"], check=False).returncode:
        reason = "mypy is not installed: it comes with the group lint"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)  # noqa: TID251 - tests only
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_users_write_is_typed_and_what_they_may_not_write_is_an_error():
    done = mypy(HERE / "api.py", HERE / "platform.py")
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_a_wrong_line_in_that_file_would_be_noticed(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from secretkit.core.secret import Secret\n\nlen(Secret('a'))\n")
    done = mypy(wrong)
    assert "arg-type" in done.stdout
    assert done.returncode == 1
