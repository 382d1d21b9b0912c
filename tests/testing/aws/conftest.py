"""A stand-in, and real botocore clients of it that read nothing of the environment."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from secretkit.testing import FakeClock
from secretkit.testing.aws import ACCOUNT, AwsStub

REGIONS = ("us-east-1", "us-west-2")
BROKER = f"arn:aws:iam::{ACCOUNT}:user/broker"
READER = f"arn:aws:iam::{ACCOUNT}:role/team/reader"


@pytest.fixture
def clock():
    """The stand-in's clock; botocore reads the real one, so it starts there."""
    return FakeClock(datetime.now(UTC))  # noqa: TID251 - the moment botocore signs with


@pytest.fixture
def aws(clock):
    with AwsStub(clock=clock, regions=REGIONS) as stub:
        yield stub


@pytest.fixture
def broker(aws):
    """A user's key pair."""
    return aws.accounts.add_user("broker")


@pytest.fixture
def client(aws):
    """Make a client: ``client("sts", credentials)``."""
    with ExitStack() as stack:

        def make(service, credentials=None, *, region="us-east-1", **settings):
            given = {
                "aws_access_key_id": None,
                "aws_secret_access_key": None,
                "aws_session_token": None,
            }
            config = {
                "ignore_configured_endpoint_urls": True,
                "proxies": {},
                "connect_timeout": 2,
                "read_timeout": 2,
                "retries": {"total_max_attempts": 1},
            } | settings
            if credentials is None:
                from botocore import UNSIGNED

                config["signature_version"] = UNSIGNED
            else:
                token = credentials.session_token
                given = {
                    "aws_access_key_id": credentials.access_key_id,
                    "aws_secret_access_key": credentials.secret.reveal(),
                    "aws_session_token": None if token is None else token.reveal(),
                }
            made = boto3.session.Session(region_name=region).client(
                service,
                endpoint_url=aws.url(region),
                config=Config(**config),
                **given,
            )
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def session(aws):
    """Begin a session of a role that nobody may assume: ``session(timedelta(...))``."""
    from secretkit.testing.aws import Trust

    role = aws.accounts.add_role(READER, trust=Trust())

    def begin(duration=timedelta(minutes=15)):
        return aws.accounts.start_session(role, name="test", duration=duration).credentials

    return begin
