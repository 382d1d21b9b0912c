"""A request counts only with the signature of whom the stand-in knows."""

from __future__ import annotations

import http.client
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.core.sigv4 import presign, sign
from secretkit.testing import FakeClock
from secretkit.testing.aws.account import Accounts
from secretkit.testing.aws.message import AwsRefusedError, Incoming
from secretkit.testing.aws.signature import Verifier
from testing.aws.refusals import refused

BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def post(url, headers, body=BODY):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def signed(aws, clock, credentials, **changes):
    facts = {
        "method": "POST",
        "url": f"{aws.url()}/",
        "headers": FORM,
        "body": BODY,
        "credentials": credentials,
        "service": "sts",
        "region": "us-east-1",
        "at": clock.now(),
    }
    return FORM | sign(**facts | changes)


def test_botocore_and_our_own_signature_are_both_accepted(aws, clock, broker, client):
    assert client("sts", broker).get_caller_identity()["Arn"].endswith(":user/broker")
    status, text = post(f"{aws.url()}/", signed(aws, clock, broker))
    assert (status, "user/broker" in text) == (200, True)


@pytest.fixture(scope="module")
def accounts():
    """Accounts for a verifier without a server."""
    return Accounts(clock=FakeClock(), life=None)


@pytest.fixture(scope="module")
def pair(accounts):
    return accounts.add_user("a")


def incoming(accounts, pair, *, target="/a?b=c", put=None, also=()):
    """A signed request with, after signing, ``put`` in place of its headers of those names."""
    path, _, query = target.partition("?")
    headers = {"host": "h", "content-type": "text/plain", "x-other": "1"}
    made = sign(
        method="GET",
        url=f"http://h{target}",
        headers=headers,
        body=b"body",
        credentials=pair,
        service="x",
        region="us-east-1",
        at=accounts.clock.now(),
        also=also,
    )
    return Incoming(
        method="GET",
        path=path,
        query=query,
        headers=tuple((headers | made | (put or {})).items()),
        body=b"body",
        region="us-east-1",
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.text(st.sampled_from("ab/.~%:@+;,!*'()-_"), max_size=12),
    query=st.text(st.sampled_from("ab=&%2F:/+~!*'()-_"), max_size=12),
)
def test_signer_and_verifier_agree_on_odd_paths_and_queries(accounts, pair, path, query):
    """Two readings of AWS's page, written apart from each other."""
    request = incoming(accounts, pair, target=f"/{path}?{query}")
    assert Verifier(accounts).holder(request, service="x").arn.endswith("user/a")


def code_of(accounts, request):
    with pytest.raises(AwsRefusedError) as caught:
        Verifier(accounts).holder(request, service="x")
    return caught.value.code


@pytest.mark.parametrize(
    "put",
    [
        {"x-amz-content-sha256": "0" * 64},
        {"x-amz-added": "1"},
        {"content-type": "text/html"},
        {"host": "other"},
        {"x-other": "2"},
        {"x-amz-date": "20291231T000000Z"},
    ],
    ids=lambda put: next(iter(put)),
)
def test_a_header_that_was_changed_or_added_after_signing_is_seen(accounts, pair, put):
    request = incoming(accounts, pair, put=put, also=("x-other",))
    assert code_of(accounts, request) == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("SignedHeaders=content-type;host", "SignedHeaders=host", "InvalidSignatureException"),
        (";host;", ";", "InvalidSignatureException"),
        (";host;", ";host;missing;", "InvalidSignatureException"),
        ("content-type;host", "host;content-type", "InvalidSignatureException"),
        ("/aws4_request", "", "IncompleteSignatureException"),
        ("Signature=", "Signature=zz", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "IncompleteSignatureException"),
    ],
)
def test_an_authorization_that_was_edited_is_refused(accounts, pair, old, new, code):
    good = incoming(accounts, pair).header("authorization")
    assert old in good
    request = incoming(accounts, pair, put={"authorization": good.replace(old, new)})
    assert code_of(accounts, request) == code


def test_a_date_that_is_none_is_refused(accounts, pair):
    good = incoming(accounts, pair)
    stamp = good.header("x-amz-date")
    wrong = f"{stamp[:8]}T999999Z"
    assert code_of(accounts, incoming(accounts, pair, put={"x-amz-date": wrong})) == (
        "IncompleteSignatureException"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=x"),
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=date"),
        ("X-Amz-Date", "X-Amz-When"),
        ("a=1", "a=2"),
    ],
)
def test_a_presigned_query_that_was_edited_is_refused(accounts, pair, old, new):
    made = presign(
        method="GET",
        url="http://h/?a=1",
        credentials=pair,
        service="x",
        region="us-east-1",
        at=accounts.clock.now(),
        expires=timedelta(minutes=1),
    )
    query = urlsplit(made).query
    assert old in query
    request = Incoming(
        method="GET",
        path="/",
        query=query.replace(old, new),
        headers=(("host", "h"),),
        body=b"",
        region="us-east-1",
    )
    assert code_of(accounts, request).endswith("SignatureException")


def test_a_presigned_request_is_accepted_until_it_expires(aws, clock, broker):
    def ask():
        return post(made, {"content-length": "0"}, b"")

    made = presign(
        method="POST",
        url=f"{aws.url()}/?{BODY.decode()}",
        credentials=broker,
        service="sts",
        region="us-east-1",
        at=clock.now(),
        expires=timedelta(minutes=10),
    )
    assert ask()[0] == 200
    clock.advance(timedelta(minutes=9))
    assert ask()[0] == 200
    clock.advance(timedelta(minutes=2))
    status, text = ask()
    assert status == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in text


def wrong(aws, broker, **changes):
    given = {
        "access_key_id": broker.access_key_id,
        "secret": broker.secret,
        "session_token": broker.session_token,
    }
    return AwsCredentials(**given | changes)


def test_a_wrong_secret_is_a_wrong_signature(aws, broker, client):
    sts = client("sts", wrong(aws, broker, secret=Secret("x" * 40)))
    with refused("SignatureDoesNotMatch", status=403):
        sts.get_caller_identity()


def test_an_unknown_key_and_an_inactive_one_are_the_same_to_the_caller(aws, broker, client):
    with refused("InvalidClientTokenId", status=403):
        client("sts", wrong(aws, broker, access_key_id="AKIA" + "UNKNOWN")).get_caller_identity()
    aws.accounts.deactivate(broker.access_key_id)
    with refused("InvalidClientTokenId", status=403):
        client("sts", broker).get_caller_identity()


@pytest.mark.parametrize("token", [None, Secret("another-token")], ids=["missing", "another"])
def test_a_session_without_its_own_token_is_refused(aws, session, client, token):
    with refused("InvalidClientTokenId"):
        client("sts", wrong(aws, session(), session_token=token)).get_caller_identity()


def test_a_session_ends_on_the_clock(aws, clock, session, client):
    credentials = session(timedelta(seconds=2))
    sts, store = client("sts", credentials), client("secretsmanager", credentials)
    sts.get_caller_identity()
    clock.advance(timedelta(seconds=2))
    with refused("ExpiredToken", status=403):
        sts.get_caller_identity()
    with refused("ExpiredTokenException", status=400):
        store.get_secret_value(SecretId="a")


def test_a_session_can_be_ended_by_the_test(aws, session, client):
    credentials = session()
    aws.accounts.expire(credentials.access_key_id)
    with refused("ExpiredToken"):
        client("sts", credentials).get_caller_identity()


@pytest.mark.parametrize("offset", [(6, "Signature expired"), (-6, "Signature not yet current")])
def test_a_clock_off_by_more_than_five_minutes_is_said_so(clock, broker, client, offset):
    minutes, said = offset
    clock.jump_wall(timedelta(minutes=minutes))
    with refused("SignatureDoesNotMatch", status=403) as caught:
        client("sts", broker).get_caller_identity()
    assert said in caught.value.response["Error"]["Message"]
    with refused("InvalidSignatureException", status=400):
        client("secretsmanager", broker).list_secrets()


def test_four_minutes_are_forgiven(clock, broker, client):
    clock.jump_wall(timedelta(minutes=4))
    client("sts", broker).get_caller_identity()


def test_no_signature_at_all_is_named(client):
    with refused("MissingAuthenticationToken", status=403):
        client("sts").get_caller_identity()
    with refused("MissingAuthenticationTokenException", status=400):
        client("secretsmanager").list_secrets()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"service": "iam"}, "valid service"),
        ({"region": "us-west-2"}, "valid region"),
        ({"body": b"other"}, "does not match"),
        ({"url": "http://127.0.0.1/x"}, "does not match"),
        ({"method": "GET"}, "does not match"),
        ({"headers": {"content-type": "text/plain"}}, "does not match"),
    ],
)
def test_a_signature_is_bound_to_all_of_the_request(aws, clock, broker, changes, said):
    status, text = post(f"{aws.url()}/", signed(aws, clock, broker, **changes))
    assert (status, said in text) == (403, True)


def test_an_x_amz_header_that_is_not_signed_is_refused(aws, clock, broker):
    status, _ = post(f"{aws.url()}/", signed(aws, clock, broker) | {"x-amz-extra": "1"})
    assert status == 403


@pytest.mark.parametrize(
    "change",
    [
        {"authorization": "AWS4-HMAC-SHA256 nonsense"},
        {"authorization": "Bearer abc"},
        {"x-amz-date": ""},
        {"x-amz-date": "today"},
    ],
)
def test_what_cannot_be_read_as_a_signature_is_refused(aws, clock, broker, change):
    status, text = post(f"{aws.url()}/", signed(aws, clock, broker) | change)
    assert status == 403
    assert "<Code>" in text


def test_a_session_of_a_role_signs_as_that_session(aws, session, client):
    arn = client("sts", session()).get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::123456789012:assumed-role/reader/test"


def test_a_token_beside_a_long_term_key_is_refused(aws, broker, client):
    with refused("InvalidClientTokenId"):
        client("sts", wrong(aws, broker, session_token=Secret("abc"))).get_caller_identity()
