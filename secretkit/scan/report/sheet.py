"""The CSV report (RFC 4180), which no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from secretkit.scan.report.document import fields
from secretkit.scan.report.shown import shown

if TYPE_CHECKING:
    from secretkit.scan.report import Report

__all__ = ["render"]

_COLUMNS: Final = (
    *("rule", "severity", "confidence", "path", "line", "column", "end_column", "commit"),
    *("fingerprint", "redacted"),
)
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report) -> str:
    """Give a heading, then a line a finding. What starts like a formula gets a ``'`` before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for finding in report.summary.findings:
        table = fields(finding)
        writer.writerow([_cell(table[name]) for name in _COLUMNS])
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else value
    text = shown(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
