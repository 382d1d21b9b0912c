"""The aws-secrets-manager provider keeps the contract, over the strict stand-in and over moto."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest

from providers.aws.motoed import PAIR, client, moto_server
from providers.aws.world import document
from secretkit.core.credential import AwsCredentials
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.providers.aws.secretsmanager import SecretsManagerProvider
from secretkit.testing.aws import AwsStub, Fault
from secretkit.testing.context import provider_context
from secretkit.testing.contract import ProviderContract
from secretkit.testing.memory import MemoryProvider

REGION = "us-east-1"


def opened(url: str, pair: AwsCredentials) -> SecretsManagerProvider:
    store = MemoryProvider()
    store.set("pair", document(pair))
    options = {"region": REGION, "endpoint": url, "sts_endpoint": url, "source": "memory:pair"}
    return SecretsManagerProvider.open(options, provider_context(providers={"memory": store}))


class TestSecretsManager(ProviderContract):
    @pytest.fixture(autouse=True)
    def _place(self) -> Iterator[None]:
        with AwsStub() as self.aws:
            self.base = self.aws.accounts.add_user("reader")
            yield

    def make_provider(self) -> SecretsManagerProvider:
        return opened(self.aws.url(), self.base)

    def put(self, name: str, value: str) -> None:
        self.aws.secrets.add(name, value, region=REGION)

    def ref(self, name: str) -> SecretRef:
        return SecretRef("prod", name)

    def malformed(self) -> Sequence[SecretRef]:
        arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf"
        return (SecretRef("prod", arn), SecretRef("prod", "arn:aws:s3:::bucket"))

    @contextmanager
    def stalled(self, name: str) -> Iterator[None]:
        self.aws.faults.add(Fault(action="secretsmanager:*", hang=timedelta(seconds=20), times=0))
        yield


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


class TestOverMoto(ProviderContract):
    """moto signs and checks nothing, and has versions and stages of its own making."""

    @pytest.fixture(autouse=True)
    def _place(self, moto_url: str) -> Iterator[None]:
        self.url = moto_url
        self.names: set[str] = set()
        with client("secretsmanager", moto_url) as self.client:
            yield
            for name in self.names:
                self.client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    def make_provider(self) -> SecretsManagerProvider:
        return opened(self.url, PAIR)

    def put(self, name: str, value: str) -> None:
        if name in self.names:
            self.client.put_secret_value(SecretId=name, SecretString=value)
        else:
            self.names.add(name)
            self.client.create_secret(Name=name, SecretString=value)

    def ref(self, name: str) -> SecretRef:
        return SecretRef("prod", name)

    def test_boto3_reads_the_same(self) -> None:
        self.put("both", json.dumps({"a": "b"}))
        theirs = self.client.get_secret_value(SecretId="both")
        ours = self.make_provider().fetch(self.ref("both"), timeout=self.timeout)
        assert ours.secret == Secret(theirs["SecretString"])
        assert ours.version == theirs["VersionId"]
