"""AWS credentials as JSON: what a credential_process prints."""

import json
from datetime import UTC, datetime

import pytest

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import SecretError
from secretkit.providers.aws.document import read_credentials, read_moment

GIVEN = {"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "canary" + "k" * 20}


def test_a_pair_and_a_session_are_read() -> None:
    pair = read_credentials(Secret(json.dumps(GIVEN)), ref="r", versioned="required")
    assert isinstance(pair, AwsCredentials)
    assert (pair.access_key_id, pair.session_token, pair.expires_at) == ("AKIDEXAMPLE", None, None)
    more = {"SessionToken": "tok", "Expiration": "2030-01-31T13:00:00+01:00", "AccountId": "1"}
    found = read_credentials(Secret(json.dumps(GIVEN | more)), ref="r")
    assert isinstance(found, AwsCredentials)
    assert found.session_token == Secret("tok")
    assert found.expires_at == datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"Version": 2},
        {"Version": True},
        {"Version": None},
        {"AccessKeyId": ""},
        {"AccessKeyId": 7},
        {"AccessKeyId": "a b"},
        {"SecretAccessKey": None},
        {"SecretAccessKey": "two\nlines"},
        {"SessionToken": 7},
        {"Expiration": "soon"},
        {"Expiration": "2030-01-31T13:00:00"},
        {"Expiration": 1700000000},
    ],
    ids=str,
)
def test_what_is_no_credentials_is_said_without_the_value(change: dict[str, object]) -> None:
    found = read_credentials(Secret(json.dumps(GIVEN | change)), ref="aws:x", versioned="required")
    assert isinstance(found, SecretError)
    assert str(found).startswith("aws:x: ")
    assert found.hint
    assert "canary" not in f"{found} {found.hint}"


@pytest.mark.parametrize("text", ["no json", "[]", '{"Version": 1, "Version": 1}', "[" * 9000])
def test_what_is_no_single_object_is_refused(text: str) -> None:
    assert isinstance(read_credentials(Secret(text), ref="r"), SecretError)


def test_a_moment_needs_its_zone() -> None:
    assert read_moment("2030-01-31T12:00:00Z") == datetime(2030, 1, 31, 12, tzinfo=UTC)
    assert read_moment("2030-01-31T12:00:00") is None
    assert read_moment(7) is None
