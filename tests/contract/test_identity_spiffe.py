"""A JWT-SVID keeps the contract of identities."""

from contextlib import contextmanager

import pytest

from secretkit.identity import open_identity
from secretkit.testing.context import provider_context
from secretkit.testing.contract_identity import IdentityContract
from secretkit.testing.workload import WorkloadStub


class TestSpiffe(IdentityContract):
    @pytest.fixture(autouse=True)
    def _agent(self, tmp_path_factory):
        with WorkloadStub(tmp_path_factory.mktemp("w") / "a.sock") as self.agent:
            self.agent.register("spiffe://example.org/broker")
            yield

    def make_identity(self, audience):
        table = {"type": "spiffe", "socket": self.agent.url}
        return open_identity(table, audience=audience, context=provider_context())

    def give(self, token):
        self.agent.answer(token)

    def asked(self):
        return len(self.agent.calls)

    def stalled(self):
        return self.agent.stalled()

    @contextmanager
    def gone(self):
        self.agent.__exit__()
        yield
