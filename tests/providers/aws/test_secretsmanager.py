"""Secrets Manager: versions, other accounts, KMS, throttling, replicas, sessions that end."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest

from providers.aws.world import (
    BROKER,
    READER,
    REGION,
    TIMEOUT,
    Held,
    World,
)
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderUnavailableError,
    RefError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.providers.aws.secretsmanager import SecretsManagerProvider
from secretkit.testing.aws import DROP, Fault
from secretkit.testing.trace import assert_no_trace

WEST = "us-west-2"
GET = "secretsmanager:GetSecretValue"
VALUE = "canary-" + "v" * 20


def opened(world: World, **options: object) -> SecretsManagerProvider:
    if not options.keys() & {"base", "process"}:
        options |= {"source": "memory:pair"}
    given = {"region": REGION, "endpoint": world.aws.url(), "sts_endpoint": world.aws.url()}
    return SecretsManagerProvider.open({**given, **options}, world.context())


def replicated(world: World) -> SecretsManagerProvider:
    for region in (REGION, WEST):
        world.aws.secrets.add("app/key", f"{VALUE}-{region}", region=region)
    own = {WEST: world.aws.url(WEST)}
    return opened(world, replicas=[WEST], replica_endpoints=own)


def value(provider: SecretsManagerProvider, path: str, version: str | None = None) -> str:
    ref = SecretRef("prod", path, version=version)
    return provider.fetch(ref, timeout=TIMEOUT).secret.reveal()


def failing(provider: SecretsManagerProvider, path: str = "app/key", **more: str) -> ProviderError:
    ref = SecretRef("prod", path, **more)
    with pytest.raises(ProviderError) as caught:
        provider.fetch(ref, timeout=TIMEOUT)
    assert caught.value.ref == str(ref)
    assert caught.value.hint
    assert_no_trace(caught.value, VALUE)
    return caught.value


def test_a_version_is_named_by_its_stage_or_its_id(world: World) -> None:
    world.aws.secrets.add("app/key", "one", region=REGION)
    provider = opened(world)
    first = provider.fetch(SecretRef("prod", "app/key"), timeout=TIMEOUT).version
    world.aws.secrets.add("app/key", "two", region=REGION)
    assert value(provider, "app/key") == "two"
    assert value(provider, "app/key", "AWSCURRENT") == "two"
    assert value(provider, "app/key", "AWSPREVIOUS") == "one"
    assert value(provider, "app/key", first) == "one"
    assert isinstance(failing(provider, version="no-such-stage"), SecretNotFoundError)
    missing = "00000000-0000-0000-0000-000000000000"
    assert isinstance(failing(provider, version=missing), SecretNotFoundError)


def test_the_version_is_told_without_the_value(world: World) -> None:
    world.aws.secrets.add("app/key", "one", region=REGION)
    provider = opened(world)
    first = provider.version(SecretRef("prod", "app/key"), timeout=TIMEOUT)
    world.aws.secrets.add("app/key", "two", region=REGION)
    for version in ("AWSPREVIOUS", first):
        ref = SecretRef("prod", "app/key", version=version)
        assert provider.version(ref, timeout=TIMEOUT) == first
    assert world.aws.count(GET) == 0
    assert value(provider, "app/key", first) == "one"


def test_a_secret_that_is_to_be_deleted_is_not_found(world: World) -> None:
    arn = world.aws.secrets.add("app/key", VALUE, region=REGION)
    world.aws.secrets.delete(arn)
    provider = opened(world)
    assert "restore-secret" in failing(provider).hint
    assert isinstance(failing(provider), SecretNotFoundError)
    with pytest.raises(SecretNotFoundError):
        provider.version(SecretRef("prod", "app/key"), timeout=TIMEOUT)


def test_a_field_and_binary_text_are_read_and_binary_data_is_not(world: World) -> None:
    world.aws.secrets.add("app/key", json.dumps({"password": VALUE}), region=REGION)
    world.aws.secrets.add("app/binary", "pässword".encode(), region=REGION)
    world.aws.secrets.add("app/data", b"\xff\xfe", region=REGION)
    provider = opened(world)
    ref = SecretRef("prod", "app/key", "password")
    assert provider.fetch(ref, timeout=TIMEOUT).secret == Secret(VALUE)
    assert isinstance(failing(provider, field="user"), SecretNotFoundError)
    assert value(provider, "app/binary") == "pässword"
    with pytest.raises(SecretError, match="UTF-8"):
        value(provider, "app/data")


def test_a_secret_of_another_account_needs_its_arn(world: World) -> None:
    other = world.aws.secrets.add("app/key", VALUE, region=REGION, account="111122223333")
    provider = opened(world)
    assert value(provider, other) == VALUE
    assert isinstance(failing(provider), SecretNotFoundError)


def test_a_role_is_assumed_for_the_store(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    provider = opened(world, role={"role_arn": READER})
    for _ in range(5):
        assert value(provider, "app/key") == VALUE
    assert world.aws.count("sts:AssumeRole") == 1
    callers = {call.caller for call in world.aws.calls if call.action == GET}
    assert {caller.split("/")[1] for caller in callers} == {"reader"}
    assert "assumed-role/reader" in provider.probe(timeout=TIMEOUT).identity


def test_one_object_works_for_ever_over_sessions_that_end(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    provider = opened(world, role={"role_arn": READER, "duration": "15m"})
    for _ in range(40):
        assert value(provider, "app/key") == VALUE
        world.clock.advance(timedelta(minutes=3))
    codes = [call.code for call in world.aws.calls]
    assert set(codes) == {""}
    assert 12 <= world.aws.count("sts:AssumeRole") <= 14  # 120 minutes, one each 9 of them


def test_a_session_that_is_taken_away_is_replaced_once(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    provider = opened(world, role={"role_arn": READER})
    value(provider, "app/key")
    (session,) = [c for c in world.aws.accounts._holders.values() if c.role]
    world.aws.accounts.expire(session.credentials.access_key_id)
    assert value(provider, "app/key") == VALUE
    assert [call.action for call in world.aws.calls][-3:] == [GET, "sts:AssumeRole", GET]


def test_credentials_that_stay_refused_are_asked_for_once_more_only(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    provider = opened(world)
    world.aws.accounts.deactivate(world.base.access_key_id)
    assert isinstance(failing(provider), AccessDeniedError)
    assert world.aws.count(GET) <= 2


def test_denied_says_who_may_not_what(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    world.aws.deny(GET, arn=BROKER)
    error = failing(replicated(world))
    assert isinstance(error, AccessDeniedError)
    assert error.hint == f"allow {GET} to {BROKER}, or ask for something it may"
    assert world.aws.count(GET) == 1  # no replica is asked


@pytest.mark.parametrize(("state", "word"), [("denied", "SecretARN"), ("disabled", "enabled")])
def test_what_kms_refuses_is_explained(world: World, state: str, word: str) -> None:
    arn = world.aws.secrets.add("app/key", VALUE, region=REGION)
    world.aws.secrets.set_kms(arn, state)
    error = failing(opened(world))
    assert isinstance(error, AccessDeniedError)
    assert "kms:Decrypt" in error.hint
    assert word in error.hint


@pytest.mark.parametrize(
    ("wait", "seconds"), [("5", 5), ("1000000000", 3600), ("-1", None), ("soon", None)]
)
def test_throttling_carries_the_wait(world: World, wait: str, seconds: int | None) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    world.aws.faults.add(Fault(action=GET, code="ThrottlingException", retry_after=wait))
    error = failing(opened(world))
    assert error.retryable
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))
    assert world.aws.count(GET) == 1


@pytest.mark.parametrize("code", ["InternalServiceError", "ThrottlingException", DROP])
def test_a_region_that_cannot_answer_has_its_replica_asked(world: World, code: str) -> None:
    provider = replicated(world)
    assert value(provider, "app/key") == f"{VALUE}-{REGION}"
    world.aws.faults.add(Fault(action=GET, region=REGION, code=code, times=0))
    assert value(provider, "app/key") == f"{VALUE}-{WEST}"
    world.aws.faults.clear()
    assert value(provider, "app/key") == f"{VALUE}-{REGION}"


def test_a_region_that_is_gone_or_hangs_has_its_replica_asked(world: World) -> None:
    from secretkit.broker.clock import SystemClock

    world.clock = SystemClock()  # type: ignore[assignment]
    provider = replicated(world)
    world.aws._clock = world.clock  # type: ignore[attr-defined]
    world.aws.accounts.clock = world.clock
    world.aws.faults.add(Fault(action=GET, region=REGION, hang=timedelta(seconds=20), times=0))
    ref = SecretRef("prod", "app/key")
    found = provider.fetch(ref, timeout=timedelta(seconds=2))
    assert found.secret == Secret(f"{VALUE}-{WEST}")
    world.aws.stop_region(REGION)
    options = {"endpoint": "http://127.0.0.1:1/", "replicas": [WEST]}
    gone = opened(world, **options, replica_endpoints={WEST: world.aws.url(WEST)})
    assert value(gone, "app/key") == f"{VALUE}-{WEST}"


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_what_a_replica_refuses_or_lacks_is_not_the_error(world: World, code: str) -> None:
    provider = replicated(world)
    world.aws.faults.add(
        Fault(action=GET, region=REGION, code="InternalServiceError", retry_after="9"),
        Fault(action=GET, region=WEST, code=code),
    )
    error = failing(provider)
    assert type(error) is ProviderError
    assert REGION in str(error)
    assert error.retry_after == timedelta(seconds=9)


def test_not_found_in_the_first_region_is_final(world: World) -> None:
    provider = replicated(world)
    world.aws.secrets.add("only/west", VALUE, region=WEST)
    assert isinstance(failing(provider, "only/west"), SecretNotFoundError)
    assert {call.region for call in world.aws.calls} == {REGION}


def test_an_arn_is_asked_for_in_the_replica_s_own_region(world: World) -> None:
    provider = replicated(world)
    arn = next(one.arn for one in world.aws.secrets._all.values() if REGION in one.arn)
    short = arn.rpartition("-")[0]  # the stand-in's replica has other last letters
    world.aws.faults.add(Fault(action=GET, region=REGION, code="InternalServiceError"))
    assert value(provider, short) == f"{VALUE}-{WEST}"


def test_a_wrong_clock_is_named_and_no_storm_follows(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    world.clock = type(world.clock)(world.clock.now() - timedelta(hours=1))
    error = failing(opened(world))
    assert type(error) is ProviderError
    assert "clock" in error.hint
    assert len(world.aws.calls) == 1


def test_no_credentials_is_not_a_region_s_fault(world: World) -> None:
    provider = opened(world, process=["no-such-program"], replicas=[WEST])
    assert isinstance(failing(provider), ProviderUnavailableError)
    assert world.aws.calls == ()


def test_a_base_session_of_another_credential_is_renewed_when_aws_says_it_is_over(
    world: World,
) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    role = world.aws.accounts.role(READER)
    assert role is not None
    hour = timedelta(hours=1)
    old, new = (
        world.aws.accounts.start_session(role, name="b", duration=hour).credentials
        for _ in range(2)
    )
    world.sources["base"] = Held(old, new)
    provider = opened(world, base="base")
    value(provider, "app/key")
    world.aws.accounts.expire(old.access_key_id)
    assert value(provider, "app/key") == VALUE


def test_no_session_is_shown_again_once_aws_called_it_expired(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    provider = opened(world, role={"role_arn": READER})
    world.aws.faults.add(Fault(action=GET, code="ExpiredTokenException", times=4))
    for _ in range(2):
        error = failing(provider)
        assert not isinstance(error, AccessDeniedError)
        assert "expired" in str(error)
    assert value(provider, "app/key") == VALUE
    assert world.aws.count("sts:AssumeRole") == 5  # for four refusals and one answer


def test_twenty_threads_share_one_session(world: World) -> None:
    world.aws.secrets.add("app/key", VALUE, region=REGION)
    provider = opened(world, role={"role_arn": READER})
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(value(provider, "app/key"))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [VALUE] * 20
    assert world.aws.count("sts:AssumeRole") == 1


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"region": "here"}, "region"),
        ({"replicas": [REGION]}, "replicas"),
        ({"replicas": [WEST, WEST]}, "replicas"),
        ({"replicas": ["west"]}, "replicas"),
        ({"replica_endpoints": {WEST: "https://a"}}, "replica_endpoints"),
        ({"endpoint": "http://example.org"}, "endpoint"),
        ({"role": {"role_arn": "x"}}, "role.role_arn"),
        ({"sts_endpoint": "http://example.org"}, "sts_endpoint"),
        ({"regions": ["x"]}, "regions"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named(world: World, options: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(world, **options)
    assert caught.value.key_path == key
    assert caught.value.hint


def test_a_path_that_is_no_name_is_refused_before_anybody_is_asked(world: World) -> None:
    for path in ("a b", "a:b", "arn:aws:s3:::x", "x" * 600):
        with pytest.raises(RefError) as caught:
            value(opened(world), path)
        assert caught.value.hint
    assert world.aws.calls == ()
