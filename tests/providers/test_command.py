"""The command provider: no shell, a deadline for the whole group, output never echoed."""

import os
import shlex
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RefError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.providers.command import CommandProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import assert_no_trace

LONG = timedelta(seconds=20)
SHORT = timedelta(milliseconds=300)
VALUE = "canary-" + "c" * 30
PATHS = {"PATH": "/usr/bin:/bin"}


def sh(script: str, **more: object) -> dict[str, object]:
    return {"argv": ["sh", "-c", script, "sh", "{path}"], **more}


def fetch(
    options: dict[str, object],
    path: str | None = None,
    field: str | None = None,
    timeout: timedelta = LONG,
    environ: dict[str, str] | None = None,
):
    context = provider_context(environ=PATHS if environ is None else environ)
    provider = CommandProvider.open(options, context)
    if path is None:
        path = "item" if "{path}" in provider.argv else "-"
    return provider.fetch(SecretRef("command", path, field), timeout=timeout)


def test_what_the_program_prints_is_the_secret_and_nothing_is_stripped() -> None:
    assert fetch(sh('printf " x\\n"')).secret.reveal() == " x\n"
    assert fetch(sh("echo x", newline="strip-one")).secret.reveal() == "x"
    assert fetch(sh("printf 'x\\n\\n'", newline="strip-one")).secret.reveal() == "x\n"


def test_the_path_stands_only_where_an_item_is_the_placeholder() -> None:
    options = {"argv": ["printf", "%s|", "{path}", "{PATH}", "{path}"]}
    assert fetch(options, "a b;$(id)`id`*").secret.reveal() == (
        "a b;$(id)`id`*|{PATH}|a b;$(id)`id`*|"
    )


@pytest.mark.parametrize(
    "argv", [["op", "read", "op://vault/{path}"], ["cat", "{path}", "{path}.x"], ["{path}"]]
)
def test_a_placeholder_inside_an_item_or_for_the_program_is_refused(argv: list[str]) -> None:
    with pytest.raises(ConfigError, match="argv") as caught:
        CommandProvider.open({"argv": argv}, provider_context(environ=PATHS))
    assert "item of its own" in caught.value.hint


def test_a_program_without_a_path_gives_one_secret_under_one_path() -> None:
    options = {"argv": ["echo", "same"]}
    assert fetch(options, "-").secret.reveal() == "same\n"
    for path in ("prod", "dev", "--", "/"):
        with pytest.raises(RefError, match="same for every path") as caught:
            fetch(options, path)
        assert "command:-" in caught.value.hint


@pytest.mark.parametrize("path", ["-n", "--help", "-"])
def test_a_path_that_looks_like_an_option_needs_a_double_dash(path: str) -> None:
    with pytest.raises(RefError, match="as an option"):
        fetch({"argv": ["printf", "{path}"]}, path)
    assert fetch({"argv": ["printf", "%s", "--", "{path}"]}, path).secret.reveal().endswith(path)


def test_only_the_named_variables_are_passed_on() -> None:
    environ = {**PATHS, "HOME": "/h", "SESSION": "s", "ANTHROPIC_API_KEY": VALUE}
    seen = fetch({"argv": ["env"]}, environ=environ).secret.reveal().splitlines()
    assert sorted(line for line in seen if not line.startswith("PWD")) == [
        "HOME=/h",
        "PATH=/usr/bin:/bin",
    ]
    options = {"argv": ["/usr/bin/env"], "env": ["SESSION", "ABSENT"]}
    assert fetch(options, environ=environ).secret.reveal() == "SESSION=s\n"


def test_standard_input_is_closed_and_there_is_no_terminal() -> None:
    assert (
        fetch(sh("wc -c; (: < /dev/tty) 2>/dev/null || echo none")).secret.reveal() == "0\nnone\n"
    )


def test_it_runs_where_it_is_told(tmp_path: Path) -> None:
    assert fetch({"argv": ["pwd", "-P"], "cwd": str(tmp_path)}).secret.reveal() == f"{tmp_path}\n"
    context = provider_context(environ=PATHS, config_dir=str(tmp_path))
    provider = CommandProvider.open({"argv": ["pwd", "-P"]}, context)
    found = provider.fetch(SecretRef("command", "-"), timeout=LONG)
    assert found.secret.reveal() == f"{tmp_path}\n"


@pytest.mark.parametrize("argv0", ["no-such-program-here", "/no/such/program", "/etc", "./x"])
def test_a_program_that_is_not_there_is_unavailable(argv0: str) -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        fetch({"argv": [argv0]}, environ={**PATHS, "A_KEY": VALUE})
    assert argv0 in str(caught.value)
    assert_no_trace(caught.value, VALUE)


def test_a_file_that_cannot_be_run_is_unavailable(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("echo x\n")
    plain.chmod(0o600)
    with pytest.raises(ProviderUnavailableError, match="permission denied"):
        fetch({"argv": [str(plain)]})
    plain.write_bytes(b"\x7fELF nonsense")
    plain.chmod(0o700)
    with pytest.raises(ProviderUnavailableError, match="exec format"):
        fetch({"argv": [str(plain)]})
    with pytest.raises(ProviderUnavailableError):
        fetch({"argv": ["true"], "cwd": str(tmp_path / "absent")})


def test_a_failure_shows_neither_output_nor_messages() -> None:
    script = f"echo {VALUE}; echo {VALUE} >&2; exit 3"
    with pytest.raises(ProviderError, match=f"exit code 3; {len(VALUE) + 1} bytes") as caught:
        fetch(sh(script))
    assert type(caught.value) is ProviderError
    assert VALUE not in str(caught.value) + caught.value.hint


def test_a_signal_is_a_failure() -> None:
    with pytest.raises(ProviderError, match="signal 15"):
        fetch(sh("kill -TERM $$"))


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("not-found", SecretNotFoundError),
        ("denied", AccessDeniedError),
        ("unavailable", ProviderUnavailableError),
    ],
)
def test_exit_codes_have_the_meaning_the_configuration_gives_them(
    outcome: str, kind: type[ProviderError]
) -> None:
    with pytest.raises(kind, match="exit code 44"):
        fetch(sh("exit 44", exit={"44": outcome}))
    with pytest.raises(ProviderError) as caught:
        fetch(sh("exit 45", exit={"44": outcome}))
    assert type(caught.value) is ProviderError


def test_no_output_is_no_secret_and_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(SecretError, match="empty"):
        fetch(sh("true"))
    with pytest.raises(SecretError, match="UTF-8") as caught:
        fetch(sh(f"printf '\\377{VALUE[:7]}'; printf {VALUE[7:]}"))
    assert VALUE[7:] not in str(caught.value)
    with pytest.raises(SecretError, match="NUL"):
        fetch(sh("printf 'a\\0b'"))


def test_clear_output_is_in_no_frame_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(VALUE.encode() + b"\xff")
    with pytest.raises(SecretError) as caught:
        fetch({"argv": ["cat", "key"], "cwd": str(tmp_path)})
    assert_no_trace(caught.value, VALUE)
    (tmp_path / "key").write_bytes(VALUE.encode())
    with pytest.raises(SecretError) as caught:
        fetch({"argv": ["cat", "key"], "cwd": str(tmp_path)}, field="a")
    assert_no_trace(caught.value, VALUE)


def test_output_is_capped_and_the_program_ended() -> None:
    exact = sh("head -c 65536 /dev/zero | tr '\\0' x")
    assert fetch(exact).secret.reveal() == "x" * 65536
    with pytest.raises(ProviderError, match="more than 65536 bytes"):
        fetch({"argv": ["yes"]})


def test_many_messages_neither_block_nor_fill_memory() -> None:
    script = "head -c 1000000 /dev/zero >&2; echo x"
    assert fetch(sh(script)).secret.reveal() == "x\n"


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    note = shlex.quote(str(tmp_path / "pids"))
    script = f"sleep 77 & echo $! $$ > {note}; trap '' TERM; wait; wait"
    with pytest.raises(ProviderTimeoutError, match="killed"):
        fetch(sh(script), timeout=SHORT)
    for pid in (tmp_path / "pids").read_text().split():
        assert gone(int(pid))


def test_a_grandchild_that_keeps_the_pipes_open_does_not_hang_us(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 78 & echo $! > {shlex.quote(str(note))}; echo x"
    began = time.monotonic()
    try:
        assert fetch(sh(script), timeout=timedelta(seconds=60)).secret.reveal() == "x\n"
        assert time.monotonic() - began < 50  # not a matter of speed: it would last 60 s
    finally:
        os.kill(int(note.read_text()), 9)


def test_a_program_that_closes_its_output_and_stays_is_ended_at_the_deadline() -> None:
    with pytest.raises(ProviderTimeoutError):
        fetch(sh("exec >&- 2>&-; sleep 79"), timeout=SHORT)


def test_no_process_is_left_as_a_zombie() -> None:
    for options, timeout in (
        (sh("exit 3"), LONG),
        (sh("sleep 76"), SHORT),
        ({"argv": ["yes"]}, LONG),
    ):
        with pytest.raises(ProviderError):
            fetch(options, timeout=timeout)
    shown = subprocess.run(
        ["ps", "-o", "stat=,args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert not [line for line in shown.splitlines() if line.startswith("Z")]


def test_nothing_runs_when_the_time_is_up(tmp_path: Path) -> None:
    with pytest.raises(ProviderTimeoutError):
        fetch({"argv": ["touch", str(tmp_path / "ran")]}, timeout=timedelta())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"argv": "op read x"},
        {"argv": []},
        {"argv": [""]},
        {"argv": ["a", 1]},
        {"argv": ["a"], "shell": True},
        {"argv": ["a"], "env": "PATH"},
        {"argv": ["a"], "cwd": "relative"},
        {"argv": ["a"], "newline": "strip"},
        {"argv": ["a"], "exit": ["44"]},
        {"argv": ["a"], "exit": {"44": "fine"}},
        {"argv": ["a"], "exit": {"44": ["denied"]}},
        {"argv": ["a"], "exit": {"0": "denied"}},
        {"argv": ["a"], "exit": {"256": "denied"}},
        {"argv": ["a"], "exit": {"x": "denied"}},
    ],
)
def test_malformed_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        CommandProvider.open(options, provider_context())
    assert caught.value.hint
    assert caught.value.key_path


def gone(pid: int) -> bool:
    """Say whether a process has ended, giving the kernel a moment to take it away."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        threading.Event().wait(0.02)
    return False
