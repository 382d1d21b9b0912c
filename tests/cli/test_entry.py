import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cli.conftest import BIN, KEY, OTHER
from secretkit import errors
from secretkit.cli import exits
from secretkit.cli.entry import main

HEAVY = {"rich", "cryptography", "asyncio", "anthropic", "sqlite3", "secretkit.ledger.engine"}


def modules_after(home, *words):
    """Run the command in an interpreter that then prints which modules it loaded."""
    code = (
        "import sys; from secretkit.cli.entry import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=home.cwd,
        env=home.environ,
        capture_output=True,
        check=False,
    )
    return answer.stdout, set(answer.stderr.decode().split())


def test_help_loads_no_command_and_nothing_heavy(home):
    out, modules = modules_after(home, "--help")
    assert b"Commands:" in out
    assert "click" in modules
    assert not modules & {*HEAVY, "secretkit.wiring", "secretkit.cli.run", "secretkit.config.load"}


def test_token_spares_click(stocked):
    out, modules = modules_after(stocked, "token", "claude")
    assert out == KEY.encode()
    assert not modules & {"click", "rich", "asyncio", "anthropic", "secretkit.cli.root"}
    assert not modules & {"dataclasses", "inspect", "logging", "random", "secrets", "shlex"}
    assert not modules & {"subprocess", "traceback"}


@pytest.mark.parametrize(
    "words",
    [
        ("token", "claude"),
        ("token", "--timeout=5s", "claude"),
        ("token", "-q", "claude"),
        ("token", "claude", "--no-color"),
        ("--timeout", "5s", "token", "claude"),
        ("token", "--", "claude"),
        ("get", "claude"),
        ("-q", "get", "local:claude", "--timeout", "5s"),
    ],
)
def test_each_way_to_ask_prints_exactly_the_value(stocked, words):
    assert stocked.run(*words) == (0, KEY.encode(), b"")


def test_the_fast_way_reads_its_options(stocked):
    file = stocked.cwd / "c.toml"
    file.write_text(stocked.config.read_text().replace(".claude]", ".other]"))
    code, out, _ = stocked.run("token", "-c", str(file), "other")
    assert (code, out) == (0, KEY.encode())
    assert stocked.run("token", f"--config={file}", "claude")[0] == 2
    code, _, err = stocked.run("token", "--timeout", "10", "claude")
    assert (code, len(err.splitlines())) == (2, 3)
    assert b"--timeout: " in err


def test_every_error_class_has_its_exit_code():
    expected = {
        "SecretkitError": 70,
        "ConfigError": 2,
        "RefError": 2,
        "SecretError": 2,
        "ProviderError": 4,
        "ProviderUnavailableError": 4,
        "SecretNotFoundError": 5,
        "AccessDeniedError": 3,
        "ProviderTimeoutError": 4,
        "LeaseExpiredError": 4,
        "GrantError": 6,
        "RotationError": 7,
        "LedgerError": 4,
        "IntegrityError": 1,
        "ScanError": 3,
    }
    assert {name: exits.exit_code(getattr(errors, name)()) for name in errors.__all__} == expected
    assert all(exits.verdict(getattr(errors, name)()) for name in errors.__all__)


def test_a_bug_shows_its_class_and_place_and_never_its_text(home, capsys):
    class Stdout:
        """Fails as nothing of ours would, with a key in its message."""

        def write(self, text):
            raise ZeroDivisionError(KEY)

        def flush(self):
            pass

        def isatty(self):
            return False

    before, sys.stdout = sys.stdout, Stdout()
    try:
        code = main(["config", "show"])
    finally:
        sys.stdout = before
    err = capsys.readouterr().err
    assert code == 70
    assert "ZeroDivisionError at " in err
    assert KEY not in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 3


def test_a_reader_that_goes_away_is_no_error_message(stocked):
    for words in (("config", "show"), ("audit", "tail"), ("get", "claude"), ("token", "claude")):
        read, write = os.pipe()
        os.close(read)
        code, _, err = stocked.run(*words, stdout=write)
        os.close(write)
        assert (code, err) == (141, b""), words


def test_a_full_disk_under_stdout_is_reported_without_the_value(stocked):
    for words in (("get", "claude"), ("config", "show")):
        with Path("/dev/full").open("wb") as full:
            code, _, err = stocked.run(*words, stdout=full)
        assert code == 4
        assert KEY.encode() not in err
        assert b"stdout: No space left on device" in err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_harms_no_file_of_ours(stocked, closed):
    for command in ("secretkit list", "secretkit set x -", "secretkit token claude"):
        subprocess.run(
            ["sh", "-c", f"{command} {closed}"],
            cwd=stocked.cwd,
            env=stocked.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    assert stocked.run("audit", "verify")[0] == 0
    assert stocked.run("get", "claude") == (0, KEY.encode(), b"")


def test_a_locale_without_our_characters_breaks_nothing(stocked):
    stocked.environ |= {"PYTHONIOENCODING": "ascii:strict"}
    stocked.run("set", "schlüssel", "-", given=b"value-value")
    code, out, _ = stocked.run("list")
    assert code == 0
    assert b"local:schl\\xfcssel" in out


def talk(home, *words, answers=(), signal_after=None):
    """Run the command on a terminal of its own; type each answer after the prompt before it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home.cwd)
        os.execve(str(BIN / "secretkit"), ["secretkit", *words], home.environ)  # noqa: S606 - our script
    shown, left, deadline = b"", list(answers), time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.5)
        if ready:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        if left and left[0][0] in shown[-200:]:
            os.write(terminal, left.pop(0)[1])
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_the_hidden_prompt_asks_twice_and_shows_nothing(stocked):
    typed = KEY.encode() + b"\n"
    answers = [(b"(hidden): ", typed), (b"Again: ", typed)]
    code, shown = talk(stocked, "set", "claude", answers=answers)
    assert code == 0
    assert "stored local:claude, version 2" in shown
    assert KEY not in shown


def test_two_different_values_store_nothing(stocked):
    answers = [(b"(hidden): ", b"one-value\n"), (b"Again: ", b"other-value\n")]
    code, shown = talk(stocked, "set", "x", answers=answers)
    assert code == 2
    assert "differ; nothing was stored" in shown
    assert "one-value" not in shown
    assert stocked.run("get", "local:x")[0] == 5


def test_ctrl_c_at_the_prompt_is_130(stocked):
    code, shown = talk(stocked, "set", "claude", answers=[(b"(hidden): ", b"\x03")])
    assert code == 130
    assert "Traceback" not in shown


def test_bytes_that_are_no_text_at_the_prompt_are_a_plain_error(stocked):
    answers = [(b"(hidden): ", b"abc\xff" + b"defgh\n")]
    code, shown = talk(stocked, "set", "x", answers=answers)
    assert code == 2
    assert "what was typed is not UTF-8 text; nothing was stored" in shown
    assert "bug" not in shown
    assert stocked.run("get", "local:x")[0] == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(stocked, number):
    ours, theirs = pty.openpty()
    echo = termios.tcgetattr(theirs)[3] & termios.ECHO
    assert echo
    process = stocked.start(
        "set", "x", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    shown = b""
    while b"(hidden): " not in shown:
        shown += os.read(ours, 4096)
    while termios.tcgetattr(theirs)[3] & termios.ECHO:
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=20) == -number
    assert termios.tcgetattr(theirs)[3] & termios.ECHO == echo
    os.close(ours)
    os.close(theirs)


def test_on_a_terminal_a_value_is_shown_only_after_yes(stocked):
    code, shown = talk(stocked, "get", "claude", answers=[(b"[y/N]: ", b"n\n")])
    assert code == 2
    assert KEY not in shown
    code, shown = talk(stocked, "get", "claude", answers=[(b"[y/N]: ", b"y\n")])
    assert (code, shown.count(KEY)) == (0, 1)
    code, shown = talk(stocked, "token", "claude", "--yes")
    assert (code, shown) == (0, f"{KEY}\r\n")
    code, shown = talk(stocked, "token", "claude", "--json", "--yes")
    assert code == 2
    assert KEY not in shown


def test_a_person_gets_a_table_and_no_color_is_obeyed(stocked):
    stocked.environ |= {"TERM": "xterm-256color", "COLUMNS": "160"}
    code, shown = talk(stocked, "list")
    assert code == 0
    assert "created at" in shown
    assert "\x1b[" in shown
    plain = {"environment": {"NO_COLOR": "1"}, "argument": {}}
    for way, more in plain.items():
        stocked.environ.pop("NO_COLOR", None)
        stocked.environ |= more
        words = ["list"] if way == "environment" else ["list", "--no-color"]
        code, shown = talk(stocked, *words)
        assert "created at" in shown
        assert not any(f"\x1b[{code}" in shown for code in ("3", "9", "4"))


def test_text_from_outside_cannot_drive_the_terminal(stocked):
    evil = "x\x1b[2J\u202e\n::error::"
    for words in (("token", evil), ("get", evil), ("lease", "show", evil), (evil,)):
        code, out, err = stocked.run(*words)
        assert code in {2, 5}, err
        assert not {b"\x1b", "\u202e".encode()} & {bytes([b]) for b in out + err}
        assert "\u202e".encode() not in out + err
        assert len(err.splitlines()) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("get", KEY),
        ("get", f"local:{KEY}"),
        ("get", "claude", KEY),
        ("token", KEY),
        ("token", "--json", KEY),
        ("token", "claude", KEY),
        ("lease", "list", KEY),
        ("lease", "show", KEY),
        ("lease", "revoke", KEY),
        ("provider", "test", KEY),
        ("run", "--env", f"VAR={KEY}", "--", "echo", "started"),
        ("run", "--env", KEY, "--", "echo", "started"),
        ("run", "--file", f"VAR={KEY}", "--", "echo", "started"),
        ("run", "--", "echo", f"{{file:{KEY}}}"),
        (KEY,),
    ],
    ids=lambda words: " ".join(words).replace(KEY, "KEY"),
)
def test_a_key_given_as_a_name_is_told_apart_and_never_repeated(stocked, words):
    code, out, err = stocked.run(*words)
    assert (code, out) == (125 if words[0] == "run" else 2, b"")
    assert KEY.encode() not in err
    assert b"the name holds a secret, which now stands in the shell's history" in err
    assert KEY not in stocked.run("audit", "tail")[1].decode()


def test_a_person_gets_the_audits_verdict_as_a_table(stocked):
    stocked.environ |= {"TERM": "dumb", "COLUMNS": "160"}
    code, shown = talk(stocked, "audit", "verify")
    assert code == 0
    assert shown.split()[:3] == ["chain", "entries", "head"]
    assert "\t" not in shown


def children_of(pid) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that ended since
            found += [int(child) for child in path.read_text().split()]
    return found


def is_running(pid) -> bool:
    """Say whether it runs, after a moment in which a killed process may still be ending."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in {"Z", "X"}:
            return False
        select.select([], [], [], 0.02)
    return True


@pytest.mark.parametrize(
    "words", [("token", "claude"), ("get", "slow:-"), ("provider", "test")], ids=" ".join
)
def test_an_interrupt_while_a_store_hangs_ends_at_once_with_its_program(stocked, words):
    stocked.config.write_text(
        '[providers.slow]\ntype = "command"\nargv = ["sleep", "60"]\n'
        '[credentials.claude]\nkind = "anthropic-api-key"\nsource = "slow:-"\n'
    )
    process = stocked.start(*words, "--timeout", "30s")
    while not (asked := children_of(process.pid)):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=25)  # the store would hang for 60 s
    left = [child for child in asked if is_running(child)]
    for child in left:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert not left


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set", "claude", "-"), 4),
        (("rm", "claude", "--yes"), 4),
        (("get", "claude"), 4),
        (("get", "local:claude"), 4),
        (("token", "claude"), 4),
        (("provider", "test"), 4),
        (("run", "--", "echo", "started"), 125),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_the_audit_cannot_record_does_not_happen(stocked, words, code):
    stocked.environ["SECRETKIT_LEDGER_URL"] = "sqlite:////proc/none/ledger.db"
    found, out, err = stocked.run(*words, given=OTHER.encode() if words[0] == "set" else b"")
    assert (found, out) == (code, b""), err
    assert len(err.splitlines()) == 3
    assert KEY.encode() not in err
    del stocked.environ["SECRETKIT_LEDGER_URL"]
    assert b"local:claude\t1\t" in stocked.run("list")[1]


def test_each_use_is_written_down_with_its_reference(stocked):
    stocked.run("set", "x", "-", given=b"value-value")
    stocked.run("get", "local:x")
    stocked.run("rm", "x", "--yes")
    _, out, _ = stocked.run("audit", "tail", "-n", "3")
    events = [line.split("\t")[2:5:2] for line in out.decode().splitlines()]
    assert events == [[f"secret.{what}", "local:x"] for what in ("written", "read", "deleted")]


@pytest.mark.parametrize("closed", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("token nope", 2),
        ("frobnicate", 2),
        ("get env:NOT_SET", 5),
        ("set x - -v", 0),
        ("run --keep A_TOKEN -- sh -c 'exit 7'", 7),
        ("run -- no-such-command", 127),
    ],
)
def test_prose_that_cannot_be_written_never_changes_the_outcome(stocked, words, code, closed):
    stocked.environ |= {"A_TOKEN": "t", "B_TOKEN": "t"}
    answer = subprocess.run(
        ["sh", "-c", f"printf some-value | secretkit {words} {closed}"],
        cwd=stocked.cwd,
        env=stocked.environ,
        capture_output=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (code, b"")


@pytest.mark.parametrize("words", ["get claude", "token claude", "token --json claude", "list"])
def test_a_closed_stdout_is_not_taken_for_a_delivery(stocked, words):
    answer = subprocess.run(
        ["sh", "-c", f"secretkit {words} >&-"],
        cwd=stocked.cwd,
        env=stocked.environ,
        capture_output=True,
        check=False,
    )
    assert answer.returncode == 4
    assert b"stdout is closed" in answer.stderr
    assert len(answer.stderr.splitlines()) == 3


def test_a_child_of_run_finds_streams_that_were_closed_replaced(stocked):
    script = "test -e /proc/self/fd/0 && test -e /proc/self/fd/2"
    answer = subprocess.run(
        ["sh", "-c", f"secretkit run -q --no-masking -- sh -c '{script}' <&- 2>&-"],
        cwd=stocked.cwd,
        env=stocked.environ,
        check=False,
    )
    assert answer.returncode == 0


@pytest.mark.parametrize(("words", "code"), [("token claude", 2), ("run -- true", 125)])
def test_a_current_directory_that_is_gone_is_said_plainly(stocked, words, code):
    answer = subprocess.run(
        ["sh", "-c", f"mkdir gone && cd gone && rmdir ../gone && secretkit {words}"],
        cwd=stocked.cwd,
        env=stocked.environ,
        capture_output=True,
        check=False,
    )
    assert answer.returncode == code
    assert b"the current directory is gone\nhint: cd somewhere that exists\n" in answer.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set", "x" * 600, "-"), 2),
        (("get", "local:" + "x" * 600), 2),
        (("rm", "x" * 600, "--yes"), 2),
        (("run", "--env", "V=local:" + "x" * 600, "--", "echo", "started"), 125),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_name_too_long_for_the_audit_is_the_callers_mistake(stocked, words, code):
    found, out, err = stocked.run(*words, given=b"some-value")
    assert (found, out) == (code, b"")
    assert b"longer than 512 characters" in err
    assert len(err.splitlines()) == 3
