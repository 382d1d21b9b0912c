"""The command provider keeps the contract, with a program that reads files."""

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from secretkit.core.ref import SecretRef
from secretkit.providers.command import CommandProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract

PROGRAM = """#!/bin/sh
test -e stalled && exec sleep 60
case "$1" in *[!a-z]*) exit 44 ;; esac
test -f "$1" || exit 44
exec cat "$1"
"""


class TestCommand(ProviderContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.place = tmp_path
        self.program = tmp_path / "STORE"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o700)

    def make_provider(self) -> CommandProvider:
        options = {
            "argv": [str(self.program), "{path}"],
            "exit": {"44": "not-found"},
            "cwd": str(self.place),
        }
        environ = {"PATH": "/usr/bin:/bin"}
        return CommandProvider.open(options, provider_context(environ=environ))

    def put(self, name: str, value: str) -> None:
        (self.place / name).write_bytes(value.encode())

    def ref(self, name: str) -> SecretRef:
        return SecretRef("command", name)

    def malformed(self) -> Sequence[SecretRef]:
        return (SecretRef("command", "-n"), SecretRef("command", "a", version="2"))

    @contextmanager
    def stalled(self, name: str):
        (self.place / "stalled").touch()
        yield
