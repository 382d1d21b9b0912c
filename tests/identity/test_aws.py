"""A web identity token of an AWS role, from a stand-in for STS that checks each signature."""

from datetime import timedelta

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.credential import AwsCredentials, Opaque
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ConfigError, ProviderError, SecretNotFoundError
from secretkit.identity import open_identity
from secretkit.ports import Acquired
from secretkit.testing.aws import AwsStub
from secretkit.testing.context import provider_context

AUDIENCE = "https://api.example.org"
LIMIT = timedelta(seconds=10)


class Base:
    """A source that gives the credential it was told to."""

    ref = "aws:base"

    def __init__(self, credential=None, error=None):
        self.credential, self.error, self.calls = credential, error, 0

    def acquire(self, *, timeout, refused):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return Acquired(credential=self.credential, ref=self.ref)

    def revoke(self, handle, *, timeout):
        raise NotImplementedError


@pytest.fixture
def aws():
    with AwsStub() as started:
        started.sts.federation = True
        yield started


def opened(aws, base, **options):
    table = {"type": "aws", "region": "us-east-1", "base": "base", "endpoint": aws.url()}
    context = provider_context(credentials={"base": base})
    return open_identity({**table, **options}, audience=AUDIENCE, context=context)


@pytest.fixture
def base(aws):
    return Base(aws.accounts.add_user("broker"))


@pytest.mark.parametrize("algorithm", ["ES384", "RS256"])
def test_each_token_is_asked_for_with_a_signature_that_verifies(aws, base, algorithm):
    identity = opened(aws, base, algorithm=algorithm)
    found = [identity.assertion(timeout=LIMIT) for _ in range(2)]
    assert found[0].secret != found[1].secret
    assert found[0].issuer == aws.sts.issuer
    assert found[0].subject.startswith("arn:aws:iam::123456789012:")
    left = found[0].expires_at - SystemClock().now()
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    assert base.calls == 2


def test_an_account_that_does_not_allow_it_is_told_how(aws, base):
    aws.sts.federation = False
    with pytest.raises(AccessDeniedError, match="OutboundWebIdentityFederationDisabled") as caught:
        opened(aws, base).assertion(timeout=LIMIT)
    assert caught.value.ref == "aws"
    assert "enable-outbound-web-identity-federation" in caught.value.hint


def test_a_wrong_key_is_no_denial_of_the_role(aws, base):
    wrong = AwsCredentials(base.credential.access_key_id, Secret("q" * 40))
    with pytest.raises(ProviderError, match="SignatureDoesNotMatch") as caught:
        opened(aws, Base(wrong)).assertion(timeout=LIMIT)
    assert type(caught.value) is ProviderError
    assert "clock" in caught.value.hint


def test_the_base_s_own_error_is_told_under_the_identity_s_name(aws):
    error = SecretNotFoundError("local:aws is not there", ref="local:aws", hint="set it")
    with pytest.raises(SecretNotFoundError, match="aws: local:aws is not there") as caught:
        opened(aws, Base(error=error)).assertion(timeout=LIMIT)
    assert (caught.value.ref, caught.value.hint) == ("aws", "set it")


def test_a_base_of_another_kind_is_refused(aws):
    with pytest.raises(ConfigError, match="kind opaque"):
        opened(aws, Base(Opaque(Secret("some-password")))).assertion(timeout=LIMIT)


@pytest.mark.parametrize("region", ["US-EAST-1", "us-east-1.evil.example/", "us-east"])
def test_a_region_that_is_none_builds_no_address(aws, base, region):
    with pytest.raises(ConfigError) as caught:
        opened(aws, base, region=region)
    assert caught.value.key_path == "region"


def test_an_endpoint_in_clear_text_is_refused(aws, base):
    with pytest.raises(ConfigError):
        opened(aws, base, endpoint="http://sts.example.org/")
