import json
import stat

import pytest
from stubwire import BODY, KEY, request, send

from secretkit.errors import ConfigError
from secretkit.testing import ClaudeStub
from secretkit.testing.stub.log import read_log, select, summarise


@pytest.fixture
def run(tmp_path, fake_clock):
    """A small run with its log file."""
    file = tmp_path / "stub.jsonl"
    with ClaudeStub(clock=fake_clock, log_file=file) as stub:
        stub.keys.accept(KEY, label="a")
        send(stub.url, request(stub.url))
        send(stub.url, request(stub.url, authorization="Bearer sk-nobody"))
        send(stub.url, request(stub.url, line=b"GET /elsewhere HTTP/1.1"))
        send(stub.url, b"junk\r\n\r\n")
        stub.next(status=529)
        send(stub.url, request(stub.url, body=BODY | {"stream": True}))
        assert len(stub.log) == 5  # waits for the last record, in memory and in the file
        yield stub, file


def test_the_file_holds_what_the_memory_holds(run):
    stub, file = run
    assert read_log(file) == stub.log
    assert summarise(read_log(file)) == stub.summary()


def test_records_are_frozen_numbered_and_timed_by_the_stub_s_clock(run, fake_clock):
    stub, _ = run
    assert [record.number for record in stub.log] == [1, 2, 3, 4, 5]
    assert {record.at for record in stub.log} == {fake_clock.now()}
    with pytest.raises(AttributeError):
        stub.log[0].status = 500


def test_the_counts_are_those_of_the_run(run):
    stub, _ = run
    assert stub.summary() == {
        "requests": 5,
        "streams": 1,
        "streams_finished": 0,
        "events": 0,
        "unfinished": 0,
        "rejected": 1,
        "by_status": {200: 1, 400: 1, 401: 1, 404: 1, 529: 1},
        "by_key": {"": 2, "a": 3},
    }
    assert stub.count() == 5
    assert stub.count(status=529, scripted=True, error="overloaded_error") == 1
    assert stub.count(method="", path="", spelling="", status=400) == 1


def test_neither_log_nor_file_holds_a_key(run):
    stub, file = run
    text = file.read_text() + repr(stub.log) + json.dumps(stub.summary())
    assert KEY not in text
    assert "sk-nobody" not in text


def test_the_file_is_for_its_owner_only(run):
    assert stat.S_IMODE(run[1].stat().st_mode) == 0o600


def test_the_file_is_not_written_through_a_link(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="link"):
        ClaudeStub(log_file=link).start()
    assert not (tmp_path / "target").exists()


def test_a_fact_that_no_record_has_is_an_error_and_not_zero(run):
    with pytest.raises(ConfigError, match="colour"):
        run[0].count(colour=200)
    with pytest.raises(ConfigError):
        select([], nothing=1)


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"number": 1}', '{"at": "noon"}'])
def test_a_line_that_is_no_record_is_an_error_with_its_number(run, line):
    _, file = run
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(ConfigError, match="line 6"):
        read_log(file)
