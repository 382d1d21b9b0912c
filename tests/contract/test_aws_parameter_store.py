"""The aws-parameter-store provider keeps the contract, over the strict stand-in and over moto."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest

from providers.aws.motoed import PAIR, client, moto_server
from providers.aws.world import document
from secretkit.core.credential import AwsCredentials
from secretkit.core.ref import SecretRef
from secretkit.providers.aws.parameter import ParameterStoreProvider
from secretkit.testing.aws import AwsStub, Fault
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract
from secretkit.testing.memory import MemoryProvider

REGION = "us-east-1"


def opened(url: str, pair: AwsCredentials) -> ParameterStoreProvider:
    store = MemoryProvider()
    store.set("pair", document(pair))
    options = {"region": REGION, "endpoint": url, "sts_endpoint": url, "source": "memory:pair"}
    return ParameterStoreProvider.open(options, provider_context(providers={"memory": store}))


class TestParameterStore(ProviderContract):
    unsupported = ("long",)  # 32,000 characters; an advanced parameter holds 8 KiB

    @pytest.fixture(autouse=True)
    def _place(self) -> Iterator[None]:
        with AwsStub() as self.aws:
            self.base = self.aws.accounts.add_user("reader")
            yield

    def make_provider(self) -> ParameterStoreProvider:
        return opened(self.aws.url(), self.base)

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


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


class TestOverMoto(ProviderContract):
    # moto holds 32,000 characters, which the real store and the strict stand-in refuse.

    @pytest.fixture(autouse=True)
    def _place(self, moto_url: str) -> Iterator[None]:
        self.url = moto_url
        self.names: set[str] = set()
        with client("ssm", moto_url) as self.client:
            yield
            if self.names:
                self.client.delete_parameters(Names=sorted(self.names))

    def make_provider(self) -> ParameterStoreProvider:
        return opened(self.url, PAIR)

    def put(self, name: str, value: str) -> None:
        self.names.add(f"/app/{name}")
        self.client.put_parameter(
            Name=f"/app/{name}", Value=value, Type="SecureString", Overwrite=True
        )

    def ref(self, name: str) -> SecretRef:
        return SecretRef("params", f"/app/{name}")
