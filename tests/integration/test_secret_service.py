"""The keyring provider against a real Secret Service: gnome-keyring on a D-Bus session of its own.

Each session has a private HOME and runtime directory, and ends with its test module.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("dbus-run-session", "gnome-keyring-daemon")

# Runs inside the session. It is given a pytest file, or a program, to run under an open keyring.
SESSION = """
set -e
gnome-keyring-daemon --foreground --unlock --components=secrets <<< test-password >/dev/null 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
ring=$HOME/.local/share/keyrings/login.keyring
for _ in $(seq 100); do test -e "$ring" && break; sleep 0.05; done
"$@"
"""

CONTRACT = """
from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.providers.keyring import KeyringProvider
from secretkit.testing.contract import WritableContract


PROVIDER = KeyringProvider(clock=SystemClock())


class TestSecretService(WritableContract):
    keeps_versions = False
    tests = 0

    def setup_method(self):
        type(self).tests += 1

    def make_provider(self):
        return PROVIDER

    def put(self, name, value):
        PROVIDER.write(self.ref(name), Secret(value))

    def ref(self, name):
        return SecretRef("keyring", f"secretkit-test-{self.tests}/{name}")
"""

LOCKED = """
import time
from datetime import timedelta
import secretstorage
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError
from secretkit.providers.registry import factory
from secretkit.testing.context import provider_context

provider = factory("keyring").open({"timeout": "20s"}, provider_context())
ref = SecretRef("keyring", "app/user")
provider.write(ref, Secret("stored"))
assert provider.fetch(ref, timeout=timedelta(seconds=20)).secret.reveal() == "stored"
bus = secretstorage.dbus_init()
secretstorage.get_default_collection(bus).lock()
bus.close()
began = time.monotonic()
for act in (
    lambda: provider.fetch(ref, timeout=timedelta(seconds=20)),
    lambda: provider.write(ref, Secret("x")),
    lambda: provider.delete(ref),
):
    try:
        act()
    except AccessDeniedError as error:
        assert "unlock" in error.hint
    else:
        raise AssertionError("a locked keyring answered")
assert time.monotonic() - began < 15, "a locked keyring must not wait for its deadline"
print("denied three times")
"""


def session(*argv: str) -> subprocess.CompletedProcess[str]:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI") == "true":  # noqa: TID251 - the rule of the house for tests
            pytest.fail(reason)
        pytest.skip(reason)
    # Not tmp_path: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="sk-") as home:
        environ = {
            "PATH": os.defpath + ":/usr/local/bin",
            "HOME": home,
            "XDG_RUNTIME_DIR": home,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            ["dbus-run-session", "--", "bash", "-c", SESSION, "bash", *argv],
            env=environ,
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert left_in(home) == []
    return done


def left_in(home: str) -> list[str]:
    """Give the processes that still have the session's HOME, zombies apart."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if f"HOME={home}\0".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_the_contract_holds_over_a_real_secret_service(tmp_path: Path) -> None:
    suite = tmp_path / "test_contract_over_dbus.py"
    suite.write_text(CONTRACT)
    done = session(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        "-c",
        os.devnull,
        str(suite),
    )
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout
    assert "passed" in done.stdout


def test_a_locked_collection_is_denied_long_before_the_deadline() -> None:
    done = session(sys.executable, "-c", LOCKED)
    assert (done.returncode, done.stdout) == (0, "denied three times\n"), done.stderr
