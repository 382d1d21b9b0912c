import json
import re
from datetime import timedelta

import pytest
from stubwire import BODY, KEY, connect, read, request, send

from secretkit.testing import ClaudeStub
from secretkit.testing.claude import RateLimits

KINDS = ("requests", "tokens", "input-tokens", "output-tokens")


def get(stub, path):
    line = f"GET {path} HTTP/1.1".encode()
    return send(stub.url, request(stub.url, line=line, body=b"", drop=("content-length",)))


PATHS = [
    "/",
    "/v1",
    "/v1/message",
    "/v1/messages/",
    "/v1/../v1/messages",
    "/v1/%6dessages",
    "//v1/messages",
    "/v1/messages;x=1",
    "/v1/models/",
    "/v1/models/{id}",
    "/v1/models/a/b",
    "/v1/complete",
    "/admin",
]


@pytest.mark.parametrize("path", PATHS)
def test_any_other_path_is_not_found(stub, path):
    got = send(stub.url, request(stub.url, line=f"POST {path} HTTP/1.1".encode()))
    assert (got.status, got.error()["type"]) == (404, "not_found_error")


def test_a_key_pasted_into_the_path_is_not_logged(stub):
    assert get(stub, f"/v1/{KEY}").status == 404
    assert get(stub, f"/v1/models/{KEY}").status == 404
    assert get(stub, f"/v1/models?after_id={KEY}").status == 400
    assert KEY not in repr(stub.log)
    assert [record.path for record in stub.log] == ["(unknown)", "/v1/models/{id}", "/v1/models"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "post"])
def test_a_wrong_method_is_405_and_says_which_is_right(stub, method):
    got = send(stub.url, request(stub.url, line=f"{method} /v1/messages HTTP/1.1".encode()))
    assert (got.status, got.headers["allow"]) == (405, "post")


def test_no_credential_is_401(stub):
    got = send(stub.url, request(stub.url, drop=("authorization",)))
    assert (got.status, got.error()["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("spelling", ["bearer", "x-api-key"])
def test_both_header_spellings_are_taken_and_told_apart_in_the_log(stub, spelling):
    fields = {"x_api_key": KEY} if spelling == "x-api-key" else {}
    drop = ("authorization",) if fields else ()
    assert send(stub.url, request(stub.url, drop=drop, **fields)).status == 200
    assert stub.count(spelling=spelling, key="a", status=200) == 1


def test_a_refused_key_is_401_and_never_echoed(stub):
    stub.keys.refuse("a")
    got = send(stub.url, request(stub.url))
    assert (got.status, got.error()["type"]) == (401, "authentication_error")
    assert KEY.encode() not in got.body
    assert KEY not in repr(got.headers)
    assert stub.count(key="a", status=401) == 1
    assert send(stub.url, request(stub.url, authorization="Bearer nobody")).status == 401
    assert stub.count(key="", status=401) == 1


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_a_known_version_is_taken(stub, version):
    assert send(stub.url, request(stub.url, anthropic_version=version)).status == 200


@pytest.mark.parametrize("version", ["", "latest", "2099-01-01"])
def test_an_unknown_version_is_a_bad_request(stub, version):
    assert send(stub.url, request(stub.url, anthropic_version=version)).status == 400
    assert send(stub.url, request(stub.url, drop=("anthropic-version",))).status == 400


def test_an_unknown_model_is_not_found(stub):
    got = send(stub.url, request(stub.url, body=BODY | {"model": "gpt"}))
    assert (got.status, got.error()["type"]) == (404, "not_found_error")


def test_every_answer_has_the_service_s_headers(stub):
    got = send(stub.url, request(stub.url))
    assert got.headers["request-id"].startswith("req_")
    assert got.headers["anthropic-organization-id"]
    for kind in KINDS:
        limit = int(got.headers[f"anthropic-ratelimit-{kind}-limit"])
        remaining = int(got.headers[f"anthropic-ratelimit-{kind}-remaining"])
        assert 0 < remaining < limit
        reset = got.headers[f"anthropic-ratelimit-{kind}-reset"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dt\d\d:\d\d:\d\dz", reset)


def test_requests_over_the_limit_are_429_until_the_minute_is_over(fake_clock):
    with ClaudeStub(clock=fake_clock, limits=RateLimits(requests=2)) as stub:
        stub.keys.accept(KEY, label="a")
        assert [send(stub.url, request(stub.url)).status for _ in range(3)] == [200, 200, 429]
        fake_clock.advance(timedelta(seconds=20))
        got = send(stub.url, request(stub.url))
        assert (got.status, got.error()["type"]) == (429, "rate_limit_error")
        assert got.headers["retry-after"] == "40"
        assert got.headers["anthropic-ratelimit-requests-remaining"] == "0"
        fake_clock.advance(timedelta(seconds=40))
        assert send(stub.url, request(stub.url)).status == 200


def test_output_tokens_are_limited_too(fake_clock):
    with ClaudeStub(clock=fake_clock, limits=RateLimits(output_tokens=7)) as stub:
        stub.keys.accept(KEY, label="a")
        assert [send(stub.url, request(stub.url)).status for _ in range(2)] == [200, 429]


def test_max_tokens_cuts_the_text(stub):
    stub.reply = "one two three"
    whole = json.loads(send(stub.url, request(stub.url)).body)
    assert (whole["content"][0]["text"], whole["stop_reason"]) == ("one two three", "end_turn")
    cut = json.loads(send(stub.url, request(stub.url, body=BODY | {"max_tokens": 2})).body)
    assert (cut["content"][0]["text"], cut["stop_reason"]) == ("one two", "max_tokens")
    assert cut["usage"]["output_tokens"] == 2


def test_models_are_listed_in_pages(stub):
    first = json.loads(get(stub, "/v1/models?limit=2").body)
    assert (len(first["data"]), first["has_more"]) == (2, True)
    rest = json.loads(get(stub, f"/v1/models?limit=2&after_id={first['last_id']}").body)
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
    back = json.loads(get(stub, f"/v1/models?limit=1&before_id={rest['first_id']}").body)
    assert back["data"][0]["id"] == first["last_id"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "x=1", "limit", "limit=%2", "%ff=1"],
)
def test_a_wrong_query_is_a_bad_request(stub, query):
    assert get(stub, f"/v1/models?{query}").status == 400


def test_messages_take_no_query_but_the_old_beta_mark(stub):
    for query, status in (("beta=true", 200), ("beta=1", 400), ("x=y", 400)):
        line = f"POST /v1/messages?{query} HTTP/1.1".encode()
        assert send(stub.url, request(stub.url, line=line)).status == status


def test_a_get_with_a_body_is_refused(stub):
    line = b"GET /v1/models HTTP/1.1"
    assert send(stub.url, request(stub.url, line=line, body=b"{}")).status == 400


def test_a_stream_is_events_in_chunks_with_a_proper_end(stub):
    stub.reply = "one two"
    with connect(stub.url) as sock:
        sock.sendall(request(stub.url, body=BODY | {"stream": True}, connection="close"))
        with sock.makefile("rb") as file:
            head, _, body = file.read().partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    assert b"anthropic-ratelimit-requests-remaining" in head
    events, rest = [], body
    while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
        start = rest.index(b"\r\n") + 2
        events.append(rest[start : start + size])
        rest = rest[start + size + 2 :]
    assert rest == b"0\r\n\r\n"
    names = [event.split(b"\n")[0].removeprefix(b"event: ").decode() for event in events]
    assert names == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    for name, event in zip(names, events, strict=True):
        assert event.endswith(b"\n\n")
        assert json.loads(event.split(b"\ndata: ")[1])["type"] == name
    assert stub.count(stream=True, events=8, finished=True) == 1


def test_a_kept_connection_serves_many_requests(stub):
    with connect(stub.url) as sock:
        for _ in range(300):
            sock.sendall(request(stub.url))
            assert read(sock).status == 200
    assert stub.count(status=200, finished=True) == 300
