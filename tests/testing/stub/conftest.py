import sys
from pathlib import Path

import pytest

from secretkit.testing import ClaudeStub

sys.path.insert(0, str(Path(__file__).parent))

from stubwire import KEY


@pytest.fixture
def stub(fake_clock):
    with ClaudeStub(clock=fake_clock) as made:
        made.keys.accept(KEY, label="a")
        yield made
