"""The leak guard is on for the whole suite: it depends on no option, environment or directory."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from secretkit.core.secret import Secret

if TYPE_CHECKING:
    from secretkit.testing import LeakGuard

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session", autouse=True)
def canary(leak_guard: LeakGuard) -> Secret:
    """One live secret for the whole session: any test may use it, and none may leak it."""
    secret = Secret(f"sk-ant-api03-{secrets.token_urlsafe(69)}-AA")
    leak_guard.watch(secret, until="session")
    return secret
