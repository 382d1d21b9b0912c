"""Reports: what a scan found, for people and for other programs. None holds a value."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record

if TYPE_CHECKING:
    from secretkit.scan.summary import Summary

__all__ = ["FORMATS", "Report", "render"]

FORMATS: Final = ("text", "json", "sarif", "junit", "csv")
_MODULES: Final = {"json": "document", "csv": "sheet"}


@record(kw_only=True)
class Report:
    """A summary, and what only the whole run knows. ``version`` is ours."""

    summary: Summary
    seconds: float = 0.0
    version: str = ""


def render(report: Report, *, form: str) -> str:
    """Give ``report`` in one of :data:`FORMATS`. It ends with a newline, or is empty."""
    module = import_module(f"{__name__}.{_MODULES.get(form, form)}")
    text: str = module.render(report)
    return text
