"""STS as boto3 meets it."""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.testing.aws import AwsStub, Fault, SigningKey, Trust
from testing.aws.conftest import BROKER, READER
from testing.aws.refusals import refused

OTHER = "arn:aws:iam::111122223333:role/reader"
ISSUER = "https://id.example.org"
POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})


def frozen(answer):
    given = answer["Credentials"]
    return AwsCredentials(
        given["AccessKeyId"],
        Secret(given["SecretAccessKey"]),
        Secret(given["SessionToken"]),
        given["Expiration"],
    )


@pytest.fixture
def sts(client, broker):
    return client("sts", broker)


@pytest.fixture
def assume(aws, sts):
    """Assume the reader's role, whose trust may be given before."""
    aws.accounts.add_role(READER, trust=Trust(principals=(BROKER,)))

    def call(using=None, **changes):
        given = {"RoleArn": READER, "RoleSessionName": "run"}
        return (using or sts).assume_role(**given | changes)

    return call


def test_a_session_names_the_role_without_its_path_and_its_end(clock, assume, client):
    answer = assume(DurationSeconds=900)
    assert answer["AssumedRoleUser"]["Arn"] == ("arn:aws:sts::123456789012:assumed-role/reader/run")
    expected = (clock.now() + timedelta(minutes=15)).replace(microsecond=0)
    assert answer["Credentials"]["Expiration"] == expected
    caller = client("sts", frozen(answer)).get_caller_identity()
    assert caller["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert caller["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]


def test_a_role_that_is_not_there_and_one_that_does_not_trust_look_alike(aws, assume):
    with refused("AccessDenied", status=403):
        assume(RoleArn="arn:aws:iam::123456789012:role/none")
    aws.accounts.add_role(OTHER, trust=Trust(principals=("arn:aws:iam::111122223333:root",)))
    with refused("AccessDenied", status=403):
        assume(RoleArn=OTHER)


def test_a_trust_in_an_account_is_enough(aws, assume):
    aws.accounts.add_role(OTHER, trust=Trust(principals=("arn:aws:iam::123456789012:root",)))
    arn = assume(RoleArn=OTHER)["AssumedRoleUser"]["Arn"]
    assert arn.startswith("arn:aws:sts::111122223333:")


@pytest.mark.parametrize("given", [{}, {"ExternalId": "another"}], ids=["missing", "another"])
def test_an_external_id_that_the_trust_asks_for_has_to_be_given(aws, assume, given):
    aws.accounts.add_role(READER, trust=Trust(principals=(BROKER,), external_id="x7"))
    with refused("AccessDenied", status=403):
        assume(**given)
    assume(ExternalId="x7")


def test_durations_are_bounded_by_the_service_and_the_role(aws, assume, client, broker):
    unchecked = client("sts", broker, parameter_validation=False)
    for seconds in (899, 43_201):
        with refused("ValidationError", status=400) as caught:
            assume(unchecked, DurationSeconds=seconds)
        assert "between 900 and 43200" in str(caught.value)
    aws.accounts.add_role(READER, trust=Trust(principals=(BROKER,)), longest=timedelta(hours=2))
    assume(DurationSeconds=7200)
    with refused("ValidationError") as caught:
        assume(DurationSeconds=7201)
    assert "MaxSessionDuration" in str(caught.value)


def test_a_chained_session_is_an_hour_at_most(aws, assume, client):
    first = frozen(assume())
    trust = Trust(principals=(READER,))
    aws.accounts.add_role(OTHER, trust=trust, longest=timedelta(hours=12))
    chained = client("sts", first)
    assume(chained, RoleArn=OTHER, DurationSeconds=3600)
    with refused("ValidationError") as caught:
        assume(chained, RoleArn=OTHER, DurationSeconds=3601)
    assert "role chaining" in str(caught.value)


def test_a_session_policy_is_json_and_fits(assume):
    assert assume(Policy=POLICY)["PackedPolicySize"] >= 1
    with refused("MalformedPolicyDocument"):
        assume(Policy="{")
    with refused("PackedPolicyTooLarge"):
        assume(Policy=json.dumps({"Statement": "x" * 2048}))


def test_a_session_has_ten_policies_and_fifty_tags_at_the_most(assume, client, broker):
    unchecked = client("sts", broker, parameter_validation=False)
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    policies = [{"arn": f"arn:aws:iam::aws:policy/p{number}"} for number in range(11)]
    assume(unchecked, Tags=tags[:50], PolicyArns=policies[:10])
    with refused("ValidationError"):
        assume(unchecked, Tags=tags)
    with refused("ValidationError"):
        assume(unchecked, PolicyArns=policies)


def test_transitive_tags_and_the_source_identity_stay_in_a_chain(aws, assume, client):
    tags = [{"Key": "team", "Value": "a"}, {"Key": "own", "Value": "b"}]
    answer = assume(Tags=tags, TransitiveTagKeys=["team"], SourceIdentity="alice")
    assert answer["SourceIdentity"] == "alice"
    aws.accounts.add_role(OTHER, trust=Trust(principals=(READER,)))
    chained = client("sts", frozen(answer))
    second = frozen(assume(chained, RoleArn=OTHER))
    grant = aws.accounts.find(second.access_key_id).grant
    assert (grant.tags, grant.source_identity) == ({"team": "a"}, "alice")
    with refused("AccessDenied"):
        assume(chained, RoleArn=OTHER, Tags=[{"Key": "team", "Value": "c"}])
    with refused("AccessDenied"):
        assume(chained, RoleArn=OTHER, SourceIdentity="bob")


def test_a_second_factor_is_asked_for_and_its_code_works_once(aws, assume):
    serial = "arn:aws:iam::123456789012:mfa/me"
    aws.accounts.add_role(READER, trust=Trust(principals=(BROKER,), mfa=True))
    aws.accounts.add_device(serial, codes=("123456",))
    with refused("AccessDenied"):
        assume()
    with refused("AccessDenied") as caught:
        assume(SerialNumber=serial, TokenCode="654321")
    assert "one time pass code" in str(caught.value)
    assume(SerialNumber=serial, TokenCode="123456")
    with refused("AccessDenied"):
        assume(SerialNumber=serial, TokenCode="123456")


def test_an_odd_session_name_is_refused(assume):
    with refused("ValidationError"):
        assume(RoleSessionName="a b")


def test_a_life_given_to_the_stand_in_is_what_a_session_lives(clock):
    with AwsStub(clock=clock, life=timedelta(seconds=2)) as aws:
        role = aws.accounts.add_role(READER, trust=Trust())
        session = aws.accounts.start_session(role, name="run", duration=timedelta(minutes=15))
        assert session.ends_at <= clock.now() + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("bent", "arn"),
    [
        ({"account": "111122223333"}, "arn:aws:sts::111122223333:assumed-role/reader/run"),
        ({"role": "writer"}, "arn:aws:sts::123456789012:assumed-role/writer/run"),
        ({"session": "theirs"}, "arn:aws:sts::123456789012:assumed-role/reader/theirs"),
    ],
)
def test_an_answer_can_name_another_account_role_or_session(aws, assume, bent, arn):
    aws.faults.add(Fault(action="sts:AssumeRole", answer=bent))
    assert assume()["AssumedRoleUser"]["Arn"] == arn
    assert assume()["AssumedRoleUser"]["Arn"].endswith(":123456789012:assumed-role/reader/run")


def test_an_answer_can_name_another_end(aws, assume):
    aws.faults.add(Fault(action="sts:AssumeRole", answer={"expiration": "2001-01-01T00:00:00Z"}))
    assert assume()["Credentials"]["Expiration"].year == 2001


@pytest.fixture
def provider(aws):
    """An identity provider that the reader's role trusts."""
    key = SigningKey("ES384")
    aws.sts.issuers[ISSUER] = {"keys": [key.jwk()]}
    trust = Trust(issuer=ISSUER, audience="sts.amazonaws.com", subject="repo:o/r:*")
    aws.accounts.add_role(READER, trust=trust)
    return key


def claims(clock, **changes):
    now = int(clock.now().timestamp())
    told = {"iss": ISSUER, "aud": "sts.amazonaws.com", "sub": "repo:o/r:ref:refs/heads/main"}
    return told | {"iat": now, "exp": now + 300} | changes


def exchange(client, token, **changes):
    given = {"RoleArn": READER, "RoleSessionName": "ci", "WebIdentityToken": token}
    return client("sts").assume_role_with_web_identity(**given | changes)


def test_a_signed_token_begins_a_session(clock, client, provider):
    answer = exchange(client, provider.sign(claims(clock)))
    assert answer["SubjectFromWebIdentityToken"] == "repo:o/r:ref:refs/heads/main"
    assert answer["Audience"] == "sts.amazonaws.com"
    client("sts", frozen(answer)).get_caller_identity()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://other.example.org"}, "InvalidIdentityToken"),
        ({"aud": "another"}, "InvalidIdentityToken"),
        ({"sub": "repo:o/fork:ref"}, "AccessDenied"),
        ({"sub": 7}, "InvalidIdentityToken"),
        ({"exp": 1}, "ExpiredTokenException"),
        ({"exp": "soon"}, "InvalidIdentityToken"),
        ({"iat": 1 << 40}, "InvalidIdentityToken"),
    ],
)
def test_a_token_whose_claims_do_not_fit_begins_none(clock, client, provider, changes, code):
    with refused(code):
        exchange(client, provider.sign(claims(clock, **changes)))


def test_a_token_signed_by_another_key_begins_none(clock, client, provider):
    stranger = SigningKey("ES384")
    stranger.key_id = provider.key_id
    with refused("InvalidIdentityToken", status=400):
        exchange(client, stranger.sign(claims(clock)))
    with refused("InvalidIdentityToken", status=400):
        exchange(client, "not-a-token")


def test_a_role_without_a_provider_trusts_no_token(aws, clock, client, provider):
    aws.accounts.add_role(READER, trust=Trust(principals=("*",)))
    with refused("AccessDenied"):
        exchange(client, provider.sign(claims(clock)))


def identity_token(sts, **changes):
    given = {"Audience": ["https://api.example.org"], "SigningAlgorithm": "ES384"}
    return sts.get_web_identity_token(**given | changes)


def fetched(url):
    with urllib.request.urlopen(url) as page:  # noqa: S310 - the stand-in's own address
        return json.load(page)


@pytest.mark.parametrize("algorithm", ["RS256", "ES384"])
def test_a_workloads_token_is_verified_with_the_keys_at_its_address(aws, clock, sts, algorithm):
    answer = identity_token(sts, SigningAlgorithm=algorithm)
    discovered = fetched(f"{aws.url()}/.well-known/openid-configuration")
    keys = KeySet.import_key_set(fetched(discovered["jwks_uri"]))
    told = jwt.decode(answer["WebIdentityToken"], keys, algorithms=[algorithm]).claims
    assert (told["iss"], told["sub"]) == (discovered["issuer"], BROKER)
    assert told["aud"] == "https://api.example.org"
    assert told["exp"] - told["iat"] == 300
    assert told["exp"] == answer["Expiration"].timestamp()


def test_a_workloads_token_of_a_session_names_the_role_and_does_not_outlive_it(session, client):
    short = client("sts", session(timedelta(minutes=4)))
    with refused("SessionDurationEscalationException", status=403):
        identity_token(short)
    identity_token(short, DurationSeconds=60)


def test_no_workloads_token_while_federation_is_off(aws, sts):
    aws.sts.federation = False
    with refused("OutboundWebIdentityFederationDisabledException", status=403):
        identity_token(sts)


def test_what_sts_does_not_know_is_refused(sts):
    with refused("InvalidAction"):
        sts.get_session_token()
    with refused("ValidationError"):
        sts.assume_role(
            RoleArn=READER, RoleSessionName="run", ProvidedContexts=[{"ProviderArn": READER}]
        )
