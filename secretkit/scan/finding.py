"""Finding: where a leaked secret was seen, without the secret; and what could not be scanned."""

from __future__ import annotations

from secretkit.core.record import record

__all__ = ["Finding", "Live", "Skipped"]


@record(kw_only=True)
class Live:
    """Which credential of ours a found value is, by fingerprint."""

    credential: str
    generation: int


@record(kw_only=True)
class Finding:
    """One leaked secret. It holds no part of the value but what ``redacted`` shows.

    ``line`` and ``column`` count from 1, columns in Unicode code points; ``end_column`` is the
    column after the last character. ``path`` is relative to what was scanned, with ``/``; content
    inside an archive follows a ``!``: ``app.zip!conf/prod.env``. ``commit`` is the one that brought
    it, for history scans. ``redacted`` is the line with every secret in it masked. ``fingerprint``
    is keyed: it tells two secrets apart, for whoever has the key. ``accepted`` says what
    accepts it: ``baseline``, ``comment``, or nothing.
    """

    rule: str
    severity: str
    confidence: str
    path: str
    line: int
    column: int
    end_column: int
    commit: str | None
    fingerprint: str
    redacted: str
    description: str = ""
    advice: str = ""
    live: Live | None = None
    accepted: str = ""


@record(kw_only=True)
class Skipped:
    """Something that was not scanned in full, and why."""

    path: str
    reason: str
