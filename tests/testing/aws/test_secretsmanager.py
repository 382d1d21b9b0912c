"""Secrets Manager as boto3 meets it."""

from __future__ import annotations

import uuid

import pytest

from testing.aws.refusals import refused

NAME = "team/claude"


@pytest.fixture
def store(client, broker):
    return client("secretsmanager", broker)


@pytest.fixture
def arn(aws):
    return aws.secrets.add(NAME, "first", region="us-east-1")


def text(store, **changes):
    return store.get_secret_value(**{"SecretId": NAME} | changes)["SecretString"]


def test_a_secret_is_found_by_name_arn_and_arn_without_its_end(store, arn):
    for name in (NAME, arn, arn.rpartition("-")[0]):
        assert text(store, SecretId=name) == "first"
    assert store.get_secret_value(SecretId=NAME)["VersionStages"] == ["AWSCURRENT"]


def test_stages_move_with_a_new_version(aws, store, arn):
    aws.secrets.add(NAME, "second", region="us-east-1")
    assert text(store) == "second"
    assert text(store, VersionStage="AWSPREVIOUS") == "first"
    aws.secrets.add(NAME, "third", region="us-east-1")
    assert text(store, VersionStage="AWSPREVIOUS") == "second"
    stages = store.describe_secret(SecretId=NAME)["VersionIdsToStages"]
    assert sorted(stages.values()) == [["AWSCURRENT"], ["AWSPREVIOUS"]]


def test_a_version_is_found_by_id_and_its_stage_has_to_agree(store, arn):
    version = store.get_secret_value(SecretId=NAME)["VersionId"]
    assert text(store, VersionId=version, VersionStage="AWSCURRENT") == "first"
    with refused("InvalidRequestException"):
        text(store, VersionId=version, VersionStage="AWSPREVIOUS")
    with refused("ResourceNotFoundException"):
        text(store, VersionId=str(uuid.uuid4()))
    with refused("ResourceNotFoundException", status=400):
        text(store, VersionStage="other")


def test_bytes_come_back_as_bytes(aws, store):
    aws.secrets.add("bin", b"\x00\xff", region="us-east-1")
    answer = store.get_secret_value(SecretId="bin")
    assert answer["SecretBinary"] == b"\x00\xff"
    assert "SecretString" not in answer


def test_what_is_not_there_is_not_found(store, arn):
    with refused("ResourceNotFoundException", status=400):
        text(store, SecretId="none")


def test_a_secret_lives_in_its_region(client, broker, arn):
    west = client("secretsmanager", broker, region="us-west-2")
    for name in (NAME, arn):
        with refused("ResourceNotFoundException"):
            text(west, SecretId=name)


def test_another_accounts_secret_needs_its_whole_arn(aws, store):
    arn = aws.secrets.add("theirs", "x", region="us-east-1", account="111122223333")
    with refused("ResourceNotFoundException"):
        text(store, SecretId="theirs")
    assert text(store, SecretId=arn) == "x"


def test_a_secret_marked_for_deletion_is_described_but_not_given(aws, store, arn):
    aws.secrets.delete(arn)
    with refused("InvalidRequestException") as caught:
        text(store)
    assert "marked for deletion" in str(caught.value)
    assert "DeletedDate" in store.describe_secret(SecretId=NAME)
    assert store.list_secrets()["SecretList"] == []
    aws.secrets.restore(arn)
    assert text(store) == "first"


@pytest.mark.parametrize(
    ("state", "code"), [("denied", "AccessDeniedException"), ("disabled", "DecryptionFailure")]
)
def test_a_key_that_cannot_be_used_gives_no_value(aws, store, arn, state, code):
    aws.secrets.set_kms(arn, state)
    with refused(code):
        text(store)
    store.describe_secret(SecretId=NAME)
    with refused("EncryptionFailure"):
        store.put_secret_value(SecretId=NAME, SecretString="next")


def test_a_batch_gives_what_it_can_and_names_the_rest(store, arn):
    answer = store.batch_get_secret_value(SecretIdList=[NAME, "none"])
    assert [one["SecretString"] for one in answer["SecretValues"]] == ["first"]
    told = [(one["SecretId"], one["ErrorCode"]) for one in answer["Errors"]]
    assert told == [("none", "ResourceNotFoundException")]
    with refused("InvalidParameterException"):
        store.batch_get_secret_value(SecretIdList=["a"] * 21)


def test_putting_twice_with_one_token_is_once_and_never_another_value(store, arn):
    token = str(uuid.uuid4())
    for _ in range(2):
        answer = store.put_secret_value(
            SecretId=NAME, SecretString="second", ClientRequestToken=token
        )
        assert answer["VersionId"] == token
    assert text(store, VersionStage="AWSPREVIOUS") == "first"
    with refused("ResourceExistsException"):
        store.put_secret_value(SecretId=NAME, SecretString="x", ClientRequestToken=token)
    assert text(store) == "second"


def test_a_put_under_another_stage_leaves_the_current_one(store, arn):
    store.put_secret_value(SecretId=NAME, SecretString="next", VersionStages=["AWSPENDING"])
    assert text(store) == "first"
    assert text(store, VersionStage="AWSPENDING") == "next"


def test_a_value_over_64_kib_is_refused(store, arn):
    with refused("InvalidParameterException"):
        store.put_secret_value(SecretId=NAME, SecretString="x" * 65537)


def test_the_list_has_pages_and_no_values(aws, store, arn):
    for name in ("a", "b"):
        aws.secrets.add(name, "value-" + name, region="us-east-1")
    pages = list(store.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 2}))
    assert [one["Name"] for page in pages for one in page["SecretList"]] == ["a", "b", NAME]
    assert "value-" not in str(pages)
