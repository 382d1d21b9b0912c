import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.conftest import BIN, KEY, OTHER

READY = "echo ready; while :; do sleep 0.05; done"


def wait_for(process, line=b"ready\n"):
    assert process.stdout.readline() == line


@pytest.mark.parametrize("masking", [[], ["--no-masking"]], ids=["masked", "direct"])
@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
def test_a_signal_reaches_the_child_and_its_answer_comes_back(stocked, name, masking):
    script = f"trap 'echo got {name}; exit 9' {name}; {READY}"
    process = stocked.start("run", "-q", *masking, "--", "sh", "-c", script, start_new_session=True)
    wait_for(process)
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (9, f"got {name}\n".encode())


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_child_that_a_signal_ends_gives_128_and_its_number(stocked, name):
    number = getattr(signal, f"SIG{name}")
    process = stocked.start(
        "run", "-q", "--", "sh", "-c", "echo ready; exec sleep 30", start_new_session=True
    )
    wait_for(process)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number


def test_a_key_on_the_terminal_reaches_the_child_once(stocked):
    script = "trap 'echo got' INT; echo ready; sleep 1.2; sleep 0.3; echo end"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(stocked.cwd)
        words = ["secretkit", "run", "-q", "--no-masking", "--", "sh", "-c", script]
        os.execve(str(BIN / "secretkit"), words, stocked.environ)  # noqa: S606 - our script
    shown = b""
    sent = False
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if b"ready" in shown and not sent:
            os.write(terminal, b"\x03")
            sent = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert shown.count(b"got") == 1
    assert b"end" in shown


def test_a_signal_ignored_by_us_is_ignored_by_the_child(stocked):
    answer = subprocess.run(
        ["sh", "-c", "trap '' HUP; secretkit run -- sh -c 'kill -HUP $$; echo still here'"],
        env=stocked.environ,
        cwd=stocked.cwd,
        capture_output=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (0, b"still here\n")


def test_a_secret_cut_into_pieces_is_masked(stocked):
    script = (
        "import os,sys,time\n"
        "key = os.environ['ANTHROPIC_API_KEY']\n"
        "for at in range(0, len(key), 40):\n"
        "    os.write(1, key[at:at+40].encode()); time.sleep(0.05)\n"
        "os.write(2, b'\\n' + key.encode() + b'\\n')\n"
    )
    code, out, err = stocked.run("run", "-q", "--", "python3", "-c", script)
    assert (code, out, err) == (0, b"[redacted]", b"\n[redacted]\n")


def test_all_given_secrets_are_masked_and_binary_output_is_untouched(stocked):
    stocked.run("set", "b", "-", given=OTHER.encode())
    script = "printf '%s %s ' $A $B; printf '\\377\\000\\n'"
    code, out, _ = stocked.run(
        "run", "-q", "--env", "A=claude", "--env", "B=local:b", "--", "sh", "-c", script
    )
    assert (code, out) == (0, b"[redacted] [redacted] \xff\x00\n")


def test_much_output_comes_through_whole(stocked):
    code, out, _ = stocked.run("run", "-q", "--", "sh", "-c", "yes 12345678 | head -c 2000000")
    assert (code, len(out)) == (0, 2_000_000)


def test_a_reader_that_goes_away_ends_the_child(stocked):
    process = stocked.start("run", "-q", "--", "yes")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 128 + signal.SIGPIPE
    process.stderr.close()
    process.stdin.close()


def test_a_grandchild_that_keeps_the_pipe_does_not_keep_us(stocked):
    code, out, _ = stocked.run("run", "-q", "--", "sh", "-c", "sleep 8 & echo done")
    assert (code, out) == (0, b"done\n")


def test_the_file_is_removed_after_a_signal_as_well(stocked):
    script = f"echo {{file}}; stat -c '%a %U' {{file}}; {READY}"
    process = stocked.start("run", "-q", "--", "sh", "-c", script, start_new_session=True)
    path = Path(process.stdout.readline().decode().strip())
    assert process.stdout.readline().startswith(b"600 ")
    wait_for(process)
    assert path.read_text() == KEY
    assert path.parent.stat().st_mode & 0o777 == 0o700
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert not path.parent.exists()


def test_no_secret_is_ever_an_argument_of_any_process(stocked):
    """Samples /proc/*/cmdline while set and run are at work."""
    samples = 0
    process = stocked.start("set", "claude", "-")
    seen = b""
    while samples < 20:
        seen += cmdlines()
        samples += 1
        if samples == 10:
            process.stdin.write(KEY.encode())
            process.stdin.close()
        time.sleep(0.02)  # noqa: TID251 - a sample every 20 ms
    process.wait(timeout=20)
    process.stdout.close()
    process.stderr.close()
    process = stocked.start("run", "-q", "--", "sh", "-c", "echo ready; sleep 0.5", "x", "{file}")
    while process.poll() is None:
        seen += cmdlines()
        time.sleep(0.01)  # noqa: TID251 - a sample every 10 ms
    process.communicate()
    assert b"secretkit" in seen
    assert b"secretkit-" in seen  # the path of the file is an argument, its content is not
    assert KEY[:40].encode() not in seen


def cmdlines() -> bytes:
    found = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes()
        except OSError:
            continue
    return found


def test_nothing_is_started_when_the_audit_cannot_be_written(stocked):
    stocked.state.chmod(0o777)
    code, out, err = stocked.run("run", "--", "sh", "-c", "echo started")
    assert (code, out) == (125, b"")
    assert len(err.splitlines()) == 3


def test_run_is_in_the_audit_before_the_child_starts(stocked):
    code, out, _ = stocked.run("run", "-q", "--", "sh", "-c", "secretkit audit tail | cut -f 3")
    assert code == 0
    events = out.decode().split()
    assert events.index("run.started") < events.index("secret.read") < len(events)
    assert "lease.granted" in events


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[credentials.two]\nkind = "anthropic-api-key"\nsource = "env:X"\n', "claude, two"),
        ('[credentials.db]\nkind = "opaque"\nsource = "env:X"\n', ""),
    ],
)
def test_the_default_is_the_one_claude_credential(stocked, more, said):
    stocked.config.write_text(stocked.config.read_text() + more)
    code, out, err = stocked.run("run", "-q", "--", "sh", "-c", "echo ${#ANTHROPIC_API_KEY}")
    assert (code, out) == ((125, b"") if said else (0, b"109\n"))
    assert said.encode() in err


def test_env_with_a_name_alone_takes_the_variable_of_its_kind(stocked):
    more = '[credentials.t]\nkind = "anthropic-access-token"\nsource = "env:T"\n'
    more += '[credentials.db]\nkind = "opaque"\nsource = "env:T"\n'
    stocked.config.write_text(stocked.config.read_text() + more)
    stocked.environ["T"] = "some-access-token"
    code, out, _ = stocked.run(
        "run", "-q", "--env", "t", "--", "sh", "-c", "echo ${#ANTHROPIC_AUTH_TOKEN}"
    )
    assert (code, out) == (0, b"17\n")
    code, _, err = stocked.run("run", "-q", "--env", "db", "--", "true")
    assert code == 125
    assert b"--env VAR=db" in err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--env", "DB_PASSWORD={}-battery", "--", "true"),
        ("run", "--env", "DB=admin:{}", "--", "true"),
        ("run", "--env", "{}", "--", "true"),
        ("run", "--file", "DB={}", "--", "true"),
        ("run", "--env", "A=claude", "--env", "DB=admin:{}", "--", "true"),
        ("run", "--", "cat", "{{file:{}}}"),
        ("get", "root:{}"),
        ("provider", "test", "root:{}"),
    ],
    ids=" ".join,
)
def test_a_password_typed_as_a_name_is_neither_repeated_nor_written_down(stocked, words):
    value = "pa55" + "word"
    before = stocked.run("audit", "tail")[1]
    code, out, err = stocked.run(*(word.format(value) for word in words))
    assert (code, out) == (125 if words[0] == "run" else 2, b"")
    assert value.encode() not in err
    assert len(err.splitlines()) == 3
    assert stocked.run("audit", "tail")[1] == before


def test_a_run_that_cannot_begin_because_of_a_value_says_what_belongs_there(stocked):
    _, _, err = stocked.run("run", "--env", "DB=admin:x", "--", "true")
    assert b"VAR=NAME takes a name or a reference, not a value" in err
    _, _, err = stocked.run("run", "--env", "DB=claud", "--", "true")
    assert b"did you mean 'claude'?" in err


def test_a_slow_reader_gets_all_of_the_output(stocked):
    reader = "(sleep 2.6; wc -c)"  # longer than a silent pipe is given
    answer = subprocess.run(
        ["sh", "-c", f"secretkit run -q -- sh -c 'head -c 190000 /dev/zero' | {reader}"],
        env=stocked.environ,
        cwd=stocked.cwd,
        capture_output=True,
        check=False,
    )
    assert (answer.stdout.strip(), answer.stderr) == (b"190000", b"")


def test_a_reader_that_never_reads_does_not_make_us_deaf_to_signals(stocked):
    script = "head -c 100000 /dev/zero"  # more than one pipe takes, less than two
    process = stocked.start("run", "-q", "--", "sh", "-c", script, start_new_session=True)
    assert process.stdout.read(1) == b"\0"
    while children_of(process.pid):
        time.sleep(0.02)  # noqa: TID251 - until the child is gone
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    process.communicate()


def children_of(pid) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def test_output_that_nothing_takes_is_an_error_and_not_a_traceback(stocked):
    with Path("/dev/full").open("wb") as full:
        code, _, err = stocked.run("run", "-q", "--", "echo", "hi", stdout=full)
        assert (code, len(err.splitlines())) == (125, 3)
        assert b"stdout: No space left on device" in err
        code, _, err = stocked.run("run", "-q", "--", "sh", "-c", "echo hi; exit 7", stdout=full)
        assert (code, len(err.splitlines())) == (7, 3)


def test_a_stdout_that_does_not_block_is_waited_for(stocked):
    read, write = os.pipe()
    os.set_blocking(write, False)
    script = "head -c 190000 /dev/zero"
    process = stocked.start("run", "-q", "--", "sh", "-c", script, stdout=write)
    os.close(write)
    total = 0
    while piece := os.read(read, 4096):
        total += len(piece)
    os.close(read)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, total, err) == (0, 190_000, b"")


def test_an_environment_that_is_too_long_points_to_a_file(stocked):
    stocked.run("set", "big", "-", given=b"x" * 200_000)
    code, _, err = stocked.run("run", "-q", "--env", "B=local:big", "--", "true")
    assert (code, len(err.splitlines())) == (126, 3)
    assert b"--file" in err


def test_what_the_configuration_reads_is_not_passed_on(stocked):
    more = '[credentials.b]\nkind = "opaque"\nsource = "env:SPARE"\n'
    stocked.config.write_text(stocked.config.read_text() + more)
    stocked.environ |= {"SPARE": OTHER, "DATABASE_URL": "postgresql://u:" + "pw" + "@h/d"}
    stocked.environ["SECRETKIT_LEDGER_URL"] = f"sqlite:///{stocked.cwd}/ledger.db"
    names = "${SPARE-none} ${DATABASE_URL-none} ${SECRETKIT_LEDGER_URL-none}"
    code, out, err = stocked.run("run", "--no-masking", "--", "sh", "-c", f"echo {names}")
    assert (code, out) == (0, b"none none none\n"), err
    assert b"not passed on: DATABASE_URL, SECRETKIT_LEDGER_URL, SPARE (" in err


def test_a_variable_to_keep_that_is_not_set_is_refused(stocked):
    code, out, err = stocked.run("run", "--keep", "GITHUB_TOKE", "--", "echo", "started")
    assert (code, out) == (125, b"")
    assert b"--keep GITHUB_TOKE: this variable is not set" in err
    code, out, err = stocked.run("run", "--keep", "pass-" + "word", "--", "echo", "started")
    assert (code, out) == (125, b"")
    assert b"pass-word" not in err
