"""A world with a stand-in for AWS."""

from collections.abc import Iterator

import pytest

from providers.aws.world import BROKER, READER, REGION, SECOND, World, document
from secretkit.testing import FakeClock
from secretkit.testing.aws import AwsStub, Trust


@pytest.fixture
def world() -> Iterator[World]:
    clock = FakeClock()
    with AwsStub(clock=clock, regions=(REGION, "us-west-2")) as aws:
        base = aws.accounts.add_user("broker")
        aws.accounts.add_role(READER, trust=Trust(principals=(BROKER,)))
        aws.accounts.add_role(SECOND, trust=Trust(principals=(READER,)))
        made = World(aws=aws, clock=clock, base=base)
        made.store.set("pair", document(base))
        yield made
