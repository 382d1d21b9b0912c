"""Parameter Store as boto3 meets it."""

from __future__ import annotations

import pytest

from testing.aws.refusals import refused

NAME = "/team/claude"


@pytest.fixture
def ssm(client, broker):
    return client("ssm", broker)


@pytest.fixture(autouse=True)
def kept(aws):
    aws.parameters.add(NAME, "first", region="us-east-1")
    aws.parameters.add(NAME, "second", region="us-east-1")


def value(ssm, name=NAME, **changes):
    return ssm.get_parameter(**{"Name": name, "WithDecryption": True} | changes)["Parameter"]


def test_the_newest_version_is_given_or_the_one_named(aws, ssm):
    aws.parameters.label(NAME, "stable", version=1, region="us-east-1")
    assert (value(ssm)["Value"], value(ssm)["Version"]) == ("second", 2)
    assert value(ssm, f"{NAME}:1")["Value"] == "first"
    assert value(ssm, f"{NAME}:stable")["Value"] == "first"
    arn = value(ssm)["ARN"]
    assert value(ssm, f"{arn}:1")["Value"] == "first"


def test_an_unencrypted_answer_is_not_the_value(ssm):
    assert value(ssm, WithDecryption=False)["Value"] != "second"


def test_what_is_not_there_is_not_found(client, broker, ssm):
    with refused("ParameterNotFound", status=400):
        value(ssm, "/none")
    for missing in (f"{NAME}:9", f"{NAME}:nolabel"):
        with refused("ParameterVersionNotFound"):
            value(ssm, missing)
    with refused("ParameterNotFound"):
        value(client("ssm", broker, region="us-west-2"))


@pytest.mark.parametrize(
    ("state", "code"), [("denied", "AccessDeniedException"), ("disabled", "InvalidKeyId")]
)
def test_a_key_that_cannot_be_used_gives_no_value(aws, ssm, state, code):
    aws.parameters.kms = state
    with refused(code):
        value(ssm)
    value(ssm, WithDecryption=False)


def test_a_parameter_is_overwritten_only_when_asked_and_has_a_size(ssm):
    with refused("ParameterAlreadyExists"):
        ssm.put_parameter(Name=NAME, Value="third", Type="SecureString")
    assert ssm.put_parameter(Name=NAME, Value="third", Overwrite=True)["Version"] == 3
    assert value(ssm)["Value"] == "third"
    with refused("ValidationException"):
        ssm.put_parameter(Name="/new", Value="x" * 4097, Type="String")
    ssm.put_parameter(Name="/new", Value="x" * 4097, Type="String", Tier="Advanced")
