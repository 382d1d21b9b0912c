"""STS as moto writes it: its XML is AWS's own example."""

from __future__ import annotations

from datetime import timedelta

from providers.aws.motoed import PAIR, REGION, moto_server
from providers.aws.world import READER, TIMEOUT, document
from secretkit.core.credential import AwsCredentials
from secretkit.providers.aws.source import open_source
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider


def test_a_role_is_assumed_and_named() -> None:
    store = MemoryProvider()
    store.set("pair", document(PAIR))
    with moto_server() as url:
        table = {"region": REGION, "endpoint": url, "source": "memory:pair"}
        role = {"role_arn": READER, "duration": "20m", "tags": {"team": "a b&c"}}
        context = provider_context(providers={"memory": store})
        source = open_source({**table, "assume_role": role}, ref="aws:x", context=context)
        found = source.acquire(timeout=TIMEOUT, refused=lambda _: False).credential
        assert isinstance(found, AwsCredentials)
        assert found.expires_at is not None
        life = found.expires_at - context.clock.now()
        assert timedelta(minutes=19) < life <= timedelta(minutes=20)
        assert "assumed-role/reader/secretkit" in source.probe(timeout=TIMEOUT).identity
