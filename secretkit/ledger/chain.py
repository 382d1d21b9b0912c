"""The audit chain: what an entry's bytes are, and the digests over them. Pure.

digest(n) = HMAC-SHA-256(audit key, digest(n - 1) ‖ canonical(n)). The head, which is the number of
entries and the newest digest, is sealed with the same key, so that entries cut off the end are
missed. What no chain can notice by itself is the whole ledger put back to an earlier day: note a
head elsewhere and verify against it.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from secretkit.errors import IntegrityError
from secretkit.ledger.failure import lasting
from secretkit.ports import AuditEvent, Event

__all__ = [
    "EPOCH",
    "GENESIS",
    "Head",
    "canonical",
    "check_event",
    "check_instant",
    "check_number",
    "check_text",
    "digest",
    "microseconds",
    "read_head",
    "write_head",
]

GENESIS: Final = "00" * 32
"""What stands before the first entry."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ENTRY: Final = b"secretkit audit entry 1\0"
_HEAD: Final = b"secretkit audit head 1\0"
_TICK: Final = timedelta(microseconds=1)
_LONGEST: Final = 512
_MOST: Final = 2**63 - 1


class Head(NamedTuple):
    """Where the chain ends: how many entries, and the newest one's digest."""

    entries: int
    digest: str


def microseconds(instant: datetime) -> int:
    """Give the whole microseconds since 1970, exactly."""
    return (instant - EPOCH) // _TICK


def canonical(number: int, event: AuditEvent) -> bytes:
    """Give the one byte string of an entry: each field in order, behind its length in 4 bytes."""
    fields = (
        str(number),
        event.event.value,
        str(microseconds(event.at)),
        event.holder,
        event.name,
        event.ref,
        str(event.generation),
        event.lease_id,
        event.outcome,
    )
    return _ENTRY + b"".join(_with_length(field.encode()) for field in fields)


def _with_length(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def digest(key: bytes, *, previous: str, number: int, event: AuditEvent) -> str:
    """Give the digest of an entry that follows ``previous``: 64 hex digits."""
    message = bytes.fromhex(previous) + canonical(number, event)
    return hmac.digest(key, message, "sha256").hex()


def write_head(key: bytes, head: Head) -> str:
    """Give the head as text, sealed."""
    return f"{head.entries}:{head.digest}:{_seal(key, head)}"


def read_head(key: bytes, text: object) -> Head:
    """Read a sealed head back.

    Raises:
        IntegrityError: if it is not as :func:`write_head` gave it with this key.
    """
    try:
        count, newest, seal = str(text).split(":")
        head = Head(int(count), newest)
    except ValueError:
        head, seal = Head(0, ""), ""
    if not hmac.compare_digest(_seal(key, head).encode(), seal.encode("utf-8", "replace")):
        raise IntegrityError(
            "the sealed head of the audit is not what was written",
            hint="keep a copy of the ledger as it is, then run: secretkit audit verify",
        )
    return head


def _seal(key: bytes, head: Head) -> str:
    message = f"{head.entries}:{head.digest}".encode("utf-8", "replace")
    return hmac.digest(key, _HEAD + message, "sha256").hex()


def check_event(event: AuditEvent) -> None:
    """Refuse an event that could not be written down and read again.

    Raises:
        LedgerError: naming the field, never its content.
    """
    if not isinstance(event.event, Event):
        raise lasting("the audit records only the events of Event", hint="pick one of Event")
    for field in ("holder", "name", "ref", "lease_id", "outcome"):
        check_text(getattr(event, field), what=f"{field} of an audit event")
    check_number(event.generation, what="generation of an audit event")
    check_instant(event.at, what="instant of an audit event")


def check_text(text: object, *, what: str) -> None:
    """Refuse text that is too long, or that could steer a terminal.

    Raises:
        LedgerError: naming ``what``, never the text.
    """
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isprintable():
        raise lasting(
            f"the {what} is longer than {_LONGEST} characters or holds one that does not print",
            hint="the ledger keeps names, references and ids only; pass a short printable one",
        )


def check_number(number: object, *, what: str) -> None:
    """Refuse what is not a whole number from 0 that both databases hold.

    Raises:
        LedgerError: naming ``what``.
    """
    if type(number) is not int or not 0 <= number <= _MOST:
        raise lasting(f"the {what} is not a whole number from 0", hint="pass an int from 0")


def check_instant(instant: object, *, what: str) -> None:
    """Refuse an instant without a time zone.

    Raises:
        LedgerError: naming ``what``.
    """
    if not isinstance(instant, datetime) or instant.utcoffset() is None:
        raise lasting(
            f"the {what} has no time zone",
            hint="pass an aware datetime, as Clock.now() gives",
        )
