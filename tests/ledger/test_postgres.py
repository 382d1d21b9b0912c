"""The ledger in PostgreSQL: lost connections, locks, and a password that stays unseen."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from postgres_server import Server, postgres  # noqa: F401 - a fixture

import secretkit.ledger
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, IntegrityError, LedgerError, SecretkitError
from secretkit.ledger.audit import append
from secretkit.ledger.link import Mode
from secretkit.ledger.postgres import _LOCKS
from secretkit.ledger.postgres_reason import explain
from secretkit.ports import AuditEvent, Event, Issuance

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FACT = AuditEvent(event=Event.RUN_STARTED, at=NOW, holder="h")
PASSWORD = "hunter" + "2" * 20


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
def server(postgres: Server) -> Server:  # noqa: F811 - the fixture
    return postgres


@pytest.fixture
def url(server):
    return server.new_url()


@pytest.fixture
def ledger(url):
    made = secretkit.ledger.open(url)
    yield made
    made.close()


def backend(ledger):
    return ledger._link.transact(Mode.READ, lambda t: t.run("SELECT pg_backend_pid()")[0][0])


def walk(error):
    """All that can be reached from an error without the frames of this test."""
    seen = [error]
    for one in seen:
        found = [one.__cause__, one.__context__, *one.args, *vars(one).values()]
        seen += [each for each in found if isinstance(each, BaseException) and each not in seen]
    return seen


def shown(error):
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [repr(frame.locals) for frame in list(trace.stack)[1:]]
    return " ".join([*frames, *(repr(one) + repr(vars(one)) for one in walk(error))])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    "rest",
    [
        "127.0.0.1:{port}/db",
        "/db?host=/nowhere",
        "nobody.invalid/db",
        "127.0.0.1:x/db",
        "127.0.0.1:{port}/db?no_such_option=1",
        "127.0.0.1:{port}/db?connect_timeout=soon",
        "[::1/db",
        "127.0.0.1:{port}/db?sslmode=sometimes",
        "127.0.0.1:{port}/db?options=%zz",
    ],
)
def test_a_url_that_leads_nowhere_gives_one_error_without_the_password(rest):
    text = rest.format(port=free_port())
    ledger = secretkit.ledger.open(f"postgresql://user:{PASSWORD}@{text}")
    with pytest.raises((LedgerError, ConfigError)) as caught:
        ledger.record(FACT)
    ledger.close()
    assert PASSWORD not in shown(caught.value)
    assert all(isinstance(one, SecretkitError) for one in walk(caught.value))
    assert caught.value.hint


@pytest.mark.parametrize("password", ["p@ss/w:rd#1", "%", "%zz", " ", "pässwörd"])
def test_a_password_that_breaks_the_url_is_not_shown_either(password):
    ledger = secretkit.ledger.open(f"postgresql://user:{password * 3}@127.0.0.1:1/db")
    with pytest.raises((LedgerError, ConfigError)) as caught:
        ledger.record(FACT)
    if password.strip("% "):
        assert password not in shown(caught.value)


def test_nobody_listening_says_so_and_may_be_tried_again(tmp_path):
    ledger = secretkit.ledger.open(f"postgresql://u@127.0.0.1:{free_port()}/db")
    with pytest.raises(LedgerError, match="not listening") as caught:
        ledger.record(FACT)
    assert caught.value.retryable


def test_a_missing_database_says_what_to_type(server):
    ledger = secretkit.ledger.open(server.url.replace("/postgres?", "/nothere?"))
    with pytest.raises(LedgerError, match="does not know") as caught:
        ledger.record(FACT)
    assert "createdb" in caught.value.hint


def test_a_user_without_rights_is_told_the_grant(server, url):
    server.run("DROP ROLE IF EXISTS weak")
    server.run("CREATE ROLE weak LOGIN")
    schema = url.rpartition("%3D")[2]
    server.run(f"GRANT USAGE ON SCHEMA {schema} TO weak")
    ledger = secretkit.ledger.open(url.replace("postgres:@", "weak@"))
    with pytest.raises(LedgerError, match="42501") as caught:
        ledger.record(FACT)
    assert "GRANT" in caught.value.hint
    ledger.close()


def test_without_psycopg_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import secretkit.ledger\n"
        "from secretkit.core.secret import Secret\n"
        "try: secretkit.ledger.open('postgresql://h/d').fingerprint(Secret('x'))\n"
        "except Exception as e: print(type(e).__name__, e.retryable, e.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == 'LedgerError False pip install "secretkit[postgres]"\n'


def test_an_error_of_the_server_is_not_chained_to_the_drivers(ledger, server, url):
    ledger.record(FACT)
    server.run(f"DROP TABLE {url.rpartition('%3D')[2]}.secretkit_audit")
    with pytest.raises(IntegrityError) as caught:
        ledger.record(FACT)
    assert all(isinstance(one, SecretkitError) for one in walk(caught.value))


def test_instants_are_timestamptz(ledger, server, url):
    ledger.issue(issuance())
    schema = url.rpartition("%3D")[2]
    types = server.run(
        "SELECT DISTINCT data_type FROM information_schema.columns "  # noqa: S608 - our own
        f"WHERE table_schema = '{schema}' "
        "AND column_name IN ('at', 'granted_at', 'expires_at', 'first_seen', 'starts')"
    )
    assert types == [("timestamp with time zone",)]


def test_a_session_in_another_time_zone_changes_nothing(url):
    ledger = secretkit.ledger.open(f"{url}%20-ctimezone%3DAsia%2FKathmandu")
    ledger.issue(issuance())
    assert ledger.lease("lease-1").granted_at.utcoffset() == timedelta()
    assert ledger.verify().intact
    ledger.close()


def test_a_server_that_does_not_wait_for_its_disk_is_made_to(url):
    ledger = secretkit.ledger.open(f"{url}%20-csynchronous_commit%3Doff")
    modes = {
        mode: ledger._link.transact(mode, lambda t: t.run("SHOW synchronous_commit")[0][0])
        for mode in (Mode.APPEND, Mode.COUNT)
    }
    assert modes == {Mode.APPEND: "on", Mode.COUNT: "on"}
    ledger.close()


def test_a_connection_lost_while_idle_is_made_again(ledger, server):
    ledger.record(FACT)
    server.run(f"SELECT pg_terminate_backend({backend(ledger)}, 5000)")
    ledger.record(FACT)
    assert ledger.verify().entries == 2


def test_work_whose_connection_was_lost_before_the_commit_is_done_once(ledger, server):
    ledger.record(FACT)
    runs = []

    def work(transaction):
        runs.append(1)
        append(transaction, FACT)
        if len(runs) == 1:
            pid = transaction.run("SELECT pg_backend_pid()")[0][0]
            server.run(f"SELECT pg_terminate_backend({pid}, 5000)")
            transaction.run("SELECT 1")

    ledger._link.transact(Mode.APPEND, work)
    assert len(runs) == 2
    assert ledger.verify().entries == 2
    assert ledger.verify().intact


def test_a_connection_lost_twice_is_an_error_and_nothing_is_kept(ledger, server):
    ledger.record(FACT)

    def work(transaction):
        append(transaction, FACT)
        pid = transaction.run("SELECT pg_backend_pid()")[0][0]
        server.run(f"SELECT pg_terminate_backend({pid}, 5000)")
        transaction.run("SELECT 1")

    with pytest.raises(LedgerError, match="lost twice") as caught:
        ledger._link.transact(Mode.APPEND, work)
    assert caught.value.retryable
    assert all(not hasattr(one, "pgconn") for one in walk(caught.value))
    assert ledger.verify().entries == 1


def test_a_commit_whose_answer_was_lost_is_looked_up_and_not_repeated(ledger, server):
    """A standby that never answers holds the commit back after it is on the server's own disk."""
    ledger.record(FACT)
    pid = backend(ledger)
    server.run("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
    server.run("SELECT pg_reload_conf()")
    try:
        thread = threading.Thread(target=ledger.record, args=(FACT,))
        thread.start()
        waits = f"pid = {pid} AND wait_event = 'SyncRep'"
        query = f"SELECT 1 FROM pg_stat_activity WHERE {waits}"  # noqa: S608 - our own
        end = time.monotonic() + 60
        while not server.run(query):
            assert time.monotonic() < end
            threading.Event().wait(0.02)
        server.run(f"SELECT pg_terminate_backend({pid}, 5000)")
        thread.join(10)
    finally:
        server.run("ALTER SYSTEM RESET synchronous_standby_names")
        server.run("SELECT pg_reload_conf()")
    assert not thread.is_alive()
    assert backend(ledger) != pid
    assert ledger.verify().entries == 2
    assert ledger.verify().intact


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.COUNT])
def test_a_lock_held_elsewhere_is_waited_for_within_the_bound(url, server, mode):
    import psycopg

    ledger = secretkit.ledger.open(url, lock_timeout=timedelta(milliseconds=100))
    ledger.record(FACT)
    with psycopg.connect(server.url) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({_LOCKS[mode]})".encode())
        with pytest.raises(LedgerError, match="locked") as caught:
            ledger._link.transact(mode, lambda _: None)
        assert caught.value.retryable
        assert ledger.verify().intact  # reading goes on
    ledger._link.transact(mode, lambda _: None)
    ledger.close()


def test_a_lost_key_row_is_an_integrity_error(url, server):
    first = secretkit.ledger.open(url)
    first.record(FACT)
    first.close()
    meta = f"{url.rpartition('%3D')[2]}.secretkit_meta"
    server.run(f"DELETE FROM {meta} WHERE name = 'keys'")  # noqa: S608 - our own
    again = secretkit.ledger.open(url)
    with pytest.raises(IntegrityError, match="secretkit_meta"):
        again.fingerprint(Secret("x"))
    again.close()


def test_a_database_that_was_swapped_while_we_ran_is_refused(url, server):
    ledger = secretkit.ledger.open(url)
    ledger.record(FACT)
    schema = url.rpartition("%3D")[2]
    server.run(f"DROP SCHEMA {schema} CASCADE")
    server.run(f"CREATE SCHEMA {schema}")
    other = secretkit.ledger.open(url)
    other.record(FACT)
    other.close()
    server.run(f"SELECT pg_terminate_backend({backend(ledger)}, 5000)")
    with pytest.raises(IntegrityError, match="not the ledger it was"):
        ledger.record(FACT)
    ledger.close()


FORKS = """
import os, sys
import secretkit.ledger
from secretkit.core.secret import Secret
from secretkit.ledger.link import Mode

def backend(ledger):
    return ledger._link.transact(Mode.READ, lambda t: t.run("SELECT pg_backend_pid()")[0][0])

ledger = secretkit.ledger.open(sys.argv[1])
mine = backend(ledger)
pid = os.fork()
if pid == 0:
    other = backend(ledger)
    ledger.close()
    sys.exit(0 if other != mine else 3)  # an ordinary end, with all its clean-up
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(code, backend(ledger) == mine)
ledger.close()
"""


def test_a_forked_child_that_ends_does_not_end_its_parents_session(url):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKS, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["0", "True"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("state", "kind", "word"),
    [
        ("53100", LedgerError, "room"),
        ("53300", LedgerError, "room"),
        ("25006", LedgerError, "read-only"),
        ("55P03", LedgerError, "locked"),
        ("57014", LedgerError, "long"),
        ("57P01", LedgerError, "shutting"),
        ("40001", LedgerError, "race"),
        ("XX001", IntegrityError, "written"),
        ("23505", IntegrityError, "written"),
        ("42P01", IntegrityError, "written"),
        ("99999", LedgerError, "99999"),
        ("", LedgerError, "failed"),
    ],
)
def test_what_the_server_says_is_said_in_our_words(state, kind, word):
    error = explain(state)
    assert type(error) is kind
    assert word in str(error)
    assert error.hint
