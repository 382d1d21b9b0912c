"""The local store under kill -9, a full, failing or read-only disk, damage and many writers."""

from __future__ import annotations

import os
import random  # noqa: TID251 - seeded, so that a failure can be repeated
import re
import shutil
import subprocess
import sys

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.secret import Secret
from secretkit.errors import IntegrityError, LedgerError, SecretkitError
from secretkit.providers.keysource import KeyFile
from secretkit.providers.store import LocalStore

WORK = """
import os, sys
os.umask(0)
from secretkit.broker.clock import SystemClock
from secretkit.core.secret import Secret
from secretkit.errors import LedgerError, ProviderError
from secretkit.providers.keysource import KeyFile
from secretkit.providers.store import LocalStore

place, task, given = sys.argv[1:]
source = KeyFile(place + "/keys/store.key")

def create():
    source.create()
    with LocalStore.create(place + "/store.db", source, clock=SystemClock()) as store:
        store.write("name", Secret("first"))

def write():
    with LocalStore(place + "/store.db", source, clock=SystemClock(), keep=2) as store:
        try:
            store.write("name", Secret(given))
            print("written")
        except LedgerError as error:
            print("failed:", error, "hint:", error.hint)
        print("now:", store.read("name")[1].reveal()[:20])

def count():
    with LocalStore(place + "/store.db", source, clock=SystemClock()) as store:
        done = 0
        while done < int(given):
            entry, secret = store.read("counter")
            try:
                more = Secret(str(int(secret.reveal()) + 1))
                store.write("counter", more, expected=entry.version)
                done += 1
            except LedgerError:
                raise
            except ProviderError:
                pass

def limited():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    write()

{"create": create, "write": write, "count": count, "limited": limited}[task]()
"""
# strace counts each of the calls on its own, so they are gone through one after the other. (With
# --seccomp-bpf strace 6.1 injects errors, but no signals.)
CALLS = ("pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "mkdir", "write")


def absent(reason):
    """Skip with the reason, or fail where everything has to be there."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)  # noqa: TID251 - tests only


def command(place, task, given="second"):
    return [sys.executable, "-c", WORK, str(place), task, given]


def run(place, task, given="second", before=()):
    return subprocess.run(
        [*before, *command(place, task, given)], capture_output=True, text=True, check=False
    )


def strace(*options, output="/dev/null"):
    if shutil.which("strace") is None:
        absent("strace is not installed")
    return ["strace", "-f", "-qq", "-o", str(output), *options]


def killed_at_each_step(attempt, stride=1):
    """Run ``attempt(strace command)`` killed at each call in turn; give how often that was."""
    kills = 0
    for call in CALLS:
        for number in range(1, 41, stride):
            options = ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
            if attempt(strace(*options)).returncode == 0:
                break
            kills += 1
        else:
            raise AssertionError(f"it was killed at each of 40 {call}")
    return kills


def opened(place):
    return LocalStore.open(
        str(place / "store.db"), KeyFile(str(place / "keys" / "store.key")), clock=SystemClock()
    )


def value(place, name="name"):
    with opened(place) as store:
        store.check()
        return store.read(name)[1].reveal()


@pytest.fixture
def place(tmp_path):
    assert run(tmp_path, "create").returncode == 0
    return tmp_path


def test_killed_at_any_step_of_a_write_the_value_is_the_old_or_the_new_one(place):
    values, outcomes = ["first"], set()

    def attempt(killed):
        new = f"value-{len(values)}"
        ran = run(place, "write", new, killed)
        found = value(place)
        assert found in (values[-1], new)
        assert found == new or ran.returncode != 0
        outcomes.add(found == new)
        values.append(found)
        return ran

    assert killed_at_each_step(attempt) >= 12
    assert outcomes == {True, False}


def test_killed_at_any_step_of_its_creation_a_store_is_made_by_trying_again(tmp_path):
    places = []

    def attempt(killed):
        place = tmp_path / str(len(places))
        places.append(place)
        ran = run(place, "create", before=killed)
        again = run(place, "create") if ran.returncode else ran
        if again.returncode:  # it was whole already; only what came after it may be missing
            assert "it is not empty" in again.stderr
            with opened(place) as store:
                assert [one.name for one in store.entries()] in ([], ["name"])
        else:
            assert value(place) == "first"
        return ran

    assert killed_at_each_step(attempt, stride=2) >= 12


@pytest.mark.parametrize("when", ["1", "2", "3", "4", "1+"])
def test_a_write_whose_fsync_fails_is_reported_and_the_old_value_stays(place, when):
    calls = "fsync,fdatasync"
    inject = strace("-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={when}")
    ran = run(place, "write", before=inject)
    assert ran.returncode == 0, ran.stderr
    if ran.stdout.startswith("written"):
        # the failing call was that of the directory or of the checkpoint after the commit
        assert when != "1+"
        assert value(place) == "second"
    else:
        assert "hint:" in ran.stdout
        assert "now: first" in ran.stdout
        assert value(place) == "first"
    assert {one.name for one in place.iterdir()} == {"keys", "store.db"}


def test_at_the_limit_of_a_file_size_the_old_value_stays(place):
    ran = run(place, "limited", "x" * 100_000)
    assert ran.stdout.startswith("failed:"), ran.stderr
    assert "now: first" in ran.stdout
    assert value(place) == "first"
    assert {one.name for one in place.iterdir()} == {"keys", "store.db"}


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir(0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        absent("no right to mount a small tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_on_a_full_disk_the_old_value_stays_and_nothing_else_is_left(small_disk):
    assert run(small_disk, "create").returncode == 0
    (small_disk / "filler").write_bytes(b"x" * 120_000)
    ran = run(small_disk, "write", "x" * 120_000)
    (small_disk / "filler").unlink()
    assert ran.stdout.startswith("failed:"), ran.stdout + ran.stderr
    assert "full" in ran.stdout
    assert "now: first" in ran.stdout
    assert value(small_disk) == "first"
    assert {one.name for one in small_disk.iterdir()} == {"keys", "store.db"}
    assert run(small_disk, "write").stdout.startswith("written")


def test_no_store_is_made_on_a_full_disk(small_disk):
    with (small_disk / "filler").open("wb") as filler, pytest.raises(OSError, match="space"):
        filler.write(b"x" * 300_000)
    source = KeyFile(str(small_disk / "keys" / "store.key"))
    with pytest.raises(LedgerError) as caught:
        source.create()
    assert caught.value.hint


def test_on_a_read_only_disk_a_write_says_so_and_the_old_value_stays(small_disk):
    assert run(small_disk, "create").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        with pytest.raises(LedgerError) as caught:
            opened(small_disk)
        assert "writable" in caught.value.hint
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert value(small_disk) == "first"


def test_two_processes_lose_no_update(place):
    with opened(place) as store:
        store.write("counter", Secret("0"))
    workers = [
        subprocess.Popen(command(place, "count", "500"), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [worker.communicate(timeout=100)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], errors
    assert value(place, "counter") == "1000"
    with opened(place) as store:
        assert store.version("counter") == 1001


def test_no_file_is_ever_open_to_others_while_a_store_is_made(tmp_path):
    place = tmp_path / "state"
    log = tmp_path / "calls"
    calls = "open,openat,creat,mkdir,mkdirat,chmod,fchmod,fchmodat"
    ran = run(place, "create", before=strace("-e", f"trace={calls}", output=log))
    assert ran.returncode == 0, ran.stderr
    ours = [line for line in log.read_text().splitlines() if str(place) in line]
    made = [line for line in ours if "O_CREAT" in line or "mkdir" in line]
    for line in made:
        wanted = "0700" if "mkdir" in line else "0600"
        mode = re.search(r", (0[0-7]+)\) = ", line)
        assert mode is not None, line
        assert mode.group(1) in (wanted, "0644" if "-shm" in line else wanted), line
    for name in ("store.db", "store.key"):
        first = next(line for line in ours if f'{name}"' in line and "O_CREAT" in line)
        assert {"O_EXCL", "O_NOFOLLOW", "O_CLOEXEC"} <= set(re.findall(r"O_[A-Z]+", first))
    assert not [line for line in log.read_text().splitlines() if "chmod" in line]


def rich(place):
    """Give a closed store's bytes and what it holds."""
    held = {}
    with opened(place) as store:
        for name in ("one", "two", "three"):
            for version in (1, 2):
                text = f"{name}-{version}-" + "v" * (40 * version)
                store.write(name, Secret(text))
                held[name, version] = text
    return (place / "store.db").read_bytes(), held


def outcome(place, data, held):
    """Open a store of these bytes and read all: "same", or "refused" with the file unchanged."""
    (place / "store.db").write_bytes(data)
    assert not list(place.glob("store.db-*"))
    try:
        with opened(place) as store:
            for (name, version), text in held.items():
                assert store.read(name, version=version)[1].reveal() == text
            assert {one.name for one in store.entries()} == {"one", "two", "three", "name"}
        told = "same"
    except IntegrityError:
        told = "refused"
    assert (place / "store.db").read_bytes() == data
    return told


def test_a_flipped_byte_is_refused_or_changes_nothing(place):
    good, held = rich(place)
    dice = random.Random(5)  # noqa: S311 - places of damage, not keys
    told = []
    for _ in range(1000):
        broken = bytearray(good)
        broken[dice.randrange(len(good))] ^= dice.randrange(1, 256)
        told.append(outcome(place, bytes(broken), held))
    assert told.count("refused") > 100  # the rest is room that no row uses


def test_every_byte_of_the_schema_and_the_header_matters_or_changes_nothing(place):
    good, held = rich(place)
    for position in [*range(112), *range(3500, 4096)]:
        broken = bytearray(good)
        broken[position] ^= 0x80  # out of ASCII, which SQLite's own messages stumble over
        outcome(place, bytes(broken), held)


def test_a_store_that_is_cut_short_is_refused(place):
    good, held = rich(place)
    assert {outcome(place, good[:n], held) for n in range(0, len(good), 64)} == {"refused"}


def test_a_damaged_log_gives_the_old_value_or_the_new_one_or_an_error(place):
    """A log that a crash left is cut at its first bad frame, as after a torn write."""
    before = (place / "store.db").read_bytes()
    with opened(place) as store:
        store.write("name", Secret("second"))
        log = (place / "store.db-wal").read_bytes()
    dice = random.Random(6)  # noqa: S311 - places of damage, not keys
    found = set()
    for flip in [None, *(dice.randrange(len(log)) for _ in range(200))]:
        broken = bytearray(log)
        if flip is not None:
            broken[flip] ^= dice.randrange(1, 256)
        for path in place.glob("store.db*"):
            path.unlink()
        for name, data in (("store.db", before), ("store.db-wal", broken)):
            (place / name).touch(0o600)
            (place / name).write_bytes(data)
        try:
            found.add(value(place))
        except SecretkitError as error:
            found.add(type(error))
    assert found <= {"first", "second", IntegrityError}
    assert {"first", "second"} <= found
