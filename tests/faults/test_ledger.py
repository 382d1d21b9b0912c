"""The ledger under kill -9, a full, failing or read-only disk, and many processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from postgres_server import Server, absent, postgres  # noqa: F401 - a fixture

import secretkit.ledger
from secretkit.errors import GrantError, LedgerError
from secretkit.ports import Event, Issuance, Ledger

NOW = datetime(2030, 1, 1, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime, timedelta
import secretkit.ledger
from secretkit.errors import GrantError, LedgerError
from secretkit.ports import Issuance

url, me, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
now = datetime(2030, 1, 1, tzinfo=UTC)
ledger = secretkit.ledger.open(url, lock_timeout=timedelta(seconds=30))
if sys.argv[4:]:
    print("ready", flush=True)
    sys.stdin.readline()
for n in range(count):
    try:
        number = ledger.issue(Issuance(
            lease_id=f"{me}-{n:06}", name="c", holder=me, ref="env:A",
            fingerprint=f"f{n * 5 // count}", granted_at=now,
            expires_at=now + timedelta(hours=1)))
        print(f"issued {me}-{n:06} {number}", flush=True)
        ledger.count_call("env:A", now=now, limit=50, per=timedelta(hours=1))
        print("counted", flush=True)
    except GrantError:
        print("refused", flush=True)
    except LedgerError as error:
        print("failed", error.retryable, bool(error.hint), error, flush=True)
ledger.close()
"""


def writer(url, me="a", count=100_000, before=(), after=()):
    return subprocess.Popen(
        [*before, sys.executable, "-c", WRITER, url, me, str(count), *after],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check(ledger: Ledger, *, issued: list[str]) -> None:
    """Every lease that was answered is there, each with one entry, and nothing is half there."""
    report = ledger.verify()
    assert report.intact, report
    granted = [e.event.lease_id for e in ledger.audit() if e.event.event is Event.LEASE_GRANTED]
    stored = [record.id for record in ledger.leases(now=NOW)]
    assert sorted(granted) == sorted(stored)
    assert len(set(granted)) == len(granted)
    assert set(issued) <= set(granted)
    new = [e for e in ledger.audit() if e.event.event is Event.GENERATION_NEW]
    assert len(new) == len(ledger.generations("c"))


def answered(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines if line.startswith("issued")]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/state/ledger.db"
    server: Server = request.getfixturevalue("postgres")
    return server.new_url()


def test_a_writer_killed_again_and_again_loses_nothing_it_was_told(url):
    issued: list[str] = []
    for round_ in range(6):
        process = writer(url, f"r{round_}")
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20 + 17 * round_)]
        process.kill()
        rest, _ = process.communicate(timeout=30)
        issued += answered([*lines, *rest.splitlines()[:-1]])
        ledger = secretkit.ledger.open(url)
        check(ledger, issued=issued)
        ledger.close()
    assert len(issued) > 100


def strace(*inject: str) -> list[str]:
    if shutil.which("strace") is None:
        absent("strace is not installed")
    return ["strace", "-f", "-qq", "-o", "/dev/null", *inject]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 20])
def test_killed_at_each_write_of_a_new_ledger_the_next_opener_goes_on(tmp_path, number):
    """The first writes make the file, the keys and the schema; the later ones issue."""
    url = f"sqlite://{tmp_path}/state/ledger.db"
    calls = "fsync,fdatasync,rename,pwrite64,ftruncate"
    before = strace("-e", f"trace={calls}", "-e", f"inject={calls}:signal=SIGKILL:when={number}")
    process = writer(url, count=4, before=before)
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    ledger = secretkit.ledger.open(url)
    ledger.issue(
        Issuance(
            lease_id="after",
            name="c",
            holder="h",
            ref="env:A",
            fingerprint="new",
            granted_at=NOW,
            expires_at=NOW + timedelta(hours=1),
        )
    )
    check(ledger, issued=answered(out.splitlines()))
    ledger.close()


@pytest.mark.parametrize("when", ["4+", "5", "9"])
def test_a_failed_sync_is_a_failed_commit(tmp_path, when):
    url = f"sqlite://{tmp_path}/state/ledger.db"
    secretkit.ledger.open(url).verify()
    calls = "fsync,fdatasync"
    before = strace("-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={when}")
    process = writer(url, count=10, before=before)
    out, err = process.communicate(timeout=60)
    lines = out.splitlines()
    failed = [line for line in lines if line.startswith("failed")]
    assert failed, (out, err)
    assert all("disk" in line and "True True" in line for line in failed)
    ledger = secretkit.ledger.open(url)
    check(ledger, issued=answered(lines))
    ledger.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        absent("no right to mount a small tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(ledger: Ledger) -> tuple[int, LedgerError]:
    for n in range(5_000):
        try:
            ledger.issue(
                Issuance(
                    lease_id=f"lease-{n:06}",
                    name="c",
                    holder="h" * 200,
                    ref="env:A",
                    fingerprint="f",
                    granted_at=NOW,
                    expires_at=NOW + timedelta(hours=1),
                )
            )
        except LedgerError as error:
            return n, error
    raise AssertionError("the disk never filled")


def test_a_full_disk_is_a_typed_error_and_what_was_written_stays(small_disk):
    url = f"sqlite://{small_disk}/state/ledger.db"
    ledger = secretkit.ledger.open(url)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(20_000))
    done, error = fill(ledger)
    assert done > 5
    assert "full" in str(error)
    assert error.retryable
    assert "space" in error.hint
    check(ledger, issued=[f"lease-{n:06}" for n in range(done)])
    ballast.unlink()
    for record in ledger.leases(now=NOW)[:1]:
        ledger.end(record.id, at=NOW)
    assert ledger.verify().intact
    ledger.close()


def test_a_ledger_cannot_begin_on_a_full_disk_and_begins_when_there_is_room(small_disk):
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        file.write(bytes(1 << 20))
    ledger = secretkit.ledger.open(f"sqlite://{small_disk}/state/ledger.db")
    with pytest.raises(LedgerError) as caught:
        ledger.verify()
    assert caught.value.retryable
    assert caught.value.hint
    ballast.unlink()
    assert ledger.verify().intact
    ledger.close()


def test_a_disk_that_became_read_only_is_a_typed_error_and_heals(small_disk):
    url = f"sqlite://{small_disk}/state/ledger.db"
    first = secretkit.ledger.open(url)
    first.verify()
    first.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ledger = secretkit.ledger.open(url)
    with pytest.raises(LedgerError) as caught:
        ledger.count_call("env:A", now=NOW, limit=1, per=timedelta(hours=1))
    assert caught.value.retryable
    assert caught.value.hint
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    ledger.count_call("env:A", now=NOW, limit=1, per=timedelta(hours=1))
    assert ledger.verify().intact
    ledger.close()


def test_processes_issuing_at_once_agree_on_every_generation_and_never_pass_the_limit(url):
    processes = [writer(url, me, count=40, after=["wait"]) for me in "abc"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outs = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outs
    lines = [line for out, _ in outs for line in out.splitlines()]
    assert not [line for line in lines if line.startswith("failed")]
    assert lines.count("counted") == 50
    ledger = secretkit.ledger.open(url)
    check(ledger, issued=answered(lines))
    assert len(answered(lines)) == 120
    numbers = [g.generation for g in ledger.generations("c")]
    assert numbers == list(range(len(numbers), 0, -1))
    stored = {record.id: record.generation for record in ledger.leases(now=NOW)}
    told = {line.split()[1]: int(line.split()[2]) for line in lines if "issued" in line}
    assert told == stored
    with pytest.raises(GrantError):
        ledger.count_call("env:A", now=NOW, limit=50, per=timedelta(hours=1))
    ledger.close()


HOLDER = """
import sys, threading
import secretkit.ledger
from secretkit.ledger.link import Mode

ledger = secretkit.ledger.open(sys.argv[1])

def hold(transaction):
    transaction.run("DELETE FROM secretkit_audit")
    print("held", flush=True)
    threading.Event().wait()

ledger._link.transact(Mode.APPEND, hold)
"""


def test_a_killed_lock_holder_leaves_no_lock_and_no_change(url):
    ledger = secretkit.ledger.open(url)
    ledger.count_call("env:A", now=NOW, limit=9, per=timedelta(hours=1))
    grant = Issuance(
        lease_id="before",
        name="c",
        holder="h",
        ref="env:A",
        fingerprint="f",
        granted_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    ledger.issue(grant)
    command = [sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
    assert ledger.issue(grant) == 1
    ledger.end("before", at=NOW)
    assert ledger.verify().entries == 3
    assert ledger.verify().intact
    ledger.close()
