"""The pytest plugin: fixtures for secretkit, and the leak guard.

pytest loads it in every run of every project that has secretkit installed, so it imports nothing
and changes nothing until a fixture is used or ``secretkit_leak_guard = true`` is in the ini file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.core.secret import Secret
    from secretkit.testing.claude import ClaudeStub
    from secretkit.testing.clock import FakeClock
    from secretkit.testing.guard import LeakGuard
    from secretkit.testing.memory import MemoryProvider

_NAME: Final = "secretkit-leak-guard"
_INI: Final = "secretkit_leak_guard"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option that turns the leak guard on for a whole suite."""
    parser.addini(
        _INI,
        "fail a test whose output, log, traceback or written file holds a live secret, also for "
        "the secrets that secretkit's own fixtures make",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Turn the guard on if the ini file says so."""
    if config.getini(_INI):
        _guard(config)


def _guard(config: pytest.Config) -> LeakGuard:
    from secretkit.testing.watch import GuardWatch  # noqa: PLC0415 - only a run that asks pays

    watch = config.pluginmanager.get_plugin(_NAME)
    if watch is None:
        watch = GuardWatch(config)
        config.pluginmanager.register(watch, _NAME)
    guard: LeakGuard = watch.guard
    return guard


@pytest.fixture(scope="session")
def leak_guard(pytestconfig: pytest.Config) -> LeakGuard:
    """Give the guard of this run: ``leak_guard.watch(secret)`` makes a secret live for the test.

    From then on the test fails if its output, log, warnings, traceback or a written file holds it.
    """
    return _guard(pytestconfig)


@pytest.fixture
def canary(leak_guard: LeakGuard) -> Secret:
    """Give a fresh random secret in the shape of a Claude API key; it is watched."""
    return _canary(leak_guard)


def _canary(guard: LeakGuard) -> Secret:
    import secrets  # noqa: PLC0415 - only a run that asks pays

    from secretkit.core.secret import Secret  # noqa: PLC0415

    secret = Secret(f"sk-ant-api03-{secrets.token_urlsafe(69)}-AA")
    guard.watch(secret)
    return secret


@pytest.fixture
def fake_clock() -> FakeClock:
    """Give a clock that moves only when the test moves it."""
    from secretkit.testing.clock import FakeClock  # noqa: PLC0415 - only a run that asks pays

    return FakeClock()


@pytest.fixture
def memory_provider(fake_clock: FakeClock) -> MemoryProvider:
    """Give a scriptable provider over ``fake_clock``."""
    from secretkit.testing.memory import MemoryProvider  # noqa: PLC0415 - only a run that asks pays

    return MemoryProvider(clock=fake_clock)


@pytest.fixture
def claude_stub(request: pytest.FixtureRequest) -> Iterator[ClaudeStub]:
    """Give a running stand-in of the Claude API, on ``fake_clock`` if the test uses it too.

    The access tokens it mints are watched if the leak guard is on.
    """
    from secretkit.testing.claude import ClaudeStub  # noqa: PLC0415 - only a run that asks pays

    clock = None
    if "fake_clock" in request.fixturenames:
        clock = request.getfixturevalue("fake_clock")
    watch = request.config.pluginmanager.get_plugin(_NAME)
    on_mint = None if watch is None else watch.guard.watch
    with ClaudeStub(clock=clock, on_mint=on_mint) as stub:
        yield stub
