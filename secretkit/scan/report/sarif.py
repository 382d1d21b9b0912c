"""The SARIF report: version 2.1.0 with errata 01.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from secretkit.scan.baseline import encoded
from secretkit.scan.report.shown import advice, readable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.scan.finding import Finding, Skipped
    from secretkit.scan.report import Report

__all__ = ["render"]

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_HOME: Final = "https://github.com/secretkit/secretkit"
_LEVELS: Final = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
# What GitHub sorts by: over 9.0 is critical, from 7.0 high, from 4.0 medium.
_SCORES: Final = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
_PRECISION: Final = {"high": "high", "medium": "medium", "low": "low"}


def render(report: Report) -> str:
    """Give one SARIF log with one run. Columns count code points; the rules are those found."""
    summary = report.summary
    kinds = {one.rule: one for one in reversed(summary.findings)}
    order = {rule: index for index, rule in enumerate(sorted(kinds))}
    run = {
        "tool": {
            "driver": {
                "name": "secretkit",
                "informationUri": _HOME,
                "version": report.version or "0",
                "rules": [_rule(kinds[rule]) for rule in order],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "What was scanned."}}},
        "invocations": [_invocation(summary.skipped)],
        "results": [_result(finding, order) for finding in summary.findings],
        "properties": {
            "files": summary.files,
            "bytes": summary.size,
            "blobs": summary.blobs,
            "commits": summary.commits,
            "accepted": len(summary.accepted),
        },
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    todo = advice(finding)
    what = finding.description or finding.rule
    return {
        "id": finding.rule,
        "shortDescription": {"text": what},
        "fullDescription": {"text": f"{what} in a file."},
        "help": {"text": todo, "markdown": todo},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "properties": {
            "tags": ["security", "secret"],
            "precision": _PRECISION[finding.confidence],
            "security-severity": _SCORES[finding.severity],
        },
    }


def _result(finding: Finding, order: Mapping[str, int]) -> dict[str, Any]:
    commit = f" in commit {finding.commit}" if finding.commit else ""
    what = finding.description or finding.rule
    text = f"{what}, {finding.confidence} confidence{commit}: {finding.redacted}"
    facts: dict[str, Any] = {"severity": finding.severity, "confidence": finding.confidence}
    if finding.commit:
        facts["commit"] = finding.commit
    if finding.live is not None:
        known = finding.live
        facts["live"] = {"credential": known.credential, "generation": known.generation}
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endColumn": finding.end_column,
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": order[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": readable(text)},
        "locations": [_location(finding.path, region)],
        "partialFingerprints": {"secretkit/v1": finding.fingerprint},
        "properties": facts,
    }


def _invocation(skipped: Sequence[Skipped]) -> dict[str, Any]:
    notes = [
        {
            "level": "error",
            "message": {"text": f"not scanned in full: {readable(one.reason)}"},
            "locations": [_location(one.path)],
        }
        for one in skipped
    ]
    return {"executionSuccessful": not skipped, "toolExecutionNotifications": notes}


def _location(path: str, region: Mapping[str, int] | None = None) -> dict[str, Any]:
    artifact = {"uri": encoded(path), "uriBaseId": "SRCROOT"}
    if path.startswith("/"):
        artifact = {"uri": f"file://{encoded(path)}"}
    return {
        "physicalLocation": {"artifactLocation": artifact, **({"region": region} if region else {})}
    }
