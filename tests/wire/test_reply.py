"""What a reply means: strict JSON, the wait asked for, the error behind a status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from secretkit.core.message import Reply
from secretkit.errors import AccessDeniedError, ProviderError, SecretNotFoundError
from secretkit.testing.trace import assert_no_trace
from secretkit.wire import failure, json_object, retry_after

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def reply(body=b"{}", *, status=200, **headers) -> Reply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=names, body=body)


@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_json_object_is_read_whatever_the_status(status):
    found = json_object(reply('{"a":[1,{"b":"ä"}]}'.encode(), status=status), ref="r")
    assert found == {"a": [1, {"b": "ä"}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b'{"a":',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1} x',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'{"a":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b"<!doctype html>",
    ],
    ids=range(18),
)
def test_anything_else_is_an_error_that_does_not_show_it(body, canary):
    answer = reply(body + b" ", content_type=f"text/html; x={canary.reveal()}")
    with pytest.raises(ProviderError, match=r"vault:x: .*\(text/html\)") as caught:
        json_object(answer, ref="vault:x")
    assert type(caught.value) is ProviderError
    assert caught.value.ref == "vault:x"
    assert caught.value.hint
    assert_no_trace(caught.value, canary.reveal())


def test_a_body_that_is_not_json_is_in_no_frame_of_the_error(canary):
    with pytest.raises(ProviderError) as caught:
        json_object(reply(b'{"token": "' + canary.reveal().encode()), ref="r")
    assert_no_trace(caught.value, canary.reveal())


def test_thirty_two_levels_pass():
    body = b'{"a":' * 32 + b"1" + b"}" * 32
    assert json_object(reply(body), ref="r")


@pytest.mark.parametrize("kind", ["", "html", "a/b/c", "text/ht ml", "x" * 65 + "/y"])
def test_a_content_type_that_is_none_is_not_shown(kind):
    with pytest.raises(ProviderError, match="no content type"):
        json_object(reply(b"", content_type=kind), ref="r")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("3600", 3600),
        ("3601", 3600),
        ("99999999999999999999", 3600),
        ("Tue, 01 Jan 2030 00:00:30 GMT", 30),
        ("Tue, 01 Jan 2030 00:00:00 GMT", 0),
        ("Tuesday, 01-Jan-30 00:01:00 GMT", 60),
        ("Tue Jan  1 00:00:05 2030", 5),
        ("Wed, 01 Jan 2031 00:00:00 GMT", 3600),
        ("Mon, 31 Dec 2029 23:59:59 GMT", None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e9", None),
        ("soon", None),
        ("9" * 30, None),
        ("٣", None),
        ("Tue, 99 Jan 2030 00:00:30 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600),
    ],
)
def test_a_wait_is_read_and_bounded(text, seconds):
    wait = retry_after(reply(retry_after=text), now=NOW)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


def test_no_header_is_no_wait():
    assert retry_after(reply(), now=NOW) is None


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "words"),
    [
        (400, ProviderError, False, "answers with HTTP 400"),
        (401, AccessDeniedError, False, "refuses"),
        (403, AccessDeniedError, False, "refuses"),
        (404, SecretNotFoundError, False, "does not have it"),
        (409, ProviderError, False, "answers with HTTP 409"),
        (408, ProviderError, True, "cannot answer now"),
        (425, ProviderError, True, "cannot answer now"),
        (429, ProviderError, True, "cannot answer now"),
        (500, ProviderError, True, "cannot answer now"),
        (503, ProviderError, True, "cannot answer now"),
        (599, ProviderError, True, "cannot answer now"),
        (302, ProviderError, True, "a redirect, which is not followed"),
        (307, ProviderError, True, "a redirect, which is not followed"),
        (204, ProviderError, True, "answers with HTTP 204"),
    ],
)
def test_a_status_means_one_error(status, kind, retryable, words):
    error = failure(reply(b"x", status=status), ref="vault:x", now=NOW, what="STS")
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.ref == "vault:x"
    assert words in str(error)
    assert error.hint
    assert "STS" in str(error)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_only_what_may_pass_carries_a_wait(status):
    answer = reply(status=status, retry_after="7")
    error = failure(answer, ref="r", now=NOW, what="STS")
    assert error.retry_after == timedelta(seconds=7)


def test_an_error_that_is_copied_for_a_waiter_stays_as_it_is():
    error = failure(reply(status=400), ref="r", now=NOW, what="STS").fresh()
    assert error.retryable is False
    assert ProviderError.retryable is True
