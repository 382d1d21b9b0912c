"""Parameter Store: versions and labels, KMS, and names that could mean two things."""

from __future__ import annotations

import pytest

from providers.aws.world import BROKER, REGION, TIMEOUT, World
from secretkit.core.ref import SecretRef
from secretkit.errors import AccessDeniedError, ProviderError, RefError, SecretNotFoundError
from secretkit.providers.aws.parameter import ParameterStoreProvider
from secretkit.testing.aws import Fault
from secretkit.testing.trace import assert_no_trace

VALUE = "canary-" + "p" * 20
NAME = "/app/key"


def opened(world: World, **options: object) -> ParameterStoreProvider:
    url = world.aws.url()
    given = {"region": REGION, "endpoint": url, "sts_endpoint": url, "source": "memory:pair"}
    return ParameterStoreProvider.open({**given, **options}, world.context())


def ref(version: str | None = None, path: str = NAME) -> SecretRef:
    return SecretRef("params", path, version=version)


def failing(provider: ParameterStoreProvider, which: SecretRef) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        provider.fetch(which, timeout=TIMEOUT)
    assert caught.value.ref == str(which)
    assert caught.value.hint
    assert_no_trace(caught.value, VALUE)
    return caught.value


def test_a_version_is_named_by_number_or_label(world: World) -> None:
    for value in ("one", "two", "three"):
        world.aws.parameters.add(NAME, value, region=REGION)
    world.aws.parameters.label(NAME, "prod", version=2, region=REGION)
    provider = opened(world)
    found = {
        version: provider.fetch(ref(version), timeout=TIMEOUT) for version in (None, "1", "prod")
    }
    assert [one.secret.reveal() for one in found.values()] == ["three", "one", "two"]
    assert [one.version for one in found.values()] == ["3", "1", "2"]
    assert isinstance(failing(provider, ref("9")), SecretNotFoundError)
    assert isinstance(failing(provider, ref("no-label")), SecretNotFoundError)


def test_the_version_is_told_without_the_key(world: World) -> None:
    world.aws.parameters.add(NAME, VALUE, region=REGION)
    world.aws.parameters.kms = "denied"
    provider = opened(world)
    assert provider.version(ref(), timeout=TIMEOUT) == "1"
    assert isinstance(failing(provider, ref()), AccessDeniedError)


@pytest.mark.parametrize(("state", "word"), [("denied", "PARAMETER_ARN"), ("disabled", "enabled")])
def test_what_kms_refuses_is_explained(world: World, state: str, word: str) -> None:
    world.aws.parameters.add(NAME, VALUE, region=REGION)
    world.aws.parameters.kms = state
    error = failing(opened(world), ref())
    assert isinstance(error, AccessDeniedError)
    assert word in error.hint


def test_plain_text_and_arns_are_read(world: World) -> None:
    world.aws.parameters.add(NAME, VALUE, region=REGION, kind="String")
    world.aws.parameters.add("/x/y", VALUE, region=REGION, account="111122223333")
    provider = opened(world)
    arn = f"arn:aws:ssm:{REGION}:111122223333:parameter/x/y"
    for path in (NAME, arn):
        assert provider.fetch(ref("1", path), timeout=TIMEOUT).secret.reveal() == VALUE


def test_denied_says_who_may_not_what(world: World) -> None:
    world.aws.parameters.add(NAME, VALUE, region=REGION)
    world.aws.deny("ssm:GetParameter", arn=BROKER)
    error = failing(opened(world), ref())
    assert error.hint == f"allow ssm:GetParameter to {BROKER}, or ask for something it may"
    assert opened(world).probe(timeout=TIMEOUT).identity == BROKER


def test_throttling_is_no_refusal(world: World) -> None:
    world.aws.faults.add(Fault(action="ssm:GetParameter", code="ThrottlingException"))
    error = failing(opened(world), ref())
    assert type(error) is ProviderError
    assert error.retryable


@pytest.mark.parametrize("path", ["/app/key:1", "a b", "/", "/app//x", "..//x", "x" * 2000])
def test_a_name_that_is_none_is_refused(world: World, path: str) -> None:
    with pytest.raises(RefError):
        opened(world).fetch(ref(path=path), timeout=TIMEOUT)
    assert world.aws.calls == ()
