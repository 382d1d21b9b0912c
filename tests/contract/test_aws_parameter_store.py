"""The aws-parameter-store provider keeps the contract, over the strict stand-in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest

from providers.aws.world import document
from secretkit.core.ref import SecretRef
from secretkit.providers.aws.parameter import ParameterStoreProvider
from secretkit.testing.aws import AwsStub, Fault
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract
from secretkit.testing.memory import MemoryProvider

REGION = "us-east-1"


class TestParameterStore(ProviderContract):
    unsupported = ("long",)  # 32,000 characters; an advanced parameter holds 8 KiB

    @pytest.fixture(autouse=True)
    def _place(self) -> Iterator[None]:
        with AwsStub() as self.aws:
            self.base = self.aws.accounts.add_user("reader")
            yield

    def make_provider(self) -> ParameterStoreProvider:
        store = MemoryProvider()
        store.set("pair", document(self.base))
        url = self.aws.url()
        options = {"region": REGION, "endpoint": url, "sts_endpoint": url, "source": "memory:pair"}
        return ParameterStoreProvider.open(options, provider_context(providers={"memory": store}))

    def put(self, name: str, value: str) -> None:
        self.aws.parameters.add(f"/app/{name}", value, region=REGION)

    def ref(self, name: str) -> SecretRef:
        return SecretRef("params", f"/app/{name}")

    def malformed(self) -> Sequence[SecretRef]:
        arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/x"
        return (
            SecretRef("params", arn),
            SecretRef("params", "/app/x:3"),
            SecretRef("params", "/app/"),
            SecretRef("params", "/app/x", version="two words"),
        )

    @contextmanager
    def stalled(self, name: str) -> Iterator[None]:
        self.aws.faults.add(Fault(action="ssm:*", hang=timedelta(seconds=20), times=0))
        yield
