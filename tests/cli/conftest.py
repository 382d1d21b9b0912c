import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
KEY = "sk-ant-api03-" + "aB3-" * 23 + "QQAA"
OTHER = "sk-ant-api03-" + "Zy9_" * 23 + "QQAA"


class Home:
    """A fresh home with its own environment, in which the real console script runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cwd = path / "work"
        self.cwd.mkdir(mode=0o755, exist_ok=True)
        self.cwd.chmod(0o755)
        self.environ = {
            "HOME": str(path),
            "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "KEY": KEY,
        }

    def start(self, *words: str, **kwargs) -> subprocess.Popen:
        kwargs = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "cwd": self.cwd,
            "env": self.environ,
        } | kwargs
        return subprocess.Popen([str(BIN / "secretkit"), *words], **kwargs)

    def run(self, *words: str, given: bytes = b"", **kwargs):
        with self.start(*words, **kwargs) as process:
            out, err = process.communicate(given, timeout=60)
        return process.returncode, out, err

    @property
    def config(self) -> Path:
        return self.path / ".config/secretkit/secretkit.toml"

    @property
    def state(self) -> Path:
        return self.path / ".local/state/secretkit"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture(scope="session")
def _stock(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("stock"))
    for words, given in ((("init",), b""), (("set", "claude", "-"), KEY.encode())):
        code, _, err = home.run(*words, given=given)
        assert code == 0, err
    return home


@pytest.fixture
def stocked(_stock, tmp_path):
    """A home with a configuration, a store, and the credential ``claude`` in it."""
    shutil.copytree(_stock.path, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


@pytest.fixture(scope="session", autouse=True)
def _umask():
    before = os.umask(0o022)
    yield
    os.umask(before)
