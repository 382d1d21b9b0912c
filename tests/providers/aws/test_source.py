"""Kind aws: where credentials start, which roles are assumed, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from providers.aws.world import (
    ACCOUNT,
    BROKER,
    READER,
    REGION,
    SECOND,
    TIMEOUT,
    Held,
    Minting,
    World,
    document,
)
from secretkit.core.credential import ApiKey, AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.providers.aws.service import open_service
from secretkit.testing.aws import DROP, Fault, SigningKey, Trust
from secretkit.testing.trace import assert_no_trace

ISSUER = "https://issuer.example"


def never(_: Secret) -> bool:
    return False


def acquired(source, refused=never) -> AwsCredentials:
    found = source.acquire(timeout=TIMEOUT, refused=refused)
    assert found.ref == "aws:bedrock"
    assert isinstance(found.credential, AwsCredentials)
    return found.credential


def failing(source) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        source.acquire(timeout=TIMEOUT, refused=never)
    assert caught.value.ref == "aws:bedrock"
    assert caught.value.hint
    return caught.value


def test_a_role_is_assumed_from_a_stored_pair(world: World) -> None:
    source = world.open(assume_role={"role_arn": READER})
    found = acquired(source)
    assert found.access_key_id.startswith("ASIA")
    assert found.session_token is not None
    assert found.expires_at == world.clock.now() + timedelta(minutes=15)
    probe = source.probe(timeout=TIMEOUT)
    assert probe.identity == (
        f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/secretkit (by source memory:pair)"
    )
    assert probe.reached.startswith("127.0.0.1:")
    assert probe.expires_at == found.expires_at


def test_each_acquire_is_a_session_of_its_own(world: World) -> None:
    source = world.open(assume_role={"role_arn": READER})
    assert acquired(source).access_key_id != acquired(source).access_key_id
    assert world.aws.count("sts:AssumeRole") == 2


def test_roles_are_chained_and_the_last_one_is_given(world: World) -> None:
    source = world.open(assume_role={"role_arn": READER}, then=[{"role_arn": SECOND}])
    acquired(source)
    callers = [call.caller for call in world.aws.calls]
    assert callers == [BROKER, f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/secretkit"]
    assert "second" in source.probe(timeout=TIMEOUT).identity


def test_without_a_role_the_start_itself_is_given_and_not_once_it_is_refused(world: World) -> None:
    source = world.open()
    found = acquired(source)
    assert found.access_key_id == world.base.access_key_id
    assert found.expires_at is None
    with pytest.raises(AccessDeniedError, match="no longer"):
        source.acquire(timeout=TIMEOUT, refused=lambda secret: secret == world.base.secret)


def test_a_pair_that_was_replaced_in_its_store_is_used_at_once(world: World) -> None:
    source = world.open(assume_role={"role_arn": READER})
    acquired(source)
    world.aws.accounts.deactivate(world.base.access_key_id)
    fresh = world.aws.accounts.add_user("broker")
    world.store.set(
        "pair",
        json.dumps({"AccessKeyId": fresh.access_key_id, "SecretAccessKey": fresh.secret.reveal()}),
    )
    acquired(source)


def test_every_option_of_a_role_reaches_sts(world: World, tmp_path: Path) -> None:
    trust = Trust(principals=(BROKER,), external_id="x-7")
    world.aws.accounts.add_role(READER, trust=trust, longest=timedelta(hours=2))
    world.store.set("external", "x-7")
    world.config_dir = str(tmp_path)
    policy = {"Version": "2012-10-17", "Statement": []}
    (tmp_path / "narrow.json").write_text(json.dumps(policy, indent=4))
    source = world.open(
        assume_role={
            "role_arn": READER,
            "duration": "2h",
            "external_id": "memory:external",
            "session_name": "build-7",
            "session_policy": "narrow.json",
            "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
            "tags": {"team": "search", "cost": "a b&c=ü"},
            "transitive_tags": ["team"],
            "source_identity": "ada",
        }
    )
    found = acquired(source)
    holder = world.aws.accounts.find(found.access_key_id)
    assert holder is not None
    assert holder.arn.endswith("/build-7")
    assert holder.grant.tags == {"team": "search", "cost": "a b&c=ü"}
    assert holder.grant.transitive == ("team",)
    assert holder.grant.source_identity == "ada"
    assert json.loads(holder.grant.policy) == policy
    assert " " not in holder.grant.policy
    assert found.expires_at == world.clock.now() + timedelta(hours=2)


def test_a_missing_external_id_is_denied_with_who_and_what(world: World) -> None:
    world.aws.accounts.add_role(READER, trust=Trust(principals=(BROKER,), external_id="x-7"))
    error = failing(world.open(assume_role={"role_arn": READER}))
    assert isinstance(error, AccessDeniedError)
    assert READER in str(error)
    assert error.hint == (f"allow sts:AssumeRole to {BROKER}, or ask for something it may")
    assert world.aws.count("sts:AssumeRole") == 1


@pytest.mark.parametrize(
    "answer",
    [{"account": "111122223333"}, {"role": "admin"}, {"session": "other"}],
    ids=["another account", "another role", "another session"],
)
def test_a_session_of_another_role_is_not_used(world: World, answer: dict[str, str]) -> None:
    world.aws.faults.add(Fault(action="sts:AssumeRole", answer=answer))
    error = failing(world.open(assume_role={"role_arn": READER}))
    assert isinstance(error, AccessDeniedError)
    assert "another role" in str(error)


def test_a_session_that_has_ended_is_not_used(world: World) -> None:
    world.aws.faults.add(
        Fault(action="sts:AssumeRole", answer={"expiration": "2001-01-01T00:00:00Z"})
    )
    assert "has ended" in str(failing(world.open(assume_role={"role_arn": READER})))


@pytest.mark.parametrize("end", ["2999-01-01T00:00:00Z", "2999-01-01T00:00:00+09:00"])
def test_an_end_that_is_too_far_away_is_not_believed(world: World, end: str) -> None:
    world.aws.faults.add(Fault(action="sts:AssumeRole", answer={"expiration": end}))
    found = acquired(world.open(assume_role={"role_arn": READER, "duration": "20m"}))
    assert found.expires_at == world.clock.now() + timedelta(minutes=20)


@pytest.mark.parametrize("end", ["soon", "", "2999-01-01T00:00:00"])
def test_an_end_that_is_none_is_refused(world: World, end: str) -> None:
    world.aws.faults.add(Fault(action="sts:AssumeRole", answer={"expiration": end, "x": "y"}))
    assert "no session" in str(failing(world.open(assume_role={"role_arn": READER})))


def test_a_base_that_ended_is_renewed_once(world: World) -> None:
    world.aws.accounts.add_role(SECOND, trust=Trust(principals=(READER,)))
    role = world.aws.accounts.role(READER)
    assert role is not None
    hour = timedelta(hours=1)
    old, new = (
        world.aws.accounts.start_session(role, name="base", duration=hour).credentials
        for _ in range(2)
    )
    held = Held(old, new)
    world.sources["base"] = held
    source = world.open(base="base", assume_role={"role_arn": SECOND})
    acquired(source)
    acquired(source)
    assert held.asked == 1  # kept for 0.6 of its life
    world.aws.accounts.expire(old.access_key_id)
    acquired(source)
    assert held.asked == 2
    world.aws.accounts.expire(new.access_key_id)
    before = world.aws.count("sts:AssumeRole")
    for _ in range(3):  # what is expired is shown to AWS once, and denies no session in hand
        error = failing(source)
        assert not isinstance(error, AccessDeniedError)
        assert "expired" in str(error)
    assert world.aws.count("sts:AssumeRole") == before + 1


def test_an_expired_pair_in_a_store_is_used_once(world: World) -> None:
    role = world.aws.accounts.role(READER)
    assert role is not None
    session = world.aws.accounts.start_session(role, name="base", duration=timedelta(hours=1))
    world.store.set("pair", document(session.credentials))
    source = world.open(assume_role={"role_arn": SECOND})
    world.aws.accounts.expire(session.credentials.access_key_id)
    for _ in range(2):
        error = failing(source)
        assert not isinstance(error, AccessDeniedError)
        assert "aws sso login" in error.hint
    assert world.aws.count("sts:AssumeRole") == 1


def test_a_pair_that_aws_does_not_know_yet_works_once_it_does(world: World) -> None:
    world.sources["hub"] = world.open()
    source = world.open(base="hub", assume_role={"role_arn": READER})
    world.aws.faults.add(Fault(action="sts:AssumeRole", code="InvalidClientTokenId", status=403))
    assert isinstance(failing(source), AccessDeniedError)
    assert world.aws.count("sts:AssumeRole") == 1  # the same pair is not sent again at once
    acquired(source)


def test_a_base_that_keeps_its_session_gives_another_once_it_is_over(world: World) -> None:
    role = world.aws.accounts.role(READER)
    assert role is not None
    hour = timedelta(hours=1)
    old, new = (
        world.aws.accounts.start_session(role, name="base", duration=hour).credentials
        for _ in range(2)
    )
    world.sources["inner"] = Held(old, new)
    world.sources["base"] = world.open(base="inner")
    source = world.open(base="base", assume_role={"role_arn": SECOND})
    acquired(source)
    world.aws.accounts.expire(old.access_key_id)
    acquired(source)
    assert world.sources["inner"].asked == 2


def test_a_kept_base_is_asked_for_anew_at_0_6_of_its_life(world: World) -> None:
    role = world.aws.accounts.role(READER)
    assert role is not None
    base = world.aws.accounts.start_session(role, name="b", duration=timedelta(hours=1))
    held = Held(base.credentials)
    world.sources["base"] = held
    source = world.open(base="base", assume_role={"role_arn": SECOND})
    acquired(source)
    world.clock.advance(timedelta(minutes=35))
    acquired(source)
    assert held.asked == 1
    world.clock.advance(timedelta(minutes=2))
    acquired(source)
    assert held.asked == 2


def test_a_base_of_another_kind_is_a_clear_error(world: World) -> None:
    world.sources["base"] = Held(ApiKey(Secret("not-for-aws-at-all")))
    source = world.open(base="base", assume_role={"role_arn": READER})
    with pytest.raises(SecretError, match="anthropic-api-key"):
        acquired(source)


def test_throttling_carries_the_wait_and_is_not_repeated(world: World) -> None:
    world.aws.faults.add(
        Fault(action="sts:AssumeRole", code="ThrottlingException", retry_after="7", times=0)
    )
    error = failing(world.open(assume_role={"role_arn": READER}))
    assert error.retryable
    assert not isinstance(error, AccessDeniedError)
    assert error.retry_after == timedelta(seconds=7)
    assert world.aws.count("sts:AssumeRole") == 1


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        ("RegionDisabledException", AccessDeniedError, "activate STS"),
        ("MalformedPolicyDocument", ProviderError, "no IAM policy"),
        ("PackedPolicyTooLarge", ProviderError, "shorten"),
        ("ServiceUnavailable", ProviderError, "later"),
        ("ValidationError", ProviderError, "1h at most"),
    ],
)
def test_each_refusal_says_what_to_do(
    world: World, code: str, kind: type[ProviderError], word: str
) -> None:
    status = 403 if code.startswith("Region") else 0
    world.aws.faults.add(Fault(action="sts:AssumeRole", code=code, status=status))
    error = failing(world.open(assume_role={"role_arn": READER}))
    assert type(error) is kind
    assert word in error.hint
    assert "injected" not in f"{error} {error.hint}"  # AWS's own text may repeat what was sent


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_wrong_clock_is_named_with_what_both_clocks_show(world: World, off: timedelta) -> None:
    ours = type(world.clock)(world.clock.now() + off)
    theirs, world.clock = world.clock, ours
    error = failing(world.open(assume_role={"role_arn": READER}))
    assert not isinstance(error, AccessDeniedError)
    assert f"{ours.now():%H:%M:%S}" in error.hint
    assert f"{theirs.now():%H:%M:%S}" in error.hint
    assert world.aws.count("sts:AssumeRole") == 1


def test_a_clock_that_is_behind_does_not_stretch_a_session(world: World) -> None:
    world.clock = type(world.clock)(world.clock.now() - timedelta(minutes=4))
    found = acquired(world.open(assume_role={"role_arn": READER}))
    assert found.expires_at == world.clock.now() + timedelta(minutes=15)


def test_nobody_there_and_a_cut_connection_are_told_apart(world: World) -> None:
    source = world.open(assume_role={"role_arn": READER})
    world.aws.faults.add(Fault(action="sts:AssumeRole", code=DROP))
    assert not isinstance(failing(source), ProviderUnavailableError)
    world.aws.stop_region(REGION)
    assert isinstance(failing(source), ProviderUnavailableError)


def test_a_web_identity_is_fresh_each_time(world: World) -> None:
    key = SigningKey("ES384")
    world.aws.sts.issuers[ISSUER] = {"keys": [key.jwk()]}
    trust = Trust(issuer=ISSUER, audience="sts.amazonaws.com", subject="job")
    world.aws.accounts.add_role(READER, trust=trust)
    now = int(world.clock.now().timestamp())
    claims = {"iss": ISSUER, "sub": "job", "aud": "sts.amazonaws.com", "iat": now}
    world.identity = Minting(
        lambda n: key.sign({**claims, "exp": now + 300, "jti": str(n)}), clock=world.clock
    )
    table = {"type": "test"}
    source = world.open(identity=table, assume_role={"role_arn": READER})
    acquired(source)
    acquired(source)
    assert world.identity.count == 2
    assert world.audiences == ["sts.amazonaws.com"]
    assert source.method == "identity test-identity"


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        ("IDPRejectedClaim", AccessDeniedError, "refuses this identity"),
        ("InvalidIdentityToken", AccessDeniedError, "OIDC provider"),
        ("IDPCommunicationError", ProviderError, "later"),
        ("IdentityTokenExpired", ProviderError, "clock"),
        ("AccessDenied", AccessDeniedError, "for the aud and sub of its token"),
    ],
)
def test_errors_about_an_identity_are_told_apart_and_show_no_token(
    world: World, code: str, kind: type[ProviderError], word: str
) -> None:
    canary = "canary" * 8
    world.identity = Minting(lambda _: canary, clock=world.clock)
    world.aws.faults.add(Fault(action="sts:AssumeRoleWithWebIdentity", code=code))
    error = failing(world.open(identity={"type": "x"}, assume_role={"role_arn": READER}))
    assert type(error) is kind
    assert word in error.hint
    assert_no_trace(error, canary)


def test_an_issuer_that_sts_did_not_reach_denies_nothing(world: World) -> None:
    """The same code as for a token that is wrong; only the text tells."""
    world.identity = Minting(lambda _: "token", clock=world.clock)
    told = "Couldn't retrieve verification key from your identity provider, please reference …"
    world.aws.faults.add(
        Fault(action="sts:AssumeRoleWithWebIdentity", code="InvalidIdentityToken", message=told)
    )
    error = failing(world.open(identity={"type": "x"}, assume_role={"role_arn": READER}))
    assert type(error) is ProviderError
    assert error.retryable
    assert "asked again later" in error.hint


def test_a_second_factor_is_asked_for_when_somebody_is_there(world: World) -> None:
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/ada"
    world.aws.accounts.add_role(READER, trust=Trust(principals=(BROKER,), mfa=True))
    world.aws.accounts.add_device(serial, codes=("123456",))
    asked: list[str] = []

    def prompt(text: str) -> Secret:
        asked.append(text)
        return Secret("123456")

    table = {"role_arn": READER}
    error = failing(world.open(mfa_serial=serial, assume_role=table))
    assert isinstance(error, ProviderUnavailableError)
    assert world.aws.calls == ()
    world.prompt = prompt
    acquired(world.open(mfa_serial=serial, assume_role=table))
    assert asked == [f"Code of {serial}"]


def test_no_secret_is_in_an_error_of_sts(world: World) -> None:
    canary = "x" * 20 + "canary"
    world.store.set("external", canary)
    source = world.open(assume_role={"role_arn": READER, "external_id": "memory:external"})
    for code in (DROP, "ThrottlingException", "AccessDeniedException"):
        world.aws.faults.add(Fault(action="sts:AssumeRole", code=code, message=f"no {canary}"))
        error = failing(source)
        assert_no_trace(error, canary)
        assert_no_trace(error, world.base.secret.reveal())


def test_no_secret_is_in_an_error_about_an_answer(world: World) -> None:
    world.aws.faults.add(Fault(action="sts:AssumeRole", answer={"account": "111122223333"}))
    error = failing(world.open(assume_role={"role_arn": READER}))
    assert_no_trace(error, "IQoJb3JpZ2lu")  # how each session token of the stand-in starts


def test_a_deadline_covers_every_step(world: World) -> None:
    world.aws.faults.add(Fault(action="sts:AssumeRole", hang=timedelta(seconds=30)))
    from secretkit.broker.clock import SystemClock

    world.clock = SystemClock()  # type: ignore[assignment]
    source = world.open(assume_role={"role_arn": READER})
    with pytest.raises((ProviderTimeoutError, ProviderError)):
        source.acquire(timeout=timedelta(milliseconds=200), refused=never)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"base": "x", "process": ["y"]}, "process"),
        ({"base": "vault:x"}, "base"),
        ({"base": "profile:"}, "base"),
        ({"then": [{"role_arn": SECOND}]}, "assume_role"),
        ({"assume_role": {"role_arn": "reader"}}, "assume_role.role_arn"),
        ({"assume_role": {"role_arn": READER, "duration": "10m"}}, "assume_role.duration"),
        ({"assume_role": {"role_arn": READER, "duration": "13h"}}, "assume_role.duration"),
        ({"assume_role": {"role_arn": READER, "tags": {"a": 1}}}, "assume_role.tags"),
        (
            {"assume_role": {"role_arn": READER, "transitive_tags": ["a"]}},
            "assume_role.transitive_tags",
        ),
        ({"assume_role": {"role_arn": READER, "session_name": "a b"}}, "assume_role.session_name"),
        (
            {
                "assume_role": {"role_arn": READER},
                "then": [{"role_arn": SECOND, "duration": "2h"}],
            },
            "then[0].duration",
        ),
        ({"assume_role": {"role_arn": READER, "roles": "x"}}, "assume_role.roles"),
        ({"assume_role": {"role_arn": READER}, "region": "here"}, "assume_role.region"),
        ({"identity": {"type": "x"}}, "assume_role"),
        ({"identity": {"type": "x"}, "assume_role": {"role_arn": READER, "tags": {"a": "b"}}},
         "assume_role"),
        ({"mfa_serial": "ada", "assume_role": {"role_arn": READER}}, "mfa_serial"),
        ({"endpoint": "http://sts.example", "assume_role": {"role_arn": READER}}, "endpoint"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_used_is_named(world: World, options: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world.open(**options)
    assert caught.value.key_path == key
    assert caught.value.hint


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_a_session_policy_that_cannot_be_read_is_an_error_before_sts_is_asked(
    world: World, tmp_path: Path, text: str | None
) -> None:
    world.config_dir = str(tmp_path)
    if text is not None:
        (tmp_path / "policy.json").write_text(text)
    source = world.open(assume_role={"role_arn": READER, "session_policy": "policy.json"})
    with pytest.raises(ConfigError, match=r"policy\.json"):
        source.acquire(timeout=TIMEOUT, refused=never)
    assert world.aws.calls == ()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_endpoint_is_the_region_s_own_whatever_the_environment_says(
    world: World, region: str, host: str
) -> None:
    world.environ |= {"AWS_ENDPOINT_URL": world.aws.url(), "AWS_ENDPOINT_URL_STS": world.aws.url()}
    service = open_service("sts", region=region, endpoint="", context=world.context())
    assert service.host == host
