"""Summary: what a whole scan gave: findings, what was read, and what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.scan.finding import Finding, Live, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NOTHING", "Summary", "Tally", "from_plain", "ordered", "plain", "total"]

_COUNTS: Final = ("files", "size", "blobs", "commits")
_FINDING: Final = (
    *("rule", "severity", "confidence", "path", "line", "column", "end_column", "commit"),
    *("fingerprint", "redacted", "description", "advice", "accepted"),
)


@record(kw_only=True)
class Summary:
    """The findings of a scan, in order of path and place, and its counts.

    ``size`` is in bytes. ``accepted`` are the findings that a baseline or a comment took out.
    ``blobs`` and ``commits`` count for scans of history.
    """

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    accepted: tuple[Finding, ...] = ()
    files: int = 0
    size: int = 0
    blobs: int = 0
    commits: int = 0


NOTHING: Final = Summary()


class Tally:
    """Counts what is clean: nearly all files, for which a summary each costs more than reading."""

    __slots__ = ("files", "size")

    def __init__(self) -> None:
        self.files = self.size = 0

    def summary(self) -> Summary:
        """Give what was counted."""
        return Summary(files=self.files, size=self.size)


def total(parts: Iterable[Summary]) -> Summary:
    """Give the sum of ``parts``, in order."""
    parts = list(parts)
    skipped = [one for part in parts for one in part.skipped]
    return Summary(
        findings=ordered(one for part in parts for one in part.findings),
        skipped=tuple(sorted(skipped, key=lambda one: (one.path, one.reason))),
        accepted=ordered(one for part in parts for one in part.accepted),
        files=sum(part.files for part in parts),
        size=sum(part.size for part in parts),
        blobs=sum(part.blobs for part in parts),
        commits=sum(part.commits for part in parts),
    )


def plain(summary: Summary) -> dict[str, Any]:
    """Give ``summary`` as what JSON can hold, for another process or a cache."""
    return {
        **{name: getattr(summary, name) for name in _COUNTS},
        "findings": [_fields(finding) for finding in summary.findings],
        "accepted": [_fields(finding) for finding in summary.accepted],
        "skipped": [[one.path, one.reason] for one in summary.skipped],
    }


def from_plain(table: Mapping[str, Any]) -> Summary:
    """Give the summary that :func:`plain` made ``table`` of.

    Raises:
        KeyError, TypeError, ValueError: for a table that it did not make.
    """
    return Summary(
        **{name: int(table[name]) for name in _COUNTS},
        findings=tuple(_finding(one) for one in table["findings"]),
        accepted=tuple(_finding(one) for one in table["accepted"]),
        skipped=tuple(Skipped(path=path, reason=reason) for path, reason in table["skipped"]),
    )


def _fields(finding: Finding) -> dict[str, Any]:
    live = finding.live
    known = None
    if live is not None:
        known = {"credential": live.credential, "generation": live.generation}
    return {**{name: getattr(finding, name) for name in _FINDING}, "live": known}


def _finding(table: Mapping[str, Any]) -> Finding:
    return Finding(**{**table, "live": Live(**table["live"]) if table["live"] else None})


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Give findings in the one order that every report has."""
    return tuple(sorted(findings, key=_place))


def _place(one: Finding) -> tuple[str, int, int, str, str]:
    return one.path, one.line, one.column, one.rule, one.commit or ""
