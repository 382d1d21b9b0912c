import pytest

from broker.world import World


@pytest.fixture
def world():
    made = World()
    yield made
    made.source.gate.set()
    made.broker.close()
