"""A real OpenBao on which jobs run under one policy, and which notes what it refuses."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from secretkit.broker.clock import SystemClock
from secretkit.core.message import Reply, Request
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import SecretkitError
from secretkit.providers.vault.provider import VersionedVaultProvider
from secretkit.testing import FakeClock, MemoryProvider
from secretkit.testing.bao import Bao
from secretkit.testing.context import provider_context
from secretkit.wire import HttpTransport

Refused = tuple[str, str]
POLICY = "under-test"
TIMEOUT = timedelta(seconds=15)
_NO = 403


class Noting:
    """A transport that notes the requests that were refused."""

    def __init__(self) -> None:
        self.refused: list[Refused] = []
        self._inner = HttpTransport(clock=SystemClock())

    def send(self, request: Request, *, ref: str, timeout: timedelta) -> Reply:
        reply = self._inner.send(request, ref=ref, timeout=timeout)
        call = (request.method, urlsplit(request.url).path.removeprefix("/v1/"))
        if reply.status == _NO:
            self.refused.append(call)
        return reply


class Worker:
    """What a job is given: the provider, and plain requests, both with the policy and no other."""

    def __init__(self, bao: Bao, *, login: tuple[str, Secret]) -> None:
        self.noting = Noting()
        self.clock = FakeClock()
        secret_id = MemoryProvider()
        secret_id.set("id", login[1].reveal())
        context = replace(
            provider_context(clock=self.clock, providers={"memory": secret_id}),
            transport=lambda **_: self.noting,
        )
        auth = {"method": "approle", "role_id": login[0], "secret_id": "memory:id"}
        options = {"address": bao.url, "auth": auth}
        self.provider = VersionedVaultProvider.open(options, context)
        self._plain = Plain(bao)
        self._token = self._plain.login(*login)

    def ask(self, method: str, path: str, **body: object) -> Any:
        """Ask for what no provider does yet; the answer's data."""
        status, answer = self._plain.ask(self._token, method, path, body)
        if status == _NO:
            self.noting.refused.append((method, path))
            raise PermissionError(path)
        assert status < 300, (method, path, status, answer)
        return answer.get("data")

    def fetch(self, ref: str) -> Any:
        return self.provider.fetch(SecretRef.parse(ref), timeout=TIMEOUT)

    def pass_time(self) -> None:
        """Let the token become due for renewal, which the next call does."""
        self.clock.advance(timedelta(minutes=45))

    def close(self) -> None:
        self.provider.close()
        self._plain.close()


class Plain:
    """Requests with a token over one connection."""

    def __init__(self, bao: Bao) -> None:
        self._line = http.client.HTTPConnection(urlsplit(bao.url).netloc, timeout=15)

    def ask(
        self, token: Secret, method: str, path: str, body: dict[str, object]
    ) -> tuple[int, dict[str, Any]]:
        headers = {"X-Vault-Token": token.reveal()}
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = json.dumps(body) if method in {"POST", "PATCH"} else None
        self._line.request(method, f"/v1/{path}", sent, headers | {"Content-Type": kind})
        reply = self._line.getresponse()
        answer = reply.read()
        return reply.status, json.loads(answer) if answer else {}

    def login(self, role_id: str, secret_id: Secret) -> Secret:
        body = {"role_id": role_id, "secret_id": secret_id.reveal()}
        _, answer = self.ask(Secret("none"), "POST", "auth/approle/login", body)
        return Secret(answer["auth"]["client_token"])

    def close(self) -> None:
        self._line.close()


class Bench:
    """Puts a policy in force, and runs a job or tries what has to be refused."""

    def __init__(self, bao: Bao) -> None:
        self.bao = bao
        bao.write("sys/auth/approle", type="approle")
        bao.write(
            "auth/approle/role/job",
            token_policies=[POLICY],
            token_no_default_policy=True,
            token_ttl="1h",
        )
        role_id = bao.read("auth/approle/role/job/role-id")["data"]["role_id"]
        made = bao.write("auth/approle/role/job/secret-id")["data"]["secret_id"]
        self.login = (role_id, Secret(made))

    def refused(self, policy: str, job: Callable[[Worker], None]) -> list[Refused]:
        """Do a job under a policy; give the calls that were refused."""
        self.bao.policy(POLICY, policy)
        worker = Worker(self.bao, login=self.login)
        try:
            job(worker)
        except (PermissionError, SecretkitError):
            if not worker.noting.refused:
                raise
        finally:
            worker.close()
        return worker.noting.refused

    def passed(self, policy: str, cases: list[tuple[str, str, dict[str, object]]]) -> list[str]:
        """Try each case under a policy; give those that were not refused."""
        self.bao.policy(POLICY, policy)
        plain = Plain(self.bao)
        token = plain.login(*self.login)
        found = []
        for method, path, body in cases:
            status, _ = plain.ask(token, method, path, body)
            if status != _NO:
                found.append(f"{method} {path}")
        plain.close()
        return found

    def capabilities(self, policy: str, paths: list[str]) -> dict[str, set[str]]:
        """What the server itself says that a token with this policy may do."""
        self.bao.policy(POLICY, policy)
        token = self.bao.token(policies=[POLICY], no_default_policy=True, ttl="1h")
        said = self.bao.write("sys/capabilities", token=token.reveal(), paths=paths)["data"]
        return {path: set(said[path]) for path in paths}
