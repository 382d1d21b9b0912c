"""What may stand in a request head, over a real socket."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubwire import KEY, connect, read, request, send

from secretkit.testing.stub.head import MAX_HEAD, Head, parse_head
from secretkit.testing.stub.refused import RefusedError


def test_a_right_request_is_answered_and_the_connection_kept(stub):
    with connect(stub.url) as sock:
        for _ in range(3):
            sock.sendall(request(stub.url))
            got = read(sock)
            assert (got.status, got.closed) == (200, False)


def test_two_requests_in_one_packet_are_answered_in_order(stub):
    with connect(stub.url) as sock:
        second = request(stub.url, body={"model": 3}, connection="close")
        sock.sendall(request(stub.url) + second)
        with sock.makefile("rb") as answers:
            whole = answers.read()
    assert 0 == whole.index(b"HTTP/1.1 200") < whole.index(b"HTTP/1.1 400")


def test_connection_close_is_honoured(stub):
    assert send(stub.url, request(stub.url, connection="close")).closed


def test_localhost_is_a_name_of_the_stub_too(stub):
    port = stub.url.rsplit(":", 1)[1]
    assert send(stub.url, request(stub.url, host=f"localhost:{port}")).status == 200


LINES = {
    "a lower version": (b"POST /v1/messages HTTP/1.0", 505),
    "a higher version": (b"POST /v1/messages HTTP/2.0", 505),
    "no version": (b"POST /v1/messages", 400),
    "two spaces": (b"POST  /v1/messages HTTP/1.1", 400),
    "a tab": (b"POST\t/v1/messages HTTP/1.1", 400),
    "an absolute target": (b"POST http://127.0.0.1/v1/messages HTTP/1.1", 400),
    "an asterisk": (b"OPTIONS * HTTP/1.1", 400),
    "a fragment": (b"POST /v1/messages#x HTTP/1.1", 400),
    "a byte above ASCII": (b"POST /v1/m\xc3\xa9ssages HTTP/1.1", 400),
    "a lower-case version": (b"POST /v1/messages http/1.1", 400),
    "a leading space": (b" POST /v1/messages HTTP/1.1", 400),
    "nothing": (b"", 400),
    "a bare line feed": (b"POST /v1/messages HTTP/1.1\nHost: x", 400),
    "a very long target": (b"POST /" + b"a" * 5000 + b" HTTP/1.1", 400),
}


@pytest.mark.parametrize("name", LINES)
def test_a_malformed_request_line_is_refused(stub, name):
    line, status = LINES[name]
    got = send(stub.url, request(stub.url, line=line))
    assert (got.status, got.closed) == (status, True)
    assert got.error()["type"] == "invalid_request_error"


FIELDS = {
    "a second host": ({}, (b"host: other",), 400),
    "another host": ({"host": "evil.example"}, (), 421),
    "a host without its port": ({"host": "127.0.0.1"}, (), 421),
    "a second length": ({}, (b"content-length: 3",), 400),
    "a list of lengths": ({"content_length": "3, 3"}, (), 400),
    "a signed length": ({"content_length": "+3"}, (), 400),
    "a padded length": ({"content_length": "003"}, (), 400),
    "a hexadecimal length": ({"content_length": "0x3"}, (), 400),
    "an empty length": ({"content_length": ""}, (), 411),
    "length and transfer-encoding": ({}, (b"transfer-encoding: chunked",), 400),
    "a space before the colon": ({}, (b"x-a : b",), 400),
    "a folded line": ({}, (b"x-a: b", b" c"), 400),
    "a line without a colon": ({}, (b"x-a",), 400),
    "an empty name": ({}, (b": b",), 400),
    "a NUL": ({}, (b"x-a: b\0c",), 400),
    "a bare line feed": ({}, (b"x-a: b\nx-c: d",), 400),
    "a bare carriage return": ({}, (b"x-a: b\rx-c: d",), 400),
    "a byte above ASCII": ({}, (b"x-a: \xff",), 400),
    "a name with a bracket": ({}, (b"x(a): b",), 400),
    "a second version": ({}, (b"anthropic-version: 2026-10-21",), 400),
    "a second type": ({}, (b"content-type: application/json",), 400),
    "an upgrade": ({"connection": "upgrade"}, (), 400),
    "an expectation": ({"expect": "100-continue"}, (), 417),
    "too many fields": ({}, tuple(b"x-%d: y" % n for n in range(100)), 431),
    "a head that is too long": ({}, (b"x-a: " + b"b" * MAX_HEAD,), 431),
    "both credentials, different": ({"x_api_key": "other"}, (), 400),
    "both credentials, equal": ({"x_api_key": KEY}, (), 400),
    "a credential twice": ({}, (b"authorization: Bearer " + KEY.encode(),), 400),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_malformed_field_is_refused_and_the_connection_closed(stub, name):
    changed, extra, status = FIELDS[name]
    got = send(stub.url, request(stub.url, extra=extra, **changed))
    assert (got.status, got.closed) == (status, True)
    assert got.error()["type"] == "invalid_request_error"
    assert KEY.encode() not in got.body


@pytest.mark.parametrize(
    ("missing", "status"),
    [("host", 400), ("content-length", 411)],
)
def test_a_missing_framing_field_is_refused(stub, missing, status):
    assert send(stub.url, request(stub.url, drop=(missing,))).status == status


def test_chunked_without_a_length_is_refused(stub):
    got = send(
        stub.url,
        request(stub.url, drop=("content-length",), extra=(b"transfer-encoding: chunked",)),
    )
    assert (got.status, got.closed) == (411, True)


def test_a_body_over_the_limit_is_413_before_it_is_read(stub):
    got = send(stub.url, request(stub.url, content_length=str(33 * 1024 * 1024)))
    assert (got.status, got.closed) == (413, True)
    assert got.error()["type"] == "request_too_large"


def test_a_head_cut_short_is_a_bad_request_and_never_read_as_whole(stub):
    whole = request(stub.url)
    with connect(stub.url) as sock:
        sock.sendall(whole[: whole.index(b"\r\n\r\n")])
        sock.shutdown(1)
        assert read(sock).status == 400
    assert stub.count(finished=True, status=200) == 0


def test_a_client_that_goes_away_inside_its_body_is_logged_as_unfinished(stub):
    with connect(stub.url) as sock:
        sock.sendall(request(stub.url)[:-3])
        sock.shutdown(1)
        assert sock.recv(10) == b""
    (record,) = stub.log
    assert (record.status, record.finished) == (0, False)


ODD = {
    "empty": "Bearer ",
    "scheme alone": "Bearer",
    "two spaces": f"Bearer  {KEY}",
    "a tab": f"Bearer\t{KEY}",
    "a trailing space": f"Bearer {KEY} ",
    "a leading space": f" Bearer {KEY}",
    "inner space": f"Bearer {KEY} {KEY}",
    "other case": f"bearer {KEY}",
    "basic": f"Basic {KEY}",
    "no scheme": KEY,
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_authorization_is_401_and_not_repaired(stub, name):
    got = send(stub.url, request(stub.url, authorization=ODD[name]))
    assert got.status == 401
    assert got.error()["type"] == "authentication_error"
    assert KEY.encode() not in got.body


@pytest.mark.parametrize("value", ["", f" {KEY}", f"{KEY} ", f"{KEY} {KEY}", f"\t{KEY}"])
def test_an_odd_x_api_key_is_401_and_not_repaired(stub, value):
    got = send(stub.url, request(stub.url, drop=("authorization",), x_api_key=value))
    assert got.status == 401


def test_a_parsed_head_does_not_print_its_credential():
    raw = request("http://127.0.0.1:1", drop=("content-length",), line=b"GET /v1/models HTTP/1.1")
    raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    head = parse_head(raw, hosts=frozenset({"127.0.0.1:1"}))
    assert head.presented.secret.reveal() == KEY
    assert KEY not in repr(head)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_a_refusal(junk):
    with suppress(RefusedError):
        assert isinstance(parse_head(junk + b"\r\n\r\n", hosts=frozenset({"h"})), Head)
