"""The stand-in's own log: one frozen record a request, from which a run's figures are recomputed.

A record holds labels and constants only: never a key, a body, a query, or a path that is not one of
the routes (a key pasted into a URL must not end up here).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import TextIOWrapper
    from pathlib import Path

__all__ = ["LogRecord", "StubLog", "read_log", "select", "summarise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One request: what came, how it was answered, and whether the answer got out whole.

    ``number`` is the order of arrival. ``key`` is the label of the key, also of a refused one, and
    empty for an unknown one. ``status`` 0: the connection was cut without an answer. ``scripted``:
    the answer was bent by a :class:`~secretkit.testing.stub.script.Step`.
    """

    number: int
    at: datetime
    method: str
    path: str
    status: int
    stream: bool
    key: str
    spelling: str
    request_id: str
    events: int
    finished: bool
    error: str
    scripted: bool


_FIELDS: Final = frozenset(field.name for field in fields(LogRecord))


class StubLog:
    """Gathers records, in memory and as JSON lines if a file is given. For one writer thread."""

    def __init__(self, file: Path | None = None) -> None:
        self._records: list[LogRecord] = []
        self._file: TextIOWrapper | None = None
        if file is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8", buffering=1)

    def append(self, record: LogRecord) -> None:
        """Keep one record and write its line at once."""
        self._records.append(record)
        if self._file is not None:
            line = asdict(record) | {"at": record.at.isoformat()}
            self._file.write(json.dumps(line) + "\n")

    def records(self) -> tuple[LogRecord, ...]:
        """Give what was logged so far, in the order the requests ended."""
        return tuple(self._records)

    def close(self) -> None:
        """Close the file; safe to repeat."""
        if self._file is not None:
            self._file.close()
            self._file = None


def read_log(file: Path) -> tuple[LogRecord, ...]:
    """Read back a file of JSON lines, strictly.

    Raises:
        ConfigError: for a line that is not a whole record.
    """
    records = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            records.append(LogRecord(**row | {"at": datetime.fromisoformat(row["at"])}))
        except (ValueError, TypeError, KeyError):
            raise ConfigError(
                f"line {number} is not a record of the stand-in",
                file=str(file),
                hint="write the log with one ClaudeStub(log_file=...) and do not edit it",
            ) from None
    return tuple(records)


def select(records: Iterable[LogRecord], **facts: object) -> list[LogRecord]:
    """Give the records whose fields equal ``facts``: ``select(records, status=401, key="a")``.

    Raises:
        ConfigError: for a field that no record has; it would match nothing for ever.
    """
    unknown = sorted(facts.keys() - _FIELDS)
    if unknown:
        known = ", ".join(sorted(_FIELDS))
        raise ConfigError(f"a log record has no {unknown[0]!r}", hint=f"its fields are {known}")
    return [r for r in records if all(getattr(r, name) == want for name, want in facts.items())]


def summarise(records: Iterable[LogRecord]) -> dict[str, object]:
    """Give the counts of a run: requests, streams, finished ones, by status and by key."""
    rows = list(records)
    streams = [row for row in rows if row.stream]
    return {
        "requests": len(rows),
        "streams": len(streams),
        "streams_finished": sum(row.finished for row in streams if row.status == 200),  # noqa: PLR2004 - HTTP status
        "events": sum(row.events for row in rows),
        "unfinished": sum(not row.finished for row in rows),
        "rejected": sum(row.status == 401 for row in rows),  # noqa: PLR2004 - HTTP status
        "by_status": dict(sorted(Counter(row.status for row in rows).items())),
        "by_key": dict(sorted(Counter(row.key for row in rows).items())),
    }
