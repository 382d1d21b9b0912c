"""The JUnit report: one failed test a finding, one error for what was not scanned."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from secretkit.scan.report.shown import advice, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.scan.finding import Finding, Skipped
    from secretkit.scan.report import Report

__all__ = ["render"]


def render(report: Report) -> str:
    """Give one XML document. A clean scan is one test that passed."""
    summary = report.summary
    cases = [*map(_failure, summary.findings), *map(_error, summary.skipped)]
    cases = cases or ['<testcase classname="secretkit" name="no secrets"/>']
    counts = (
        f'tests="{len(cases)}" failures="{len(summary.findings)}" errors="{len(summary.skipped)}"'
        f' time="{report.seconds:.3f}"'
    )
    return "".join(f"{line}\n" for line in _lines(counts, cases))


def _lines(counts: str, cases: list[str]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f"<testsuites {counts}>"
    yield f'<testsuite name="secretkit scan" {counts}>'
    yield from cases
    yield "</testsuite>"
    yield "</testsuites>"


def _failure(finding: Finding) -> str:
    place = f"{shown(finding.path)}:{finding.line}:{finding.column}"
    commit = f" in commit {finding.commit}" if finding.commit else ""
    text = f"{place}{commit}\n{shown(finding.redacted)}\n{advice(finding)}"
    message = f"{finding.severity} {finding.rule} ({finding.confidence} confidence)"
    rule = escape(finding.rule)
    return (
        f'<testcase classname="{_text(finding.path)}" name="{rule} {escape(place)}">'
        f'<failure type="{rule}" message="{escape(message)}">{escape(text)}</failure>'
        "</testcase>"
    )


def _error(skipped: Skipped) -> str:
    return (
        f'<testcase classname="{_text(skipped.path)}" name="scanned in full">'
        f'<error type="skipped" message="{_text(skipped.reason)}"/></testcase>'
    )


def _text(text: str) -> str:
    return escape(shown(text))
