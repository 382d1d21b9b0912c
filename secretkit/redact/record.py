"""Record: takes secrets out of the records of the standard logging module."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from secretkit.errors import ConfigError
from secretkit.redact.redactor import default, safe_text
from secretkit.redact.watched import FAILED

if TYPE_CHECKING:
    from secretkit.redact.redactor import Redactor

__all__ = ["RedactingFilter", "install"]

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) - {"exc_text", "stack_info"}


class RedactingFilter(logging.Filter):
    """Changes each record so that nothing after it sees a secret. Thread-safe.

    The message is rendered and its arguments are dropped; an exception is rendered to ``exc_text``
    and its objects, which may hold a request, are let go; extra attributes are copied without
    secrets. Attach it to handlers: a filter on a logger does not see its children's records.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor or default()

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact ``record`` in place; never drops one."""
        try:
            self._clean(record)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            _blank(record)
        return True

    def _clean(self, record: logging.LogRecord) -> None:
        record.msg, record.args = self._redactor.text(_message(record)), ()
        failure: object = record.exc_info
        record.exc_info = None
        error = failure[1] if isinstance(failure, tuple) else failure
        if isinstance(error, BaseException):
            record.exc_text = self._redactor.exception(error)
        for name in record.__dict__.keys() - _STANDARD:
            held = record.__dict__[name]
            if held is not None:
                record.__dict__[name] = self._redactor.value(held)


def _message(record: logging.LogRecord) -> str:
    """Give the rendered message; where it cannot be, message and arguments side by side.

    A message that does not render would make logging print the arguments to stderr, as they are.
    """
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit, or whose __str__ raises
        return f"{safe_text(record.msg)} {safe_text(record.args)}"


def _blank(record: logging.LogRecord) -> None:
    for name in record.__dict__.keys() - _STANDARD:
        record.__dict__[name] = FAILED
    record.msg, record.args = FAILED, ()
    record.exc_info = record.exc_text = record.stack_info = None


def install(
    *targets: logging.Logger | logging.Handler, redactor: Redactor | None = None
) -> RedactingFilter:
    """Redact what these handlers write, or the handlers of these loggers; none: the root logger.

    Call it after logging is configured; a handler added later is not covered. Gives the filter, so
    that it can be added to more handlers or removed.

    Raises:
        ConfigError: for a logger without handlers, where it would do nothing.
    """
    one = RedactingFilter(redactor)
    for target in targets or (logging.getLogger(),):
        handlers = target.handlers if isinstance(target, logging.Logger) else [target]
        if not handlers:
            raise ConfigError(
                f"the logger {target.name!r} has no handlers, so nothing would be redacted",
                hint="configure logging first, or name the handler: redact.install(handler)",
            )
        for handler in handlers:
            handler.addFilter(one)
    return one
