"""The leak guard's place in a pytest run: what it looks at, and how a test fails by it."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import pytest

from secretkit.testing.guard import WITHHELD, LeakGuard
from secretkit.testing.written import WrittenFiles

if TYPE_CHECKING:
    import warnings
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["GuardWatch"]


class GuardWatch:
    """Hooks that feed one :class:`LeakGuard`; registered only in a run that asked for it."""

    def __init__(self, config: pytest.Config) -> None:
        self.guard = LeakGuard()
        self._config = config
        self._files = WrittenFiles()
        self._files.begin()
        self._handler = _GuardHandler(self.guard)
        logging.getLogger().addHandler(self._handler)

    def pytest_runtest_logstart(self) -> None:
        """Begin a test. The secrets of the last one end here: its warnings come after its end."""
        self.guard.end_test()
        self._files.begin()

    def pytest_unconfigure(self) -> None:
        """End the run."""
        logging.getLogger().removeHandler(self._handler)
        self._files.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, nodeid: str
    ) -> None:
        """Look into a warning before anybody shows it.

        pytest hands warnings out after a test's last report, so a leak gets a report of its own.
        """
        message = warning_message.message
        where = f"warning {warning_message.category.__name__}"
        if self.guard.check(f"{message}\n{message!r}", where=where):
            warning_message.message = UserWarning(WITHHELD)
            where_from = (nodeid.partition("::")[0], None, nodeid)
            report = pytest.TestReport(nodeid, where_from, {}, "failed", None, "teardown")
            _fail(report, self.guard.take(), "")
            self._config.hook.pytest_runtest_logreport(report=report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Look into all a phase of a test left behind, and fail the phase for a leak."""
        report = yield
        if self.guard.live:
            self._inspect(item, call, report)
        return report

    def _inspect(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> None:
        guard = self.guard
        told = str(report.longrepr) if report.longrepr is not None else ""
        if report.failed and call.excinfo is not None:
            # The test's own frames may hold clear values; what pytest shows of them is in `told`.
            guard.check_error(call.excinfo.value, own=(str(item.path),))
        if guard.check(told, where="failure text"):
            told = guard.mask(told)
            report.longrepr = told
        report.sections = [
            (title, WITHHELD if guard.check(text, where=title) else text)
            for title, text in report.sections
        ]
        report.user_properties = [
            (name, WITHHELD if guard.check(str(value), where=f"property {name!r}") else value)
            for name, value in report.user_properties
        ]
        if call.when != "setup":
            for path in self._files.changed(*_trees(item)):
                guard.check_file(path)
        leaks = guard.take()
        if leaks:
            _fail(report, leaks, told)


def _fail(report: pytest.TestReport, leaks: list[str], told: str) -> None:
    report.outcome = "failed"
    report.__dict__.pop("wasxfail", None)  # an expected failure does not excuse a leak
    lines = ["leak guard: a live secret was seen where it must not be"]
    lines += [f"  in {leak}" for leak in leaks]
    lines.append("  hint: wrap it in Secret and reveal it in the last expression before the wire;")
    lines.append("  a file that is meant to hold it is named with leak_guard.allow(path)")
    report.longrepr = "\n".join(([told, ""] if told else []) + lines)


def _trees(item: pytest.Item) -> list[Path]:
    arguments: dict[str, Path] = getattr(item, "funcargs", {})
    return [arguments["tmp_path"]] if "tmp_path" in arguments else []


class _GuardHandler(logging.Handler):
    """Looks into every record that reaches the root logger, whatever is shown of it."""

    def __init__(self, guard: LeakGuard) -> None:
        super().__init__(logging.NOTSET)
        self._guard = guard

    def emit(self, record: logging.LogRecord) -> None:
        """Look into message, arguments, extra fields, exception and stack."""
        if not self._guard.live:
            return
        where = f"log of {record.name!r}"
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format is not ours to report
            text = str(record.msg)
        parts = [text, *(f"{name}={value!r}" for name, value in list(vars(record).items()))]
        if record.exc_info and record.exc_info[1] is not None:
            parts += traceback.format_exception(record.exc_info[1])
        self._guard.check("\n".join(parts), where=where)
