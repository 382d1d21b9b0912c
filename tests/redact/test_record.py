from __future__ import annotations

import io
import logging
import threading

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import ConfigError
from secretkit.redact import FAILED, RedactingFilter, Redactor, install

VALUE = "canary-" + "value" * 6


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError(VALUE)

    __repr__ = __str__


class Request:
    def __init__(self) -> None:
        self.headers = {"authorization": VALUE}


class CarryingError(Exception):
    def __init__(self, request: Request) -> None:
        super().__init__(f"refused {request.headers}")
        self.request = request


@pytest.fixture
def secret():
    return Secret(VALUE)


@pytest.fixture
def log(secret):
    """A logger of its own with one handler, and what that handler wrote."""
    redactor = Redactor()
    redactor.watch(secret)
    made = logging.Logger("test.redact", logging.DEBUG)  # noqa: LOG001 - one per test
    made.written = io.StringIO()
    made.records = []
    handler = logging.StreamHandler(made.written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    made.addHandler(handler)
    install(made, redactor=redactor)
    keep = logging.Handler()
    keep.emit = made.records.append
    made.addHandler(keep)
    return made


def test_message_and_arguments_are_clean(log):
    log.info(f"a {VALUE}")  # noqa: G004
    log.info("b %s %r", VALUE, {"k": [VALUE]})
    log.info("c %(x)s", {"x": VALUE})
    log.info("d %s", VALUE.encode())
    log.info(Request().headers)
    assert VALUE not in log.written.getvalue()
    assert log.written.getvalue().count("[redacted]") == 6
    assert all(record.args == () for record in log.records)


def test_a_value_made_of_message_and_argument_together_is_seen(log):
    log.info(f"{VALUE[:10]}%s", VALUE[10:])  # noqa: G004
    assert log.written.getvalue() == "INFO [redacted]\n"


def test_arguments_that_do_not_fit_are_shown_clean_and_not_on_stderr(log, capsys):
    log.info("one %d", VALUE)
    log.info("two", VALUE, VALUE)  # noqa: PLE1205
    log.info("three %s", Hostile())
    assert VALUE not in log.written.getvalue()
    assert "one %d" in log.written.getvalue()
    assert FAILED in log.written.getvalue()
    assert capsys.readouterr().err == ""


def test_an_exception_is_rendered_and_its_objects_are_let_go(log):
    try:
        try:
            raise CarryingError(Request())  # noqa: TRY301
        except CarryingError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        log.exception("failed", stack_info=True)
    written = log.written.getvalue()
    assert VALUE not in written
    assert "CarryingError: refused {'authorization': '[redacted]'}" in written
    assert "RuntimeError: outer" in written
    (record,) = log.records
    assert record.exc_info is None
    assert not any(isinstance(held, BaseException) for held in vars(record).values())


def test_stack_and_extra_attributes_are_clean(log):
    log.info("x", extra={"headers": {"a": VALUE}, "request": Request(), "n": 5, "why": VALUE})
    (record,) = log.records
    assert record.headers == {"a": "[redacted]"}
    assert record.why == "[redacted]"
    assert record.n == 5
    assert isinstance(record.request, str)
    assert VALUE not in repr(vars(record))


def test_a_record_rendered_by_an_earlier_handler_is_clean_too(log):
    record = logging.makeLogRecord({"msg": "%s", "args": (VALUE,), "message": VALUE})
    record.exc_text = f"earlier {VALUE}"
    RedactingFilter(log.handlers[0].filters[0]._redactor).filter(record)
    assert VALUE not in repr(vars(record))


def test_what_cannot_be_redacted_is_replaced(secret):
    class Broken(Redactor):
        def text(self, text):
            raise RuntimeError(text)

    record = logging.makeLogRecord({"msg": VALUE, "extra": VALUE, "exc_text": VALUE})
    assert RedactingFilter(Broken()).filter(record) is True
    assert record.getMessage() == FAILED
    assert VALUE not in repr(vars(record))


@pytest.mark.parametrize("failure", [True, (None, None, None), ValueError(VALUE), 0])
def test_odd_exc_info_of_a_hand_made_record_is_survived(log, failure):
    record = logging.makeLogRecord({"msg": "x", "exc_info": failure, "levelno": 20})
    log.handle(record)
    assert VALUE not in log.written.getvalue()
    assert record.getMessage() == "x"


def test_a_childs_record_is_clean_at_the_parents_handler(secret):
    redactor = Redactor()
    redactor.watch(secret)
    parent = logging.getLogger("test_redact_parent")
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    parent.addHandler(handler)
    parent.propagate = False
    try:
        install(parent, redactor=redactor)
        logging.getLogger("test_redact_parent.child").warning("got %s", VALUE)
    finally:
        parent.removeHandler(handler)
    assert written.getvalue() == "got [redacted]\n"


def test_a_logger_without_handlers_is_refused():
    with pytest.raises(ConfigError, match="no handlers") as caught:
        install(logging.getLogger("test_redact_bare"))
    assert "install(handler)" in caught.value.hint


def test_watching_and_logging_at_once_is_safe():
    redactor, failures = Redactor(rules=()), []
    fixed = Secret("fixed-" + "z" * 20)
    redactor.watch(fixed)

    def watch() -> None:
        for at in range(300):
            redactor.watch(Secret(f"passing-value-{at:05d}"))

    def read() -> None:
        seen = {redactor.text("fixed-" + "z" * 20) for _ in range(300)}
        failures.extend(seen - {"[redacted]"})

    threads = [threading.Thread(target=one) for one in (watch, read, watch, read)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures
