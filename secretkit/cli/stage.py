"""Stage: what the rehearsal is played on. The stand-in as a process, and a store with a door."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

from secretkit.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from secretkit.core.ref import SecretRef
    from secretkit.ports import Fetched, Provider

__all__ = ["Gate", "StandIn"]


class StandIn:
    """The Claude stand-in as a process. Keys go to it by standard input, never by argv."""

    def __init__(self, log: Path) -> None:
        self._lock = threading.Lock()
        command = [sys.executable, "-m", "secretkit.testing.stub", "--control", "--log", str(log)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module, constant arguments
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self._read()

    def _read(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the stand-in has no output")
        return self._process.stdout.readline().strip()

    def tell(self, **command: object) -> None:
        """Give the stand-in a command and wait until it is done."""
        with self._lock:
            if self._process.stdin is None:
                raise RuntimeError("the stand-in has no input")
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._read())
        if not answer.get("ok"):
            raise RuntimeError(f"the stand-in refused {command.get('do')!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Gate:
    """The store, with a door that the demo can shut: a shut store does not answer."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner
        self.shut = threading.Event()
        self.calls = 0
        self.failures = 0

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Ask the real store, unless the door is shut."""
        self.calls += 1
        if self.shut.is_set():
            self.failures += 1
            raise ProviderUnavailableError(f"{ref}: the store is away", ref=str(ref))
        return self._inner.fetch(ref, timeout=timeout)
