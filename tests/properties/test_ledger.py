"""What holds for every audit, every order of secrets and every pattern of calls."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

import secretkit.ledger
from secretkit.errors import GrantError, LedgerError
from secretkit.ports import AuditEntry, AuditEvent, Event, Issuance, Ledger

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COUNT = 8
COLUMNS = ("number", "event", "at", "holder", "name", "ref", "generation", "lease_id", "outcome",
           "digest")  # fmt: skip

text = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20)
events = st.builds(
    AuditEvent,
    event=st.sampled_from(Event),
    at=st.datetimes(timezones=st.just(UTC)),
    holder=text,
    name=text,
    ref=text,
    generation=st.integers(0, 2**63 - 1),
    lease_id=text,
    outcome=text,
)


def audited(facts: list[AuditEvent]) -> Ledger:
    ledger = secretkit.ledger.open("sqlite://")
    for fact in facts:
        ledger.record(fact)
    return ledger


def under(ledger: Ledger) -> sqlite3.Connection:
    return ledger._link._connection


@given(st.lists(events, max_size=10))
@settings(max_examples=60, deadline=None)
def test_whatever_is_recorded_is_read_back_and_verifies(facts):
    ledger = audited(facts)
    assert [entry.event for entry in ledger.audit()] == facts
    assert ledger.verify().intact
    ledger.close()


values = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.floats(allow_nan=False),
    st.sampled_from(list(Event)).map(str),
)


@given(st.lists(events, min_size=1, max_size=5), st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_field_of_any_entry_is_found(facts, data):
    ledger = audited(facts)
    number = data.draw(st.integers(1, len(facts)))
    column = data.draw(st.sampled_from(COLUMNS))
    value = data.draw(values)
    read = f"SELECT {column} FROM secretkit_audit WHERE number = ?"  # noqa: S608 - our own
    (before,) = under(ledger).execute(read, (number,)).fetchone()
    write = f"UPDATE OR REPLACE secretkit_audit SET {column} = ? WHERE number = ?"  # noqa: S608
    try:
        under(ledger).execute(write, (value, number))
    except (sqlite3.Error, UnicodeEncodeError):
        ledger.close()
        return  # the database itself refused it
    where = "SELECT count(*) FROM secretkit_audit WHERE number = ? AND {} IS ?".format(column)  # noqa: S608, UP032
    (same,) = under(ledger).execute(where, (number, before)).fetchone()
    assert ledger.verify().intact == bool(same)
    ledger.close()


@given(st.lists(events, min_size=2, max_size=8, unique_by=repr), st.data())
@settings(max_examples=100, deadline=None)
def test_any_rows_removed_repeated_or_reordered_are_found(facts, data):
    ledger = audited(facts)
    rows = under(ledger).execute("SELECT * FROM secretkit_audit ORDER BY number").fetchall()
    places = st.lists(st.integers(0, len(rows) - 1), max_size=len(rows) + 2)
    order = data.draw(places)
    under(ledger).execute("DELETE FROM secretkit_audit")
    for number, place in enumerate(order, 1):
        row = (number, *rows[place][1:])
        under(ledger).execute(f"INSERT INTO secretkit_audit VALUES ({'?, ' * 9}?)", row)  # noqa: S608
    assert ledger.verify().intact == (order == list(range(len(rows))))
    ledger.close()


@cache
def sample() -> tuple[Path, bytes, list[AuditEntry]]:
    place = Path(tempfile.mkdtemp())
    ledger = secretkit.ledger.open(f"sqlite://{place}/ledger.db")
    for n in range(COUNT):
        ledger.record(AuditEvent(event=Event.RUN_STARTED, at=NOW, holder=f"h{n}", generation=n))
    good = list(ledger.audit())
    ledger.close()
    return place, (place / "ledger.db").read_bytes(), good


def believed(data: bytes) -> list[AuditEntry] | None:
    """The entries of a ledger with these bytes, if it vouches for them."""
    place, _, _ = sample()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ledger.db"
        shutil.copy(place / "ledger.db.key", f"{copy}.key")
        copy.touch(0o600)
        copy.write_bytes(data)
        ledger = secretkit.ledger.open(f"sqlite://{copy}")
        try:
            return list(ledger.audit()) if ledger.verify().intact else None
        except LedgerError:
            return None
        finally:
            ledger.close()


def test_a_file_that_nobody_changed_is_believed():
    _, data, good = sample()
    assert believed(data) == good


@given(st.integers(0, 10**9), st.integers(1, 255))
@settings(max_examples=120, deadline=None)
@example(0, 1)
@example(18, 3)  # the journal mode's two bytes
@example(19, 3)
@example(28, 1)  # the size in pages
@example(1705, 128)  # the text of the schema, which SQLite quotes in its error
def test_a_flipped_byte_anywhere_in_the_file_is_never_believed(place, mask):
    _, data, good = sample()
    place %= len(data)
    changed = bytearray(data)
    changed[place] ^= mask
    assert believed(bytes(changed)) in (None, good)


def test_a_flipped_byte_where_the_audit_is_stored_is_found():
    _, data, good = sample()
    digest = good[3].digest.encode()
    start = data.index(b"run.started" + b"", data.index(digest) - 120)
    for place in range(start, data.index(digest) + len(digest)):
        changed = bytearray(data)
        changed[place] ^= 1
        assert believed(bytes(changed)) is None, place


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_generations_never_decrease_and_change_exactly_when_the_secret_does(steps: list[Any]):
    ledger = secretkit.ledger.open("sqlite://")
    newest: dict[str, tuple[int, int]] = {}
    for n, (name, secret) in enumerate(steps):
        number = ledger.issue(
            Issuance(
                lease_id=f"lease-{n}",
                name=name,
                holder="h",
                ref="env:A",
                fingerprint=f"f{secret}",
                granted_at=NOW,
                expires_at=NOW + timedelta(hours=1),
            )
        )
        before, old = newest.get(name, (0, -1))
        assert number == before + (secret != old)
        newest[name] = (number, secret)
    assert ledger.verify().intact
    ledger.close()


def refusal(ledger: Ledger, *, now: datetime, limit: int, per: timedelta) -> timedelta | None:
    """Count a call; how long to wait where that was refused."""
    try:
        ledger.count_call("env:A", now=now, limit=limit, per=per)
    except GrantError as error:
        return error.retry_after
    return None


shares = st.sampled_from([0.0, 0.001, 0.01, 1 / 60, 0.02, 0.5, 0.97, 59 / 60, 0.99, 0.999, 1.0])


@given(
    st.lists(st.tuples(shares, st.sampled_from([0.0, 0.0, 0.01, 0.5, 1.0])), max_size=40),
    st.integers(0, 4),
    st.sampled_from([1, 2, 59, 60, 61, 119, 10_007, 3_600_000_000]),
)
@settings(max_examples=200, deadline=None)
def test_no_window_ever_holds_more_calls_than_the_limit(steps, limit, per):
    """Steps in shares of the window; processes whose clocks are behind call in between."""
    ledger = secretkit.ledger.open("sqlite://")
    window = timedelta(microseconds=per)
    passed: list[datetime] = []
    now = NOW
    for gap, behind in steps:
        now += gap * window
        seen = now - behind * window
        wait = refusal(ledger, now=seen, limit=limit, per=window)
        if wait is None:
            passed.append(seen)
        else:
            assert wait > timedelta()
    for start in passed:
        assert sum(start <= at < start + window for at in passed) <= limit
    ledger.close()


@given(st.lists(st.integers(0, 500_000), min_size=1, max_size=30), st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_after_the_stated_wait_the_next_call_passes(gaps, limit):
    ledger = secretkit.ledger.open("sqlite://")
    window = timedelta(seconds=1)
    now = NOW
    for gap in gaps:
        now += timedelta(microseconds=gap)
        wait = refusal(ledger, now=now, limit=limit, per=window)
        if wait is not None:
            now += wait
            assert refusal(ledger, now=now, limit=limit, per=window) is None
    ledger.close()
