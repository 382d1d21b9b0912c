"""What every ledger keeps, whatever it is stored in: one suite for all."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import (
    ConfigError,
    GrantError,
    IntegrityError,
    LedgerError,
    SecretNotFoundError,
)
from secretkit.ledger.audit import append
from secretkit.ledger.link import Mode
from secretkit.ports import AuditEntry, AuditEvent, Event, Issuance, Ledger

NOW: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)


def grant(lease_id: str = "lease-aaaaaa", **changes: Any) -> Issuance:
    made = Issuance(
        lease_id=lease_id,
        name="claude",
        holder="host:1:a",
        ref="vault:secret/claude#api_key",
        fingerprint="f1" * 16,
        granted_at=NOW,
        expires_at=NOW + 15 * MINUTE,
    )
    return replace(made, **changes)


def event(**changes: Any) -> AuditEvent:
    made = AuditEvent(event=Event.FETCH_FAILED, at=NOW, holder="host:1:a", name="claude")
    return replace(made, **changes)


def entries(ledger: Ledger) -> list[AuditEntry]:
    return list(ledger.audit())


def kinds(ledger: Ledger) -> list[str]:
    return [str(entry.event.event) for entry in ledger.audit()]


class LedgerContract(ABC):
    """Subclass it and say how to open a ledger and how to reach under it."""

    @abstractmethod
    def make_ledger(self) -> Ledger:
        """Give a new, empty ledger."""

    @abstractmethod
    def raw(self, ledger: Ledger, sql: str, *values: object) -> None:
        """Change what is stored, behind the ledger's back; ``?`` marks the values."""

    @pytest.fixture
    def ledger(self) -> Iterator[Ledger]:
        made = self.make_ledger()
        yield made
        made.close()

    # fingerprints

    def test_a_fingerprint_tells_secrets_apart(self, ledger):
        first = ledger.fingerprint(Secret("one"))
        assert first == ledger.fingerprint(Secret("one"))
        assert first != ledger.fingerprint(Secret("two"))
        assert len(first) == 32
        assert int(first, 16)

    def test_a_fingerprint_means_nothing_in_another_ledger(self, ledger):
        other = self.make_ledger()
        assert ledger.fingerprint(Secret("one")) != other.fingerprint(Secret("one"))
        other.close()

    def test_no_stored_row_holds_the_secret_or_an_unkeyed_digest_of_it(self, ledger):
        import hashlib

        secret = Secret("canary-" + "x" * 20)
        print_ = ledger.fingerprint(secret)
        unkeyed = hashlib.blake2b(secret.reveal().encode(), digest_size=16).hexdigest()
        assert print_ != unkeyed
        assert "canary" not in print_

    # generations

    def test_the_first_secret_of_a_name_is_generation_one(self, ledger):
        assert ledger.issue(grant()) == 1

    def test_the_same_secret_keeps_its_generation_and_another_gets_the_next(self, ledger):
        assert ledger.issue(grant("lease-1")) == 1
        assert ledger.issue(grant("lease-2")) == 1
        assert ledger.issue(grant("lease-3", fingerprint="f2" * 16)) == 2
        assert ledger.issue(grant("lease-4", fingerprint="f2" * 16)) == 2

    def test_a_secret_that_comes_back_is_a_new_generation(self, ledger):
        numbers = [
            ledger.issue(grant(f"lease-{n}", fingerprint=print_ * 16))
            for n, print_ in enumerate(["f1", "f2", "f1"])
        ]
        assert numbers == [1, 2, 3]
        assert [g.generation for g in ledger.generations("claude")] == [3, 2, 1]

    def test_names_count_their_generations_apart(self, ledger):
        ledger.issue(grant("lease-1"))
        ledger.issue(grant("lease-2", fingerprint="f2" * 16))
        assert ledger.issue(grant("lease-3", name="other", fingerprint="f2" * 16)) == 1

    def test_a_generation_says_where_it_came_from_and_when(self, ledger):
        ledger.issue(grant())
        (record,) = ledger.generations("claude")
        assert (record.name, record.generation) == ("claude", 1)
        assert (record.fingerprint, record.ref) == ("f1" * 16, "vault:secret/claude#api_key")
        assert (record.first_seen, record.refused_until) == (NOW, None)
        assert ledger.generations("nobody") == ()

    # leases

    def test_a_lease_is_kept_as_it_was_granted(self, ledger):
        ledger.issue(grant())
        record = ledger.lease("lease-aaaaaa")
        assert record.id == "lease-aaaaaa"
        assert (record.name, record.holder) == ("claude", "host:1:a")
        assert (record.ref, record.generation) == ("vault:secret/claude#api_key", 1)
        assert (record.granted_at, record.expires_at) == (NOW, NOW + 15 * MINUTE)
        assert (record.ended_at, record.revoked) == (None, False)

    def test_instants_come_back_in_utc_to_the_microsecond(self, ledger):
        tokyo = timezone(9 * HOUR)
        granted = datetime(2030, 6, 1, 3, 4, 5, 123457, tzinfo=tokyo)
        ledger.issue(grant(granted_at=granted))
        record = ledger.lease("lease-aaaaaa")
        assert record.granted_at == granted
        assert record.granted_at.utcoffset() == timedelta()

    def test_a_renewal_extends_the_same_lease(self, ledger):
        ledger.issue(grant())
        later = grant(granted_at=NOW + 9 * MINUTE, expires_at=NOW + 24 * MINUTE, renews=True)
        assert ledger.issue(later) == 1
        (record,) = ledger.leases(now=NOW + 20 * MINUTE)
        assert (record.granted_at, record.expires_at) == (NOW, NOW + 24 * MINUTE)
        assert kinds(ledger) == ["generation.new", "lease.granted", "lease.renewed"]

    def test_a_renewal_with_a_new_secret_is_a_new_generation(self, ledger):
        ledger.issue(grant())
        assert ledger.issue(grant(fingerprint="f2" * 16, ref="env:B", renews=True)) == 2
        record = ledger.lease("lease-aaaaaa")
        assert (record.generation, record.ref) == (2, "env:B")
        assert kinds(ledger)[2:] == ["generation.new", "lease.renewed"]

    def test_a_revoked_lease_cannot_be_renewed(self, ledger):
        ledger.issue(grant())
        ledger.revoke("lease-aaaaaa", at=NOW, holder="alice")
        before = entries(ledger)
        with pytest.raises(GrantError, match="revoked") as caught:
            ledger.issue(grant(renews=True, fingerprint="f2" * 16))
        assert caught.value.hint
        assert entries(ledger) == before
        assert len(ledger.generations("claude")) == 1

    def test_a_lease_that_was_given_back_cannot_be_renewed(self, ledger):
        ledger.issue(grant())
        ledger.end("lease-aaaaaa", at=NOW)
        with pytest.raises(GrantError, match="given back"):
            ledger.issue(grant(renews=True))

    def test_a_lease_that_is_not_on_record_cannot_be_renewed(self, ledger):
        with pytest.raises(GrantError, match="not on record"):
            ledger.issue(grant(renews=True))
        assert entries(ledger) == []

    @pytest.mark.parametrize("changed", [{"holder": "host:2:b"}, {"name": "other"}])
    def test_a_lease_of_another_holder_or_name_cannot_be_renewed(self, ledger, changed):
        ledger.issue(grant())
        with pytest.raises(GrantError, match="another"):
            ledger.issue(grant(renews=True, **changed))

    def test_a_grant_repeated_after_a_lost_answer_changes_nothing(self, ledger):
        assert ledger.issue(grant()) == 1
        before = entries(ledger)
        assert ledger.issue(grant()) == 1
        assert entries(ledger) == before

    @pytest.mark.parametrize(
        "changed",
        [{"holder": "b"}, {"name": "other"}, {"ref": "env:B"}, {"expires_at": NOW + HOUR}],
    )
    def test_a_lease_id_is_given_once(self, ledger, changed):
        ledger.issue(grant())
        before = entries(ledger)
        with pytest.raises(LedgerError, match="exists already") as caught:
            ledger.issue(grant(**changed))
        assert not caught.value.retryable
        assert entries(ledger) == before

    def test_running_leases_are_listed_oldest_first(self, ledger):
        ledger.issue(grant("lease-b", granted_at=NOW + MINUTE))
        ledger.issue(grant("lease-c", granted_at=NOW + MINUTE))
        ledger.issue(grant("lease-a2", granted_at=NOW + 2 * MINUTE, name="other"))
        ledger.issue(grant("lease-d"))
        found = [record.id for record in ledger.leases(now=NOW)]
        assert found == ["lease-d", "lease-b", "lease-c", "lease-a2"]
        assert [record.id for record in ledger.leases(now=NOW, name="other")] == ["lease-a2"]

    def test_expired_and_ended_leases_are_not_listed(self, ledger):
        ledger.issue(grant("lease-1"))
        ledger.issue(grant("lease-2", expires_at=NOW + HOUR))
        ledger.issue(grant("lease-3", expires_at=NOW + HOUR))
        ledger.end("lease-3", at=NOW + MINUTE)
        assert [r.id for r in ledger.leases(now=NOW + 15 * MINUTE)] == ["lease-2"]

    def test_ending_twice_is_one_end(self, ledger):
        ledger.issue(grant())
        ledger.end("lease-aaaaaa", at=NOW + MINUTE)
        ledger.end("lease-aaaaaa", at=NOW + 2 * MINUTE)
        assert ledger.lease("lease-aaaaaa").ended_at == NOW + MINUTE
        assert kinds(ledger).count("lease.ended") == 1

    def test_ending_a_lease_that_never_was_is_an_error(self, ledger):
        ledger.issue(grant())
        with pytest.raises(SecretNotFoundError):
            ledger.end("lease-aaaaa", at=NOW)

    def test_a_lease_is_found_by_a_unique_prefix(self, ledger):
        ledger.issue(grant("abcdef-1"))
        ledger.issue(grant("abcdxx-2"))
        assert ledger.lease("abcdef").id == "abcdef-1"
        assert ledger.lease("abcdef-1").id == "abcdef-1"

    def test_a_short_prefix_is_refused_and_a_short_id_is_found(self, ledger):
        ledger.issue(grant("abcdef-1"))
        ledger.issue(grant("ab"))
        with pytest.raises(SecretNotFoundError) as caught:
            ledger.lease("abcde")
        assert "6" in caught.value.hint
        assert ledger.lease("ab").id == "ab"

    def test_an_ambiguous_prefix_is_refused_and_says_so(self, ledger):
        ledger.issue(grant("abcdef-1"))
        ledger.issue(grant("abcdef-2"))
        with pytest.raises(SecretNotFoundError) as caught:
            ledger.revoke("abcdef", at=NOW, holder="alice")
        assert "ambiguous" in caught.value.hint
        assert "lease.revoked" not in kinds(ledger)

    @pytest.mark.parametrize(
        "text", ["", "%", "%%%%%%", "______", "lease-%", "lease-\0", "\x1b[2J"]
    )
    def test_what_is_no_prefix_finds_nothing(self, ledger, text):
        ledger.issue(grant())
        with pytest.raises(SecretNotFoundError) as caught:
            ledger.lease(text)
        assert "\x1b" not in str(caught.value)
        assert caught.value.hint

    # revocation

    def test_a_revocation_reaches_its_holder_until_the_lease_ends(self, ledger):
        ledger.issue(grant("lease-1"))
        ledger.issue(grant("lease-2"))
        ledger.issue(grant("lease-3", holder="host:2:b"))
        assert ledger.revoked("host:1:a") == frozenset()
        record = ledger.revoke("lease-1", at=NOW + MINUTE, holder="alice")
        assert (record.id, record.revoked) == ("lease-1", True)
        assert ledger.lease("lease-1") == record
        assert ledger.revoked("host:1:a") == {"lease-1"}
        assert ledger.revoked("host:2:b") == frozenset()
        ledger.end("lease-1", at=NOW + 2 * MINUTE)
        assert ledger.revoked("host:1:a") == frozenset()

    def test_a_revocation_is_in_the_audit_once_with_who_did_it(self, ledger):
        ledger.issue(grant("lease-1"))
        ledger.revoke("lease-1", at=NOW + MINUTE, holder="alice")
        ledger.revoke("lease-1", at=NOW + 2 * MINUTE, holder="bob")
        last = entries(ledger)[-1].event
        assert (last.event, last.holder, last.at) == (Event.LEASE_REVOKED, "alice", NOW + MINUTE)
        assert (last.lease_id, last.name, last.generation) == ("lease-1", "claude", 1)

    def test_revoking_an_ended_lease_does_nothing(self, ledger):
        ledger.issue(grant("lease-1"))
        ledger.end("lease-1", at=NOW + MINUTE)
        record = ledger.revoke("lease-1", at=NOW + 2 * MINUTE, holder="alice")
        assert (record.ended_at, record.revoked) == (NOW + MINUTE, False)
        assert "lease.revoked" not in kinds(ledger)

    def test_a_revoked_lease_is_listed_as_revoked_until_it_is_given_back(self, ledger):
        ledger.issue(grant("lease-1"))
        ledger.revoke("lease-1", at=NOW, holder="alice")
        (record,) = ledger.leases(now=NOW)
        assert record.revoked

    # refused secrets

    def test_a_refused_secret_is_remembered_for_its_time(self, ledger):
        ledger.issue(grant())
        fact = event(event=Event.GENERATION_REFUSED, generation=1)
        ledger.refuse("claude", "f1" * 16, until=NOW + 10 * MINUTE, event=fact)
        assert ledger.refused("claude", now=NOW) == {"f1" * 16}
        assert ledger.refused("other", now=NOW) == frozenset()
        assert ledger.refused("claude", now=NOW + 10 * MINUTE) == frozenset()
        assert ledger.generations("claude")[0].refused_until == NOW + 10 * MINUTE
        assert entries(ledger)[-1].event == fact

    def test_a_secret_may_be_refused_before_it_was_ever_leased_and_again(self, ledger):
        fact = event(event=Event.GENERATION_REFUSED)
        ledger.refuse("claude", "f9", until=NOW + MINUTE, event=fact)
        ledger.refuse("claude", "f9", until=NOW + HOUR, event=fact)
        assert ledger.refused("claude", now=NOW + 2 * MINUTE) == {"f9"}

    # counted calls

    def test_calls_up_to_the_limit_pass_and_the_next_does_not(self, ledger):
        for n in range(5):
            ledger.count_call("env:A", now=NOW + n * MINUTE, limit=5, per=HOUR)
        with pytest.raises(GrantError, match="env:A") as caught:
            ledger.count_call("env:A", now=NOW + 5 * MINUTE, limit=5, per=HOUR)
        assert "leases.calls" in caught.value.hint
        wait = caught.value.retry_after
        assert wait is not None
        assert timedelta() < wait <= 57 * MINUTE
        assert ledger.calls("env:A", now=NOW + 5 * MINUTE, per=HOUR) == 5
        with pytest.raises(GrantError):
            ledger.count_call(
                "env:A", now=NOW + 5 * MINUTE + wait - timedelta(microseconds=1), limit=5, per=HOUR
            )
        ledger.count_call("env:A", now=NOW + 5 * MINUTE + wait, limit=5, per=HOUR)

    def test_a_lowered_limit_waits_until_enough_calls_have_left(self, ledger):
        for n in range(5):
            ledger.count_call("env:A", now=NOW + n * 10 * MINUTE, limit=5, per=HOUR)
        with pytest.raises(GrantError) as caught:
            ledger.count_call("env:A", now=NOW + 50 * MINUTE, limit=2, per=HOUR)
        wait = caught.value.retry_after
        assert wait is not None
        assert wait > 40 * MINUTE
        ledger.count_call("env:A", now=NOW + 50 * MINUTE + wait, limit=2, per=HOUR)

    def test_sources_are_counted_apart(self, ledger):
        ledger.count_call("env:A", now=NOW, limit=1, per=HOUR)
        ledger.count_call("env:B", now=NOW, limit=1, per=HOUR)
        assert ledger.calls("env:C", now=NOW, per=HOUR) == 0

    def test_a_limit_of_nothing_refuses_every_call(self, ledger):
        with pytest.raises(GrantError) as caught:
            ledger.count_call("env:A", now=NOW, limit=0, per=HOUR)
        assert caught.value.retry_after == HOUR

    def test_a_clock_set_back_does_not_win_new_calls(self, ledger):
        for _ in range(3):
            ledger.count_call("env:A", now=NOW, limit=3, per=HOUR)
        with pytest.raises(GrantError):
            ledger.count_call("env:A", now=NOW - 30 * MINUTE, limit=3, per=HOUR)

    def test_a_clock_that_was_a_year_ahead_does_not_block_for_a_year(self, ledger):
        for _ in range(3):
            ledger.count_call("env:A", now=NOW + timedelta(days=365), limit=3, per=HOUR)
        ledger.count_call("env:A", now=NOW, limit=3, per=HOUR)

    def test_the_smallest_window_works_too(self, ledger):
        tick = timedelta(microseconds=1)
        ledger.count_call("env:A", now=NOW, limit=1, per=tick)
        with pytest.raises(GrantError):
            ledger.count_call("env:A", now=NOW, limit=1, per=tick)
        ledger.count_call("env:A", now=NOW + 2 * tick, limit=1, per=tick)

    @pytest.mark.parametrize("per", [timedelta(), -HOUR, timedelta(days=400)])
    def test_a_window_that_is_none_is_refused(self, ledger, per):
        with pytest.raises(LedgerError):
            ledger.count_call("env:A", now=NOW, limit=1, per=per)

    def test_counted_calls_stay_few_rows(self, ledger):
        for n in range(120):
            ledger.count_call("env:A", now=NOW + n * MINUTE, limit=1000, per=5 * MINUTE)
        assert self.count(ledger, "secretkit_call") < 30

    # the audit

    def test_issuing_is_audited_with_all_that_is_known(self, ledger):
        ledger.issue(grant())
        new, granted = entries(ledger)
        assert (new.number, granted.number) == (1, 2)
        assert new.event.event is Event.GENERATION_NEW
        assert granted.event == AuditEvent(
            event=Event.LEASE_GRANTED,
            at=NOW,
            holder="host:1:a",
            name="claude",
            ref="vault:secret/claude#api_key",
            generation=1,
            lease_id="lease-aaaaaa",
        )

    def test_entries_come_in_order_from_where_one_asks(self, ledger):
        for n in range(5):
            ledger.record(event(name=f"n{n}"))
        assert [entry.number for entry in ledger.audit(after=3)] == [4, 5]
        assert list(ledger.audit(after=9)) == []

    def test_the_audit_is_read_in_pages_and_may_grow_meanwhile(self, ledger):
        many = [event()] * 501
        ledger._link.transact(Mode.APPEND, lambda transaction: append(transaction, *many))
        reading = ledger.audit()
        next(reading)
        ledger.record(event())
        assert len(list(reading)) == 501
        report = ledger.verify()
        assert (report.entries, report.intact) == (502, True)

    def test_text_of_any_script_is_kept(self, ledger):
        fact = event(holder="Zoë 東京 'quoted' \"twice\" %s ? \\", outcome="x" * 512)
        ledger.record(fact)
        assert entries(ledger)[0].event == fact
        assert ledger.verify().intact

    UNFIT = ("x" * 513, "a\nb", "a\0b", "\x1b[2J", "a\u202eb", "a\ud800b", 77, None)

    @pytest.mark.parametrize("field", ["holder", "name", "ref", "lease_id", "outcome"])
    def test_an_event_with_unfit_text_is_refused_and_not_shown(self, ledger, field):
        for text in self.UNFIT:
            with pytest.raises(LedgerError, match=field) as caught:
                ledger.record(event(**{field: text}))
            assert str(text) not in str(caught.value)
            assert not caught.value.retryable
            assert caught.value.hint
        assert entries(ledger) == []

    def test_an_event_of_the_wrong_type_is_refused(self, ledger):
        for changed in (
            {"generation": -1},
            {"generation": 2**63},
            {"generation": 1.0},
            {"generation": True},
            {"at": datetime(2030, 1, 1)},  # noqa: DTZ001 - the very thing
            {"at": "2030-01-01"},
            {"event": "lease.granted "},
        ):
            with pytest.raises(LedgerError) as caught:
                ledger.record(event(**changed))
            assert not caught.value.retryable
        assert entries(ledger) == []

    @pytest.mark.parametrize("field", ["lease_id", "name", "holder", "ref", "fingerprint"])
    def test_a_grant_with_unfit_text_is_refused(self, ledger, field):
        for text in ("", *self.UNFIT):
            with pytest.raises(LedgerError, match=field):
                ledger.issue(grant(**{field: text}))
        assert entries(ledger) == []

    @pytest.mark.parametrize("field", ["granted_at", "expires_at"])
    def test_a_grant_without_a_time_zone_is_refused(self, ledger, field):
        with pytest.raises(LedgerError, match="time zone"):
            ledger.issue(grant(**{field: datetime(2030, 1, 1)}))  # noqa: DTZ001 - the very thing

    # verifying

    def test_an_empty_audit_is_intact(self, ledger):
        report = ledger.verify()
        assert (report.entries, report.head, report.intact) == (0, "", True)

    def test_the_reported_head_is_the_newest_digest(self, ledger):
        ledger.record(event())
        ledger.record(event())
        assert ledger.verify().head == entries(ledger)[-1].digest

    def test_a_head_noted_earlier_is_still_in_the_chain(self, ledger):
        ledger.record(event())
        noted = ledger.verify().head
        ledger.record(event())
        assert ledger.verify(head=noted).intact

    def test_a_head_that_is_not_in_the_chain_is_reported(self, ledger):
        ledger.record(event())
        report = ledger.verify(head="ab" * 32)
        assert not report.intact
        assert (report.entries, report.broken_at) == (1, 2)
        assert "head" in report.reason

    @pytest.mark.parametrize("condition", ["= 1", "= 3", "> 4", "> 0"])
    def test_reading_stops_where_entries_are_missing(self, ledger, condition):
        for _ in range(6):
            ledger.record(event())
        self.raw(ledger, f"DELETE FROM secretkit_audit WHERE number {condition}")  # noqa: S608
        with pytest.raises(IntegrityError, match="missing") as caught:
            entries(ledger)
        assert "verify" in caught.value.hint

    @pytest.mark.parametrize("head", ["x", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
    def test_what_is_no_head_is_refused(self, ledger, head):
        with pytest.raises(ConfigError) as caught:
            ledger.verify(head=head)
        assert caught.value.hint

    TAMPERED = (
        ("event", "UPDATE secretkit_audit SET event = 'lease.ended' WHERE number = 3", 3),
        ("no event", "UPDATE secretkit_audit SET event = 'lease.stolen' WHERE number = 3", 3),
        ("holder", "UPDATE secretkit_audit SET holder = 'mallory' WHERE number = 3", 3),
        ("name", "UPDATE secretkit_audit SET name = 'c' WHERE number = 3", 3),
        ("ref", "UPDATE secretkit_audit SET ref = 'env:X' WHERE number = 3", 3),
        ("generation", "UPDATE secretkit_audit SET generation = 9 WHERE number = 3", 3),
        ("lease", "UPDATE secretkit_audit SET lease_id = 'other' WHERE number = 3", 3),
        ("outcome", "UPDATE secretkit_audit SET outcome = 'X' WHERE number = 3", 3),
        ("digest", "UPDATE secretkit_audit SET digest = 'f' WHERE number = 3", 3),
        (
            "moved field",
            "UPDATE secretkit_audit SET ref = name || ref, name = '' WHERE number = 3",
            3,
        ),
        ("instant", ("UPDATE secretkit_audit SET at = (SELECT max(at) FROM secretkit_audit) "
         "WHERE number = 3"), 3),
        ("removed", "DELETE FROM secretkit_audit WHERE number = 3", 3),
        ("first removed", "DELETE FROM secretkit_audit WHERE number = 1", 1),
        ("cut off", "DELETE FROM secretkit_audit WHERE number > 4", 5),
        ("all gone", "DELETE FROM secretkit_audit", 1),
        ("renumbered", "UPDATE secretkit_audit SET number = 9 WHERE number = 6", 6),
        ("put in", ("INSERT INTO secretkit_audit SELECT 7, event, at, holder, name, ref, "
         "generation, lease_id, outcome, digest FROM secretkit_audit WHERE number = 6"), 7),
        ("put before", ("INSERT INTO secretkit_audit SELECT -1, event, at, holder, name, ref, "
         "generation, lease_id, outcome, digest FROM secretkit_audit WHERE number = 1"), 1),
        ("head gone", "DELETE FROM secretkit_meta WHERE name = 'head'", 7),
        ("head edited", ("UPDATE secretkit_meta SET content = '5' || content "
         "WHERE name = 'head'"), 7),
        ("head emptied", "UPDATE secretkit_meta SET content = '' WHERE name = 'head'", 7),
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("sql", "number"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED]
    )
    def test_tampering_is_found_where_it_begins(self, ledger, sql, number):
        for n in range(6):
            ledger.record(event(name=f"name{n}", at=NOW + n * MINUTE, generation=n))
        assert ledger.verify().intact
        self.raw(ledger, sql)
        report = ledger.verify()
        assert not report.intact
        assert report.broken_at == number
        assert report.entries == number - 1
        assert report.reason

    def test_two_entries_that_changed_places_are_found(self, ledger):
        for n in range(4):
            ledger.record(event(name=f"name{n}"))
        for old, new in ((2, 99), (3, 2), (99, 3)):
            self.raw(ledger, "UPDATE secretkit_audit SET number = ? WHERE number = ?", new, old)
        assert ledger.verify().broken_at == 2

    def test_entries_cut_off_with_the_head_put_back_are_found_by_a_noted_head(self, ledger):
        ledger.record(event())
        early = self.fetch(ledger, "SELECT content FROM secretkit_meta WHERE name = 'head'")
        ledger.record(event())
        noted = ledger.verify().head
        self.raw(ledger, "DELETE FROM secretkit_audit WHERE number = 2")
        self.raw(ledger, "UPDATE secretkit_meta SET content = ? WHERE name = 'head'", early)
        assert ledger.verify().intact  # nothing inside it can tell
        assert not ledger.verify(head=noted).intact

    def test_nothing_is_issued_while_the_head_is_not_to_be_trusted(self, ledger):
        ledger.record(event())
        self.raw(ledger, "UPDATE secretkit_meta SET content = 'x' WHERE name = 'head'")
        with pytest.raises(IntegrityError) as caught:
            ledger.issue(grant())
        assert caught.value.hint
        assert ledger.leases(now=NOW) == ()
        assert ledger.generations("claude") == ()

    def test_nothing_is_issued_into_a_place_that_is_taken(self, ledger):
        ledger.record(event())
        self.raw(
            ledger,
            "INSERT INTO secretkit_audit SELECT 2, event, at, holder, name, ref, generation, "
            "lease_id, outcome, digest FROM secretkit_audit",
        )
        with pytest.raises(IntegrityError):
            ledger.issue(grant())
        assert ledger.leases(now=NOW) == ()

    def test_a_missing_table_is_an_integrity_error(self, ledger):
        ledger.record(event())
        self.raw(ledger, "DROP TABLE secretkit_audit")
        with pytest.raises(IntegrityError):
            ledger.record(event())

    # threads, forks, the end

    def test_many_threads_share_one_ledger(self, ledger):
        ledger.fingerprint(Secret("x"))
        gate = threading.Barrier(8)
        seen: list[int] = []

        def work(me: int) -> None:
            gate.wait()
            for n in range(5):
                seen.append(ledger.issue(grant(f"lease-{me}-{n}", fingerprint=f"f{n}{me}")))
                ledger.count_call("env:A", now=NOW, limit=40, per=HOUR)

        threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(seen) == list(range(1, 41))
        assert ledger.calls("env:A", now=NOW, per=HOUR) == 40
        with pytest.raises(GrantError):
            ledger.count_call("env:A", now=NOW, limit=40, per=HOUR)
        assert ledger.verify().entries == 80
        assert ledger.verify().intact

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_forked_child_goes_on_while_its_parent_held_the_lock(self, ledger):
        ledger.issue(grant("lease-1"))
        stop = threading.Event()

        def busy() -> None:
            n = 0
            while not stop.wait(0.001):
                n += 1
                ledger.record(event(generation=n))

        thread = threading.Thread(target=busy)
        thread.start()
        try:
            codes = [self._forked(lambda n=n: self._child(ledger, n)) for n in range(4)]
        finally:
            stop.set()
            thread.join()
        assert codes == [0] * 4
        ledger.issue(grant("lease-last"))
        assert ledger.verify().intact

    @staticmethod
    def _child(ledger: Ledger, number: int) -> None:
        assert ledger.issue(grant(f"lease-child-{number}")) == 1
        assert ledger.verify().intact
        ledger.after_fork()
        assert ledger.lease(f"lease-child-{number}")
        ledger.close()

    @staticmethod
    def _forked(work) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_after_fork_in_the_same_process_changes_nothing(self, ledger):
        ledger.issue(grant())
        ledger.after_fork()
        assert ledger.lease("lease-aaaaaa")

    def test_a_closed_ledger_says_so(self, ledger):
        ledger.issue(grant())
        ledger.close()
        ledger.close()
        with pytest.raises(LedgerError, match="closed") as caught:
            ledger.issue(grant("lease-2"))
        assert not caught.value.retryable
        assert caught.value.hint

    def test_a_ledger_does_not_pickle_its_keys(self, ledger):
        import pickle

        ledger.fingerprint(Secret("x"))
        with pytest.raises(TypeError):
            pickle.dumps(ledger)

    def count(self, ledger: Ledger, table: str) -> int:
        return int(self.fetch(ledger, f"SELECT count(*) FROM {table}"))  # noqa: S608 - our own

    @abstractmethod
    def fetch(self, ledger: Ledger, sql: str) -> Any:
        """Give the one value that a query gives, behind the ledger's back."""


class LastingContract(LedgerContract):
    """What a ledger that outlives its process keeps besides."""

    @abstractmethod
    def again(self, ledger: Ledger) -> Ledger:
        """Open the same ledger a second time, beside the first."""

    def test_all_is_there_after_a_restart(self, ledger):
        print_ = ledger.fingerprint(Secret("one"))
        ledger.issue(grant("lease-1"))
        ledger.revoke("lease-1", at=NOW, holder="alice")
        ledger.refuse("claude", "f9", until=NOW + HOUR, event=event())
        ledger.count_call("env:A", now=NOW, limit=1, per=HOUR)
        before = (ledger.lease("lease-1"), ledger.generations("claude"), entries(ledger))
        ledger.close()
        again = self.again(ledger)
        assert again.fingerprint(Secret("one")) == print_
        assert (again.lease("lease-1"), again.generations("claude"), entries(again)) == before
        assert again.revoked("host:1:a") == {"lease-1"}
        assert again.refused("claude", now=NOW) == {"f9"}
        with pytest.raises(GrantError):
            again.count_call("env:A", now=NOW + MINUTE, limit=1, per=HOUR)
        assert again.verify().intact
        again.close()

    def test_two_openers_see_each_other_and_agree_on_generations(self, ledger):
        other = self.again(ledger)
        assert ledger.issue(grant("lease-1")) == 1
        assert other.issue(grant("lease-2")) == 1
        assert other.issue(grant("lease-3", fingerprint="f2")) == 2
        assert ledger.issue(grant("lease-4", fingerprint="f2")) == 2
        other.revoke("lease-1", at=NOW, holder="alice")
        assert ledger.revoked("host:1:a") == {"lease-1"}
        assert ledger.verify().intact
        other.close()

    def test_two_openers_at_once_make_one_ledger(self, ledger):
        gate = threading.Barrier(4)
        prints: list[str] = []

        def work() -> None:
            mine = self.again(ledger)
            gate.wait()
            prints.append(mine.fingerprint(Secret("one")))
            mine.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(prints) == 4
        assert set(prints) == {ledger.fingerprint(Secret("one"))}

    def test_a_newer_schema_is_refused(self, ledger):
        ledger.record(event())
        self.raw(ledger, "UPDATE secretkit_meta SET content = '7' WHERE name = 'schema'")
        again = self.again(ledger)
        with pytest.raises(LedgerError, match="schema 7") as caught:
            again.record(event())
        assert "--upgrade" in caught.value.hint
        assert not caught.value.retryable
        again.close()

    @pytest.mark.parametrize("text", ["", "0", "-1", "one", "1.0", "²", "9" * 40])
    def test_a_schema_without_a_version_is_refused(self, ledger, text):
        ledger.record(event())
        self.raw(ledger, "UPDATE secretkit_meta SET content = ? WHERE name = 'schema'", text)
        again = self.again(ledger)
        with pytest.raises(IntegrityError, match="schema"):
            again.record(event())
        again.close()

    def test_keys_of_another_ledger_are_refused(self, ledger):
        ledger.record(event())
        self.raw(ledger, "UPDATE secretkit_meta SET content = 'x' WHERE name = 'key_id'")
        again = self.again(ledger)
        with pytest.raises(IntegrityError, match="another ledger"):
            again.fingerprint(Secret("x"))
        again.close()
