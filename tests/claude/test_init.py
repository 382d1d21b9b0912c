from __future__ import annotations

import subprocess
import sys

import pytest

import secretkit.claude

WITHOUT_EXTRA = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"anthropic", "httpx2"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
sys.meta_path.insert(0, Hidden())
import secretkit.claude
from secretkit.errors import ConfigError
try:
    secretkit.claude.connect
except ConfigError as error:
    print(error.hint)
"""


def test_every_public_name_is_there():
    for name in secretkit.claude.__all__:
        assert getattr(secretkit.claude, name).__name__ == name
    assert dir(secretkit.claude) == sorted(secretkit.claude.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = secretkit.claude.nothing


def test_importing_the_room_imports_no_sdk():
    code = "import sys, secretkit.claude; print(sorted({'anthropic','httpx2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"[]\n"


def test_a_missing_extra_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRA], capture_output=True, check=True)
    assert done.stdout == b'pip install "secretkit[claude]"\n'
