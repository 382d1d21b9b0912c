"""credential_process: a program prints credentials; what else it says is not shown."""

from __future__ import annotations

import shlex
import sys
from datetime import timedelta

import pytest

from providers.aws.world import READER, TIMEOUT, World, document
from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.testing.trace import assert_no_trace

CANARY = "canary" + "w" * 20


def ask(world: World, script: str, *, timeout: timedelta = TIMEOUT) -> AwsCredentials:
    world.environ |= {"PATH": "/usr/bin:/bin"}
    source = world.open(process=["sh", "-c", script])
    found = source.acquire(timeout=timeout, refused=lambda _: False).credential
    assert isinstance(found, AwsCredentials)
    return found


def printing(text: str) -> str:
    return f"printf %s {shlex.quote(text)}"


def test_what_it_prints_is_used_and_a_role_is_assumed_with_it(world: World) -> None:
    script = printing(document(world.base, Version=1))
    assert ask(world, script).access_key_id == world.base.access_key_id
    source = world.open(process=["sh", "-c", script], assume_role={"role_arn": READER})
    assert source.acquire(timeout=TIMEOUT, refused=lambda _: False).ref == "aws:bedrock"
    assert source.method == "process sh"


def test_there_is_no_shell(world: World) -> None:
    text = document(world.base, Version=1)
    words = [sys.executable, "-c", "import sys; print(sys.argv[1])", text]
    source = world.open(process=[*words, "; false", "$(id)"])
    source.acquire(timeout=TIMEOUT, refused=lambda _: False)


def test_only_what_helpers_need_is_passed_on(world: World) -> None:
    world.environ |= {"ANTHROPIC_API_KEY": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY, "HOME": "/h"}
    script = f'test "$HOME" = /h && ! env | grep -q {CANARY} && '
    assert ask(world, script + printing(document(world.base, Version=1)))


@pytest.mark.parametrize(
    ("script", "kind", "word"),
    [
        (f"echo {CANARY}; echo {CANARY} >&2; exit 3", ProviderError, "exit code 3"),
        (f"echo {CANARY}", SecretError, "JSON"),
        ("echo '{}'", SecretError, "version 1"),
        (f"yes {CANARY}", ProviderError, "more than"),
        ("kill -9 $$", ProviderError, "signal 9"),
    ],
    ids=["failed", "no JSON", "no version", "too much", "killed"],
)
def test_a_failing_program_is_said_without_what_it_printed(
    world: World, script: str, kind: type[Exception], word: str
) -> None:
    with pytest.raises((ProviderError, SecretError), match=word) as caught:
        ask(world, script)
    assert type(caught.value) is kind
    assert caught.value.hint
    if CANARY not in script.partition("exit")[0]:
        assert_no_trace(caught.value, CANARY)
    assert CANARY not in f"{caught.value} {caught.value.hint}"


def test_a_program_that_hangs_is_ended_at_the_deadline(world: World) -> None:
    from secretkit.broker.clock import SystemClock

    world.clock = SystemClock()  # type: ignore[assignment]
    with pytest.raises(ProviderTimeoutError):
        ask(world, "sleep 60", timeout=timedelta(milliseconds=200))


def test_a_program_that_is_not_there_is_unavailable(world: World) -> None:
    with pytest.raises(ProviderUnavailableError, match="no-such-program"):
        world.open(process=["no-such-program"]).acquire(timeout=TIMEOUT, refused=lambda _: False)


def test_credentials_that_are_over_are_not_given(world: World) -> None:
    text = document(world.base, Version=1, Expiration="2001-01-01T00:00:00Z")
    with pytest.raises(ProviderError, match="ended at 2001-01-01"):
        ask(world, printing(text))


def test_an_end_is_kept_and_the_program_is_not_run_again_before(world: World) -> None:
    end = world.clock.now() + timedelta(hours=1)
    text = document(world.base, Version=1, Expiration=end.isoformat())
    found = ask(world, printing(text))
    assert found.expires_at == end
    assert found.secret == Secret(world.base.secret.reveal())
