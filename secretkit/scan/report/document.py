"""The JSON report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from secretkit.scan.report.shown import readable

if TYPE_CHECKING:
    from secretkit.scan.finding import Finding
    from secretkit.scan.report import Report

__all__ = ["fields", "render"]

_FIELDS: Final = (
    *("rule", "severity", "confidence", "path", "line", "column", "end_column", "commit"),
    *("fingerprint", "redacted"),
)


def render(report: Report) -> str:
    """Give one JSON document, in ASCII. A finding has ``live`` only if the value is in use."""
    summary = report.summary
    stats = {
        "files": summary.files,
        "bytes": summary.size,
        "blobs": summary.blobs,
        "commits": summary.commits,
        "seconds": round(report.seconds, 3),
        "skipped": [
            {"path": readable(one.path), "reason": readable(one.reason)} for one in summary.skipped
        ],
    }
    findings = [fields(finding) for finding in summary.findings]
    return json.dumps({"findings": findings, "stats": stats}, indent=2) + "\n"


def fields(finding: Finding) -> dict[str, Any]:
    """Give a finding as JSON has it."""
    table = {name: getattr(finding, name) for name in _FIELDS}
    table["path"] = readable(finding.path)
    if finding.live is not None:
        known = finding.live
        table["live"] = {"credential": known.credential, "generation": known.generation}
    return table
