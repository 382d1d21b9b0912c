"""The signature against botocore's, and against the vectors AWS has published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore import auth as oracle
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.core.sigv4 import presign, sign
from secretkit.errors import ConfigError

AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
KEY = "wJalrXUtnFEMI/" + "K7MDENG+bPxRfiCYEXAMPLEKEY"  # AWS's own example
ID = "AKID" + "EXAMPLE"
TOKEN = "FwoGZXIvYXdzEBYaD+/=" * 3

METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE"])
SEGMENT = st.text(st.sampled_from("abZ09-_.~ :/;,@%+é$&="), max_size=8)
PATHS = st.lists(SEGMENT, max_size=5).map(lambda s: "/" + "/".join(quote(x, safe=":") for x in s))
QUERIES = st.lists(st.tuples(SEGMENT, SEGMENT), max_size=4).map(
    lambda pairs: "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs)
)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "X-Amz-Target", "anthropic-version", "x-amz-Meta-a"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20),
)
HOSTS = st.sampled_from(
    ["bedrock-runtime.us-west-2.amazonaws.com", "h:8443", "h:443", "127.0.0.1:80", "[::1]:9"]
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TOKENS = st.sampled_from([None, TOKEN])


def credentials(token: str | None = None) -> AwsCredentials:
    return AwsCredentials(ID, Secret(KEY), None if token is None else Secret(token))


class _At:
    """The oracle's signer with the moment given: what its add_auth does without its wall clock."""

    def __init__(self, signer, at: datetime) -> None:
        self.signer, self.at = signer, at

    def sign(self, request: AWSRequest) -> AWSRequest:
        signer = self.signer
        request.context["timestamp"] = self.at.strftime("%Y%m%dT%H%M%SZ")
        signer._modify_request_before_signing(request)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        signer._inject_signature_to_request(request, signer.signature(text, request))
        return request


def keys(token: str | None) -> Credentials:
    return Credentials(ID, KEY, token)


@settings(max_examples=400, deadline=None)
@given(METHODS, HOSTS, PATHS, QUERIES, HEADERS, st.binary(max_size=40), TOKENS, MOMENTS)
def test_a_signature_is_the_one_botocore_makes(  # noqa: PLR0913, PLR0917 - all that is drawn
    method, host, path, query, headers, body, token, at
):
    url = f"https://{host}{path}" + (f"?{query}" if query else "")
    expected = _At(oracle.SigV4Auth(keys(token), "bedrock", "us-west-2"), at).sign(
        AWSRequest(method=method, url=url, headers=headers, data=body)
    )
    made = sign(
        method=method,
        url=url,
        headers=headers,
        body=body,
        credentials=credentials(token),
        service="bedrock",
        region="us-west-2",
        at=at,
    )
    assert made["authorization"] == expected.headers["Authorization"]
    assert made["x-amz-date"] == expected.headers["X-Amz-Date"]
    assert made.get("x-amz-security-token") == expected.headers.get("X-Amz-Security-Token")
    assert "x-amz-content-sha256" not in made


@settings(max_examples=150, deadline=None)
@given(METHODS, PATHS, QUERIES, st.binary(max_size=40), TOKENS)
def test_for_s3_the_path_is_taken_as_it_stands_and_the_body_is_named(
    method, path, query, body, token
):
    url = f"https://bucket.s3.amazonaws.com{path}?{query}"
    expected = _At(oracle.S3SigV4Auth(keys(token), "s3", "eu-west-1"), AT).sign(
        AWSRequest(method=method, url=url, data=body)
    )
    made = sign(
        method=method,
        url=url,
        headers={},
        body=body,
        credentials=credentials(token),
        service="s3",
        region="eu-west-1",
        at=AT,
    )
    assert made["authorization"] == expected.headers["Authorization"]
    assert made["x-amz-content-sha256"] == expected.headers["X-Amz-Content-SHA256"]


@settings(max_examples=150, deadline=None)
@given(
    METHODS,
    HOSTS,
    PATHS,
    st.dictionaries(SEGMENT.filter(bool), SEGMENT, max_size=3),
    TOKENS,
    MOMENTS,
    st.integers(1, 604800),
)
def test_a_presigned_url_has_the_signature_botocore_makes(  # noqa: PLR0913, PLR0917 - all that is drawn
    method, host, path, query, token, at, seconds
):
    asked = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items())
    url = f"https://{host}{path}" + (f"?{asked}" if asked else "")
    expected = _At(oracle.SigV4QueryAuth(keys(token), "sts", "us-east-1", seconds), at).sign(
        AWSRequest(method=method, url=url)
    )
    made = presign(
        method=method,
        url=url,
        credentials=credentials(token),
        service="sts",
        region="us-east-1",
        at=at,
        expires=timedelta(seconds=seconds),
    )
    ours, theirs = urlsplit(made), urlsplit(expected.url)
    assert ours[:3] == theirs[:3]
    assert sorted(parse_qsl(ours.query, keep_blank_values=True)) == sorted(
        parse_qsl(theirs.query, keep_blank_values=True)
    )


def test_a_presigned_s3_url_leaves_the_body_open():
    expected = _At(oracle.S3SigV4QueryAuth(keys(None), "s3", "us-east-1", 60), AT).sign(
        AWSRequest(method="GET", url="https://b.s3.amazonaws.com/a%20b")
    )
    made = presign(
        method="GET",
        url="https://b.s3.amazonaws.com/a%20b",
        credentials=credentials(),
        service="s3",
        region="us-east-1",
        at=AT,
        expires=timedelta(minutes=1),
    )
    assert made.rpartition("=")[2] == expected.url.rpartition("=")[2]


VECTORS = [
    # aws-sig-v4-test-suite, published by AWS with the reference above.
    (
        "get-vanilla",
        "GET",
        "/",
        (),
        b"",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "get-vanilla-query-order-key-case",
        "GET",
        "/?Param2=value2&Param1=value1",
        (),
        b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-header-key-duplicate",
        "GET",
        "/",
        (("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")),
        b"",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "get-header-value-trim",
        "GET",
        "/",
        (("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')),
        b"",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "post-vanilla",
        "POST",
        "/",
        (),
        b"",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "post-x-www-form-urlencoded",
        "POST",
        "/",
        (("Content-Type", "application/x-www-form-urlencoded"),),
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case[0])
def test_the_vectors_that_aws_published_come_out(case):
    _, method, path, headers, body, signature = case
    made = sign(
        method=method,
        url=f"https://example.amazonaws.com{path}",
        headers=headers,
        body=body,
        credentials=credentials(),
        service="service",
        region="us-east-1",
        at=AT,
        also=("my-header1", "my-header2"),
    )
    assert made["authorization"].rpartition("Signature=")[2] == signature


def test_the_example_of_the_iam_guide_comes_out():
    made = sign(
        method="GET",
        url="https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        body=b"",
        credentials=credentials(),
        service="iam",
        region="us-east-1",
        at=AT,
    )
    assert made["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKID"
        "EXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def simple(**changes):
    given = {
        "method": "POST",
        "url": "https://example.amazonaws.com/model/a%3Ab/invoke",
        "headers": {},
        "body": b"{}",
        "credentials": credentials(TOKEN),
        "service": "bedrock",
        "region": "us-east-1",
        "at": AT,
    }
    return sign(**given | changes)


def test_what_a_client_or_proxy_changes_on_the_way_is_not_signed():
    noise = dict.fromkeys(
        ["Connection", "Accept-Encoding", "User-Agent", "traceparent", "Content-Length"], "x"
    )
    assert simple(headers=noise) == simple()


def test_what_an_earlier_signature_left_behind_is_not_looked_at():
    old = simple(at=AT - timedelta(hours=1))
    assert simple(headers=old | {"x-amz-content-sha256": "0"}) == simple()


def test_the_moment_may_stand_in_any_time_zone():
    assert simple(at=AT.astimezone(timezone(timedelta(hours=9)))) == simple()


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://example.amazonaws.com/a\nb"},
        {"url": "https://example.amazonaws.com/a b"},
        {"url": "https://example.amazonaws.com/é"},
        {"url": "https://example.amazonaws.com/a#b"},
        {"url": "https://me@example.amazonaws.com/"},
        {"url": "https://:443/"},
        {"url": "https://example.amazonaws.com:99999/"},
        {"url": "https://[::1/"},
        {"method": "post"},
        {"method": "\udc80"},
        {"url": "ftp://example.amazonaws.com/"},
        {"headers": {"x-amz-a": "b\nx-amz-c: d"}},
        {"headers": {"x-amz-a": "é"}},
        {"region": "us-east-1/x"},
        {"region": ""},
        {"service": "S3"},
        {"at": datetime(2030, 1, 1)},  # noqa: DTZ001
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(changes):
    with pytest.raises(ConfigError) as caught:
        simple(**changes)
    assert caught.value.hint


@pytest.mark.parametrize(
    "expires", [timedelta(), timedelta(days=7, seconds=1), timedelta(seconds=1.5)]
)
def test_a_presigned_url_lasts_between_a_second_and_a_week(expires):
    with pytest.raises(ConfigError, match="whole seconds"):
        presigned("https://sts.amazonaws.com/", expires=expires)


def presigned(url: str, *, expires: timedelta = timedelta(hours=1)) -> str:
    return presign(
        method="GET",
        url=url,
        credentials=credentials(),
        service="sts",
        region="us-east-1",
        at=AT,
        expires=expires,
    )


def test_a_presigned_url_is_not_presigned_again():
    with pytest.raises(ConfigError, match="presigned already"):
        presigned(presigned("https://sts.amazonaws.com/?Action=GetCallerIdentity"))
