import json
import time
from datetime import timedelta

import pytest
from stubwire import BODY, KEY, connect, read, request, send

from secretkit.errors import ConfigError, SecretkitError
from secretkit.testing import ClaudeStub
from secretkit.testing.claude import Step

STREAM = BODY | {"stream": True}
TINY = timedelta(milliseconds=5)


def everything(stub, body):
    """All bytes of one answer, up to the end of the connection."""
    with connect(stub.url) as sock:
        sock.sendall(request(stub.url, body=body, connection="close"))
        whole = b""
        while chunk := sock.recv(65536):
            whole += chunk
        return whole


TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@pytest.mark.parametrize("status", TYPES)
def test_a_scripted_status_has_its_error_type_and_is_given_once(stub, status):
    stub.next(status=status)
    got = send(stub.url, request(stub.url))
    assert (got.status, got.error()["type"]) == (status, TYPES[status])
    assert send(stub.url, request(stub.url)).status == 200
    assert [record.scripted for record in stub.log] == [True, False]


@pytest.mark.parametrize(
    ("wait", "sent"),
    [(1, "1"), (timedelta(minutes=2), "120"), ("1e9", "1e9"), ("-5", "-5"), ("soon", "soon")],
)
def test_retry_after_is_sent_as_asked(stub, wait, sent):
    stub.next(status=429, retry_after=wait)
    got = send(stub.url, request(stub.url))
    assert got.headers["retry-after"] == sent
    assert "anthropic-ratelimit-requests-reset" in got.headers


def test_a_401_can_be_forced_for_the_next_requests(stub):
    stub.next(status=401, times=3)
    assert stub.pending == 3
    statuses = [send(stub.url, request(stub.url)).status for _ in range(4)]
    assert statuses == [401, 401, 401, 200]
    assert stub.count(status=401, scripted=True, key="a") == 3


def test_a_mistake_of_the_client_uses_up_no_step(stub):
    stub.next(status=500)
    assert send(stub.url, request(stub.url, body={})).status == 400
    assert send(stub.url, request(stub.url, authorization="Bearer x")).status == 401
    assert stub.pending == 1
    stub.clear()
    assert send(stub.url, request(stub.url)).status == 200


def test_steps_are_played_in_order_per_path(stub):
    stub.script(Step(status=500), Step(status=529), Step(status=404, path="/v1/models"))
    line = b"GET /v1/models HTTP/1.1"
    listing = request(stub.url, line=line, body=b"", drop=("content-length",))
    assert send(stub.url, listing).status == 404
    assert [send(stub.url, request(stub.url)).status for _ in range(2)] == [500, 529]


def test_a_body_and_headers_of_the_test_s_own_are_sent(stub):
    stub.next(status=307, headers={"location": "http://127.0.0.1:1/"}, body=b"garbage")
    got = send(stub.url, request(stub.url))
    assert (got.status, got.body) == (307, b"garbage")
    assert got.headers["location"] == "http://127.0.0.1:1/"
    stub.next(body=b"{garbage")
    assert send(stub.url, request(stub.url)).body == b"{garbage"


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_stream_is_cut_after_so_many_events(stub, count):
    stub.next(cut_after=count)
    got = everything(stub, STREAM)
    assert got.count(b"event: ") == count
    assert not got.endswith(b"0\r\n\r\n")
    (record,) = stub.log
    assert (record.events, record.finished, record.scripted) == (count, False, True)
    assert record.status == (0 if count == 0 else 200)


def test_a_json_answer_is_cut_in_its_middle_or_before_it(stub):
    stub.script(Step(cut_after=1), Step(cut_after=0))
    head, _, body = everything(stub, BODY).partition(b"\r\n\r\n")
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < length
    assert everything(stub, BODY) == b""
    assert stub.count(finished=False) == 2


def test_an_error_event_ends_a_stream_and_waits_for_one(stub):
    stub.next(error_after=2)
    assert send(stub.url, request(stub.url)).status == 200
    got = everything(stub, STREAM)
    assert got.count(b"event: ") == 3
    event = got.split(b"event: error\ndata: ")[1].split(b"\n")[0]
    assert json.loads(event)["error"]["type"] == "overloaded_error"
    assert got.endswith(b"0\r\n\r\n")
    assert stub.count(stream=True, error="overloaded_error", finished=True) == 1


def test_delay_and_pace_let_time_pass(stub):
    stub.next(delay=TINY, pace=TINY)
    began = time.monotonic()
    assert everything(stub, STREAM).endswith(b"0\r\n\r\n")
    assert time.monotonic() - began > 5 * TINY.total_seconds()


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 100},
        {"status": 600},
        {"times": 0},
        {"path": "/v1/else"},
        {"delay": timedelta(seconds=-1)},
        {"pace": timedelta(seconds=-1)},
        {"cut_after": -1},
        {"error_after": -1},
        {"error_after": 1, "status": 500},
        {"error_after": 1, "cut_after": 1},
    ],
    ids=str,
)
def test_a_step_that_cannot_be_played_is_refused(wrong):
    with pytest.raises(ConfigError) as caught:
        Step(**wrong)
    assert caught.value.hint


def test_down_refuses_and_up_takes_the_same_port_again(stub):
    with connect(stub.url) as kept:
        kept.sendall(request(stub.url))
        assert read(kept).status == 200
        stub.down()
        stub.down()
        assert kept.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(stub.url)
    stub.up()
    stub.up()
    assert send(stub.url, request(stub.url)).status == 200


def test_going_down_cuts_a_running_stream_and_logs_it(stub):
    stub.next(pace=timedelta(seconds=30))
    with connect(stub.url) as sock:
        sock.sendall(request(stub.url, body=STREAM))
        assert sock.recv(10)
        stub.down()
        while sock.recv(65536):
            pass
    (record,) = stub.log
    assert (record.status, record.stream, record.finished) == (200, True, False)


def test_a_client_that_goes_away_from_a_stream_is_logged_as_unfinished(stub):
    stub.reply = "word " * 200_000
    body = STREAM | {"max_tokens": 200_000}
    with connect(stub.url) as sock:
        sock.sendall(request(stub.url, body=body))
        assert sock.recv(10)
    deadline = time.monotonic() + 10
    while not stub.log and time.monotonic() < deadline:
        time.sleep(0.01)  # noqa: TID251 - polls another thread
    (record,) = stub.log
    assert record.finished is False
    assert record.events < 200_000


def test_a_stub_is_started_once_and_stopped_as_often_as_one_likes(stub):
    with pytest.raises(SecretkitError):
        stub.start()
    stub.stop()
    stub.stop()
    with pytest.raises(SecretkitError):
        stub.up()
    assert stub.log == ()


def test_a_stub_that_was_not_started_says_so():
    made = ClaudeStub()
    assert "not started" in repr(made)
    with pytest.raises(SecretkitError):
        _ = made.url
    assert made.log == ()


def test_printing_a_stub_shows_no_key(stub):
    assert KEY not in repr(stub) + repr(vars(stub)) + repr(vars(stub.keys))


def test_an_answer_is_finished_only_when_the_client_has_taken_it(stub):
    stub.reply = "word " * 2_000_000
    with connect(stub.url) as sock:
        sock.sendall(request(stub.url, body=BODY | {"max_tokens": 2_000_000}))
        assert sock.recv(10)
        assert stub.log == ()  # does not wait for a client that reads slowly
        got = 0
        while got < 10_000_000:
            got += len(sock.recv(1 << 20))
    assert stub.count(status=200, finished=True) == 1


def break_it(*, then=None):
    """Run a stand-in whose own code fails, and raise ``then`` while it runs."""
    with ClaudeStub() as stub:
        stub.keys.accept(KEY, label="a")
        stub.reply = 3
        assert everything(stub, BODY) == b""
        if then is not None:
            raise then


def test_a_fault_of_the_stub_itself_is_not_passed_over_in_silence():
    with pytest.raises(SecretkitError, match="itself failed: TypeError"):
        break_it()


def test_an_error_of_the_test_is_not_covered_by_a_fault_of_the_stub():
    with pytest.raises(ZeroDivisionError):
        break_it(then=ZeroDivisionError())
