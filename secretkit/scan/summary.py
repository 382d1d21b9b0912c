"""Summary: what a whole scan gave: findings, what was read, and what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.core.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretkit.scan.finding import Finding, Skipped

__all__ = ["Summary", "total"]


@record(kw_only=True)
class Summary:
    """The findings of a scan, in order of path and place, and its counts.

    ``size`` is in bytes. ``accepted`` counts the findings that a baseline or a comment took out.
    ``blobs`` and ``commits`` count for scans of history.
    """

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    accepted: int = 0
    files: int = 0
    size: int = 0
    blobs: int = 0
    commits: int = 0


def total(parts: Iterable[Summary]) -> Summary:
    """Give the sum of ``parts``, in order."""
    parts = list(parts)
    findings = [finding for part in parts for finding in part.findings]
    skipped = [one for part in parts for one in part.skipped]
    return Summary(
        findings=tuple(
            sorted(findings, key=lambda one: (one.path, one.line, one.column, one.rule))
        ),
        skipped=tuple(sorted(skipped, key=lambda one: (one.path, one.reason))),
        accepted=sum(part.accepted for part in parts),
        files=sum(part.files for part in parts),
        size=sum(part.size for part in parts),
        blobs=sum(part.blobs for part in parts),
        commits=sum(part.commits for part in parts),
    )
