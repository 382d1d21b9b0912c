from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from secretkit.core.credential import AwsCredentials, Opaque
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.ports import Acquired, Probe, Probing
from secretkit.providers.aws.bearer import open_source
from secretkit.testing import FakeClock
from secretkit.testing.context import provider_context
from secretkit.testing.trace import assert_no_trace

TIMEOUT = timedelta(seconds=5)
HOUR = timedelta(hours=1)
REF = "bedrock-token:bearer"
LONGEST = timedelta(hours=12)


class Base:
    """A source of AWS credentials, or of what a test wants instead."""

    ref = "aws:role/claude"

    def __init__(self, clock, *, life=HOUR, session=True):
        end = None if life is None else clock.now() + life
        token = Secret("IQoJ+/=" + "t" * 300) if session else None
        self.given = AwsCredentials("ASIA" + "T" * 16, Secret("s/+" * 13), token, end)
        self.error = None
        self.calls = 0
        self.revoked = []

    def acquire(self, *, timeout, refused):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return Acquired(credential=self.given, ref=self.ref, version="3", handle="h")

    def revoke(self, handle, *, timeout):
        self.revoked.append(handle)


@pytest.fixture
def clock():
    return FakeClock(datetime(2030, 1, 1, 12, 30, 15, tzinfo=UTC))


def opened(source, clock, /, **options):
    context = provider_context(clock=clock, credentials={"bedrock": source})
    table = MappingProxyType({"base": "bedrock", "region": "us-west-2"} | options)
    return open_source(table, ref=REF, context=context)


def acquired(source):
    return source.acquire(timeout=TIMEOUT, refused=lambda _: False)


@pytest.mark.parametrize("session", [True, False])
@pytest.mark.parametrize("hours", [1, 12])
def test_a_key_is_the_one_that_awss_own_generator_makes(session, hours):
    """The generator reads the wall clock, so ours is given the moment that stands in its key."""
    generator = pytest.importorskip("aws_bedrock_token_generator")
    from botocore.credentials import Credentials

    clock = FakeClock()
    base = Base(clock, session=session)
    held = base.given
    token = held.session_token.reveal() if session else None

    class Loads:
        def load(self):
            return Credentials(held.access_key_id, held.secret.reveal(), token)

    theirs = generator.provide_token("us-west-2", Loads(), timedelta(hours=hours))
    told = base64.b64decode(theirs.removeprefix("bedrock-api-key-")).decode()
    stamp = told.partition("X-Amz-Date=")[2][:16]
    made_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    at = FakeClock(made_at)
    ours = acquired(opened(base, at, duration=f"{hours}h")).credential
    mine = base64.b64decode(ours.secret.reveal().removeprefix("bedrock-api-key-")).decode()
    assert mine.startswith("bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-")
    assert sorted(mine.split("?")[1].split("&")) == sorted(told.split("?")[1].split("&"))
    assert mine.endswith("&Version=1")


def test_a_key_ends_with_its_session_or_after_its_own_duration(clock):
    now = clock.now()
    assert acquired(opened(Base(clock), clock)).credential.expires_at == now + HOUR
    short = opened(Base(clock), clock, duration="30m")
    assert acquired(short).credential.expires_at == now + timedelta(minutes=30)
    forever = opened(Base(clock, life=None), clock)
    assert acquired(forever).credential.expires_at == now + LONGEST


def test_a_key_is_made_anew_each_time_under_its_own_reference(clock):
    base = Base(clock)
    source = opened(base, clock)
    first = acquired(source)
    clock.advance(timedelta(seconds=1))
    second = acquired(source)
    assert source.ref == first.ref == REF
    assert (first.version, first.handle) == (None, "h")
    assert isinstance(first.credential, Opaque)
    assert first.credential.secret.reveal() != second.credential.secret.reveal()
    assert base.calls == 2


def test_a_key_that_is_refused_is_not_made_again_from_the_same_session(clock):
    base = Base(clock)
    asked = []

    def acquire(*, timeout, refused):
        asked.append(refused(base.given.secret))
        return Acquired(credential=base.given, ref=base.ref)

    base.acquire = acquire
    source = opened(base, clock)
    key = acquired(source).credential.secret
    clock.advance(timedelta(seconds=1))
    acquired(source)
    source.acquire(timeout=TIMEOUT, refused=lambda one: one == key)  # not the last one
    newest = acquired(source).credential.secret
    source.acquire(timeout=TIMEOUT, refused=lambda one: one == newest)
    assert asked == [False, False, False, False, True]


def test_a_look_at_it_says_who_signs_and_when_a_key_would_end(clock):
    class Seen(Base):
        def probe(self, *, timeout):
            if self.error is not None:
                raise self.error
            return Probe(reached="sts.example", identity="arn:x", expires_at=clock.now() + HOUR)

    base = Seen(clock)
    source = opened(base, clock, duration="30m")
    assert isinstance(source, Probing)
    end = clock.now() + timedelta(minutes=30)
    assert source.probe(timeout=TIMEOUT) == Probe(
        reached="sts.example", identity="arn:x", expires_at=end
    )
    assert opened(Base(clock), clock).probe(timeout=TIMEOUT) == Probe(reached=Base.ref)
    base.error = AccessDeniedError("no", ref=base.ref)
    with pytest.raises(AccessDeniedError) as caught:
        source.probe(timeout=TIMEOUT)
    assert caught.value.ref == REF


def test_what_it_was_made_from_is_given_back(clock):
    base = Base(clock)
    opened(base, clock).revoke("h", timeout=TIMEOUT)
    assert base.revoked == ["h"]


@pytest.mark.parametrize("kind", [AccessDeniedError, ProviderUnavailableError])
def test_a_refusal_of_the_base_is_one_of_the_key(clock, kind):
    base = Base(clock)
    base.error = kind("the role says no", ref=base.ref, hint="ask", retry_after=TIMEOUT)
    with pytest.raises(ProviderError) as caught:
        acquired(opened(base, clock))
    error = caught.value
    assert type(error) is kind
    assert (error.ref, error.hint, error.retry_after) == (REF, "ask", TIMEOUT)
    assert error.__cause__ is None


def test_a_base_that_gives_no_aws_credentials_is_refused_without_its_value(clock):
    base = Base(clock)
    base.given = Opaque(Secret("canary-" + "v" * 20))
    with pytest.raises(SecretError, match="opaque") as caught:
        acquired(opened(base, clock))
    assert_no_trace(caught.value, "canary-")


def test_nothing_of_the_session_is_in_what_it_shows(clock):
    source = opened(Base(clock), clock)
    given = acquired(source)
    shown = repr((given, vars(source), source._base.given))
    assert "t" * 30 not in shown
    assert "s/+s/+" not in shown
    assert "bedrock-api-key-" not in shown


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"base": ""}, "base"),
        ({"base": "nobody"}, "base"),
        ({"region": ""}, "region"),
        ({"region": "us-west-2/evil"}, "region"),
        ({"duration": "13h"}, "duration"),
        ({"duration": "1500ms"}, "duration"),
        ({"duration": "0s"}, "duration"),
        ({"durations": "1h"}, "durations"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(clock, options, key):
    with pytest.raises(ConfigError) as caught:
        opened(Base(clock), clock, **options)
    assert caught.value.key_path == key
    assert caught.value.hint


@pytest.mark.parametrize("missing", ["base", "region"])
def test_base_and_region_must_be_there(clock, missing):
    table = {"base": "bedrock", "region": "us-west-2"}
    del table[missing]
    with pytest.raises(ConfigError, match=missing):
        open_source(table, ref=REF, context=provider_context(clock=clock))
