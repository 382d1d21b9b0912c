"""The ledger in a SQLite file: how it is made, guarded, and what damage means."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from postgres_server import absent

import secretkit.ledger
from secretkit.core.secret import Secret
from secretkit.errors import IntegrityError, LedgerError
from secretkit.ports import AuditEvent, Event, Issuance

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FACT = AuditEvent(event=Event.RUN_STARTED, at=NOW, holder="h")
SHORT = timedelta(milliseconds=100)


def issuance(lease_id="lease-1"):
    return Issuance(
        lease_id=lease_id,
        name="c",
        holder="h",
        ref="env:A",
        fingerprint="f",
        granted_at=NOW,
        expires_at=NOW + timedelta(minutes=1),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.db"


def opened(path, **options):
    return secretkit.ledger.open(f"sqlite://{path}", **options)


@pytest.fixture
def used(path):
    """A ledger with one entry, closed."""
    ledger = opened(path)
    ledger.record(FACT)
    ledger.close()
    return path


def refused(path, kind=LedgerError, **options):
    """What recording in the ledger at ``path`` raises; nothing may be open afterwards."""
    ledger = opened(path, **options)
    with pytest.raises(kind) as caught:
        ledger.record(FACT)
    ledger.close()
    assert caught.value.hint
    assert caught.value.__cause__ is None
    return caught.value


def mode(path):
    return oct(path.lstat().st_mode & 0o7777)


def test_all_is_private_under_an_open_umask_while_it_is_open_and_after(path):
    before = os.umask(0)
    try:
        ledger = opened(path)
        ledger.record(FACT)
        assert {mode(each) for each in path.parent.iterdir()} == {"0o600"}
        names = {each.name for each in path.parent.iterdir()}
        assert names == {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.key"}
        ledger.close()
    finally:
        os.umask(before)
    assert mode(path.parent) == "0o700"
    assert mode(path) == mode(Path(f"{path}.key")) == "0o600"


def test_missing_directories_are_all_private(tmp_path):
    before = os.umask(0)
    try:
        ledger = opened(tmp_path / "a" / "b" / "c" / "ledger.db")
        ledger.record(FACT)
        ledger.close()
    finally:
        os.umask(before)
    assert {mode(p) for p in tmp_path.rglob("*") if p.is_dir()} == {"0o700"}


def test_the_file_is_made_exclusively_and_never_wider(tmp_path):
    if shutil.which("strace") is None:
        absent("strace is not installed")
    code = (
        "import os, secretkit.ledger as l; from secretkit.core.secret import Secret; os.umask(0);"
        f"l.open('sqlite://{tmp_path}/s/ledger.db').fingerprint(Secret('x'))"
    )
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=openat,mkdir,chmod,fchmod", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if f"{tmp_path}/s" in line]
    made = [line for line in lines if "O_CREAT" in line]
    ours = [line for line in made if "-wal" not in line and "-shm" not in line]
    assert len(ours) >= 2
    assert all("O_EXCL" in line and "O_NOFOLLOW" in line for line in ours if "journal" not in line)
    assert all("0600" in line for line in made)
    assert any("mkdir" in line and "0700" in line for line in lines)
    assert not [line for line in lines if "chmod" in line]


def test_commits_are_durable_and_the_journal_is_wal(used):
    ledger = opened(used)
    ledger.record(FACT)
    connection = ledger._link._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    ledger.close()


@pytest.mark.parametrize("which", ["", ".key"])
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644])
def test_a_file_open_to_others_is_refused_and_left_as_it_is(used, which, bits):
    file = Path(f"{used}{which}")
    file.chmod(bits)
    error = refused(used)
    assert error.hint == f"chmod 600 {file}"
    assert not error.retryable
    assert mode(file) == oct(bits)


@pytest.mark.parametrize("bits", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_may_write_is_refused(used, bits):
    used.parent.chmod(bits)
    assert refused(used).hint == f"chmod 700 {used.parent}"


def test_a_directory_above_that_others_may_write_is_refused(used, tmp_path):
    tmp_path.chmod(0o777)
    assert "replace" in str(refused(used))


def test_a_sticky_directory_above_is_fine(used, tmp_path):
    tmp_path.chmod(0o1777)
    opened(used).record(FACT)


@pytest.mark.parametrize("which", ["", ".key"])
def test_a_link_in_place_of_a_file_is_refused_and_its_target_untouched(used, tmp_path, which):
    file = Path(f"{used}{which}")
    target = tmp_path / "target"
    file.rename(target)
    file.symlink_to(target)
    before = target.read_bytes()
    refused(used)
    assert target.read_bytes() == before


def test_a_dangling_link_is_not_followed(path, tmp_path):
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")
    refused(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_link_in_place_of_the_directory_is_refused(used, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(used.parent)
    refused(link / "ledger.db")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_refused(path, make):
    path.parent.mkdir(mode=0o700)
    make(path)
    refused(path)


def test_a_file_with_a_second_name_is_refused(used, tmp_path):
    os.link(used, tmp_path / "second")
    refused(used)


@pytest.mark.parametrize("which", ["ledger.db", "ledger.db.key", "."])
def test_what_belongs_to_another_user_is_refused(used, which):
    if os.geteuid() != 0:
        absent("only root can give a file away")
    os.chown(used.parent / which, 12345, 12345)
    assert "another user" in str(refused(used))


def test_a_missing_key_of_a_used_ledger_is_never_made_again(used):
    key = Path(f"{used}.key")
    key.unlink()
    error = refused(used, IntegrityError)
    assert str(key) in str(error)
    assert not key.exists()


def test_the_key_of_another_ledger_is_refused(used, tmp_path):
    other = tmp_path / "other" / "ledger.db"
    opened(other).record(FACT)
    shutil.copy(f"{other}.key", f"{used}.key")
    assert "another ledger" in str(refused(used, IntegrityError))


def test_a_ledger_that_is_gone_is_not_begun_anew_beside_its_key(used):
    used.unlink()
    refused(used, IntegrityError)
    assert not used.exists()


def test_a_ledger_cut_to_nothing_is_not_begun_anew(used):
    used.write_bytes(b"")
    refused(used, IntegrityError)


def test_another_programs_database_is_left_alone(path):
    path.parent.mkdir(mode=0o700)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    path.chmod(0o600)
    assert "another program" in str(refused(path))
    assert not Path(f"{path}.key").exists()


def test_a_file_that_is_no_database_is_left_alone(path):
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"something of mine\n" * 100)
    path.chmod(0o600)
    before = path.read_bytes()
    refused(path, IntegrityError)
    assert path.read_bytes() == before


@pytest.mark.parametrize("left", ["nothing", "an empty file", "keys without tables"])
def test_a_killed_creation_is_finished_by_the_next_opener(path, left):
    if left != "nothing":
        path.parent.mkdir(mode=0o700)
        path.touch(0o600)
    if left == "keys without tables":
        Path(f"{path}.key.new").touch(0o600)
    ledger = opened(path)
    ledger.record(FACT)
    assert ledger.verify().intact
    ledger.close()
    assert not Path(f"{path}.key.new").exists()


def test_keys_that_only_lacked_their_final_name_get_it(used):
    Path(f"{used}.key").rename(f"{used}.key.new")
    ledger = opened(used)
    assert ledger.verify().entries == 1
    ledger.close()
    assert Path(f"{used}.key").exists()


def test_a_locked_ledger_is_refused_within_the_bound_and_served_after(used):
    holder = sqlite3.connect(used, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    ledger = opened(used, lock_timeout=SHORT)
    with pytest.raises(LedgerError, match="locked") as caught:
        ledger.issue(issuance())
    assert caught.value.retryable
    assert caught.value.hint
    assert list(ledger.audit())  # reading goes on
    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.issue(issuance()) == 1
    ledger.close()


def test_a_creation_that_hangs_elsewhere_is_waited_for_within_the_bound(path):
    import fcntl

    path.parent.mkdir(mode=0o700)
    handle = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert refused(path, lock_timeout=SHORT).retryable
    os.close(handle)
    opened(path).record(FACT)


def test_a_thread_that_holds_the_ledger_is_waited_for_within_the_bound(used):
    ledger = opened(used, lock_timeout=SHORT)
    ledger.record(FACT)
    caught: list[LedgerError] = []

    def second():
        try:
            ledger.record(FACT)
        except LedgerError as error:
            caught.append(error)

    with ledger._link._held():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert caught[0].retryable
    assert "thread" in str(caught[0])
    ledger.close()


def test_an_interrupt_inside_a_transaction_leaves_nothing_and_no_lock(used):
    ledger = opened(used)

    def interrupted(transaction):
        transaction.run("DELETE FROM secretkit_audit")
        raise KeyboardInterrupt

    from secretkit.ledger.link import Mode

    with pytest.raises(KeyboardInterrupt):
        ledger._link.transact(Mode.APPEND, interrupted)
    assert ledger.verify().entries == 1
    ledger.record(FACT)
    ledger.close()


def test_a_file_cut_short_anywhere_is_a_typed_error_or_read_as_it_was(used, tmp_path):
    whole = used.read_bytes()
    good = list(opened(used).audit())
    for length in range(0, len(whole), 997):
        place = tmp_path / f"cut{length}"
        place.mkdir(mode=0o700)
        copy = place / "ledger.db"
        shutil.copy(f"{used}.key", f"{copy}.key")
        copy.touch(0o600)
        copy.write_bytes(whole[:length])
        ledger = opened(copy)
        try:
            found = list(ledger.audit())
        except LedgerError:
            found = good  # nothing was believed
        assert found == good
        ledger.close()


def test_the_secret_is_in_no_file_of_the_ledger(path):
    ledger = opened(path)
    secret = Secret("canary" + "-" + "q" * 30)
    print_ = ledger.fingerprint(secret)
    ledger.issue(issuance())
    files = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"canary" not in files
    ledger.close()
    assert len(print_) == 32


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_inside_a_transaction_is_refused_in_the_child_and_harmless_to_the_parent(used):
    ledger = opened(used, lock_timeout=SHORT)
    ledger.record(FACT)
    with ledger._link._held():
        pid = os.fork()
        if pid == 0:
            try:
                ledger.record(FACT)
            except LedgerError as error:
                os._exit(7 if "forked" in str(error) and not error.retryable else 1)
            finally:
                os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    ledger.record(FACT)
    assert ledger.verify().intact
    ledger.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_children_that_outlive_their_parents_connection_lose_nothing(used):
    """The inherited notes on locks would let the last closer delete the log under the child."""
    ledger = opened(used)
    ledger.record(FACT)
    go, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ledger.record(FACT)
            os.write(done[1], b"1")
            os.read(go[0], 1)
            ledger.record(FACT)
        finally:
            os._exit(0)
    os.read(done[0], 1)
    ledger.close()
    second = opened(used)  # opens and closes as the last one that this process has
    second.record(FACT)
    second.close()
    os.write(go[1], b"1")
    os.waitpid(pid, 0)
    for end in (*go, *done):
        os.close(end)
    after = opened(used)
    assert after.verify().entries == 5
    assert after.verify().intact
    after.close()


@pytest.mark.parametrize("kind", ["a file", "memory"])
def test_a_ledger_that_nobody_holds_closes_its_connection_even_in_a_cycle(path, kind):
    ledger = opened(path) if kind == "a file" else secretkit.ledger.open("sqlite://")
    ledger.record(FACT)
    connection = ledger._link._connection
    ledger.itself = ledger
    del ledger
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_memory_ledger_dropped_in_a_forked_child_closes_the_childs_copy_only():
    ledger = secretkit.ledger.open("sqlite://")
    ledger.record(FACT)
    connection = ledger._link._connection
    pid = os.fork()
    if not pid:
        del ledger
        gc.collect()
        try:
            connection.execute("SELECT 1")
        except sqlite3.ProgrammingError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert len(list(ledger.audit())) == 1
    ledger.close()
