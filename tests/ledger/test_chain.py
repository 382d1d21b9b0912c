"""The audit chain's bytes and digests."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from secretkit.errors import IntegrityError, LedgerError
from secretkit.ledger import chain
from secretkit.ledger.chain import GENESIS, Head
from secretkit.ports import AuditEvent, Event

KEY = bytes(range(32))
FACT = AuditEvent(
    event=Event.LEASE_GRANTED,
    at=datetime(2030, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    holder="h",
    name="claude",
    ref="env:A",
    generation=3,
    lease_id="l",
)


def test_the_canonical_bytes_are_these_and_stay_these():
    fields = ["7", "lease.granted", "1893456000000001", "h", "claude", "env:A", "3", "l", ""]
    expected = b"secretkit audit entry 1\0" + b"".join(
        len(field).to_bytes(4, "big") + field.encode() for field in fields
    )
    assert chain.canonical(7, FACT) == expected


def test_a_digest_is_the_hmac_of_the_previous_one_and_the_entry():
    due = hmac.new(KEY, bytes(32) + chain.canonical(1, FACT), hashlib.sha256).hexdigest()
    assert chain.digest(KEY, previous=GENESIS, number=1, event=FACT) == due


@pytest.mark.parametrize(
    "changed",
    [
        {"event": Event.LEASE_RENEWED},
        {"at": FACT.at + timedelta(microseconds=1)},
        {"holder": "i"},
        {"name": "claud"},
        {"ref": "env:B"},
        {"generation": 4},
        {"lease_id": ""},
        {"outcome": "x"},
        {"holder": "", "name": "hclaude"},
        {"lease_id": "", "outcome": "l"},
        {"ref": "env:A\0\0\0\x013", "generation": 0},
    ],
)
def test_no_two_events_have_the_same_bytes(changed):
    assert chain.canonical(1, replace(FACT, **changed)) != chain.canonical(1, FACT)


def test_the_same_moment_in_another_time_zone_has_the_same_bytes():
    there = FACT.at.astimezone(timezone(timedelta(hours=9)))
    assert chain.canonical(1, replace(FACT, at=there)) == chain.canonical(1, FACT)


def test_a_digest_depends_on_key_place_and_predecessor():
    made = {
        chain.digest(key, previous=previous, number=number, event=FACT)
        for key in (KEY, bytes(32))
        for previous in (GENESIS, "11" * 32)
        for number in (1, 2)
    }
    assert len(made) == 8


def test_a_head_is_read_back_as_it_was_sealed():
    head = Head(12, "ab" * 32)
    assert chain.read_head(KEY, chain.write_head(KEY, head)) == head


def test_a_head_of_another_key_is_refused():
    with pytest.raises(IntegrityError):
        chain.read_head(bytes(32), chain.write_head(KEY, Head(1, "ab" * 32)))


@pytest.mark.parametrize(
    "text",
    ["", ":", "::", ":::", "1:a", "x:a:b", "1:\ud800:b", "0::", None, 7, b"1:a:b", "1:a:\ud800"],
)
def test_what_is_no_head_is_refused(text):
    with pytest.raises(IntegrityError) as caught:
        chain.read_head(KEY, text)
    assert caught.value.hint


def test_a_head_with_any_character_changed_is_refused_or_says_the_same():
    text = chain.write_head(KEY, Head(12, "ab" * 32))
    for place in range(len(text)):
        for char in "09af:x":
            changed = text[:place] + char + text[place + 1 :]
            if changed != text:
                with pytest.raises(IntegrityError):
                    chain.read_head(KEY, changed)


@pytest.mark.parametrize("year", [1, 1969, 1970, 2038, 9999])
def test_microseconds_are_exact_over_all_years(year):
    instant = datetime(year, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert chain.EPOCH + timedelta(microseconds=chain.microseconds(instant)) == instant


def test_an_event_as_it_should_be_is_accepted():
    chain.check_event(FACT)


def test_a_refusal_names_the_field_and_a_way_out():
    with pytest.raises(LedgerError, match="outcome") as caught:
        chain.check_event(replace(FACT, outcome="a\tb"))
    assert caught.value.hint
    assert not caught.value.retryable
