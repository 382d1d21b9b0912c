"""The bare clients of sources and ours over the same servers, as subjects to be timed."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks import peers
from benchmarks.measure import Subject
from secretkit.broker.clock import SystemClock
from secretkit.config.schema import Config, CredentialConfig, ProviderConfig
from secretkit.core.ref import SecretRef
from secretkit.identity import open_identity
from secretkit.providers.aws import source as aws
from secretkit.providers.aws.secretsmanager import SecretsManagerProvider
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.bao import Bao, find_bao
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider
from secretkit.wiring import Toolkit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from secretkit.core.secret import Secret
    from secretkit.ports import IdentitySource, Provider, ProviderContext

    Compared = tuple[str, str, list[Subject]]

REGION: Final = "us-west-2"
ROLE: Final = "arn:aws:iam::123456789012:role/benchmark"
SECRET: Final = "app/key"
_ENOUGH: Final = timedelta(seconds=10)
_AUDIENCE: Final = "https://api.anthropic.com"


def compared(
    folder: Path, served: tuple[str, str, Secret, str], stack: contextlib.ExitStack
) -> Iterator[Compared]:
    """Give each comparison: the bare client first, then ours."""
    if find_bao():
        bao = stack.enter_context(Bao.dev(folder))
        bao.write("secret/data/app", data={"key": "a-value-of-usual-length"})
        yield from _vault(bao)
    url, key_id, secret, socket = served
    pair = {"AccessKeyId": key_id, "SecretAccessKey": secret.reveal()}
    yield from _sts(url, pair)
    yield from _secrets_manager(url, pair, stack)
    yield from _spiffe(socket, stack)


def _vault(bao: Bao) -> Iterator[Compared]:
    import hvac

    context = _context({"token": bao.root.reveal()})
    table = {"address": bao.url, "auth": {"method": "token", "token": "memory:token"}}
    ref = SecretRef("vault", "secret/app", field="key")

    def bare() -> Any:
        return hvac.Client(url=bao.url, token=bao.root.reveal()).secrets.kv.v2

    def read(store: Any) -> str:
        answer = store.read_secret_version("app", raise_on_deleted_version=True)
        value: str = answer["data"]["data"]["key"]
        return value

    def opened() -> VaultProvider:
        return VaultProvider.open(table, context)

    yield from _pairs(
        "Vault KV on OpenBao", ("hvac", bare, read), (opened, lambda one: _fetched(one, ref))
    )


def _sts(url: str, pair: Mapping[str, str]) -> Iterator[Compared]:
    context = _context({"pair": json.dumps(pair)})
    role = {"role_arn": ROLE, "session_name": "benchmark"}
    options = {
        "source": "memory:pair",
        "endpoint": url,
        "region": REGION,
        "assume_role": role,
    }

    def bare() -> Any:
        return _boto("sts", url, pair)

    def assume(client: Any) -> Any:
        return client.assume_role(RoleArn=ROLE, RoleSessionName="benchmark", DurationSeconds=900)

    def opened() -> aws.AwsSource:
        return aws.open_source(options, ref="aws:benchmark", context=context)

    yield from _pairs("STS AssumeRole", ("boto3", bare, assume), (opened, _acquired))


def _secrets_manager(
    url: str, pair: Mapping[str, str], stack: contextlib.ExitStack
) -> Iterator[Compared]:
    context = _context({"pair": json.dumps(pair)})
    options = {"source": "memory:pair", "endpoint": url, "region": REGION}
    ref = SecretRef("prod", SECRET)

    def bare() -> Any:
        return _boto("secretsmanager", url, pair)

    def read(client: Any) -> Any:
        return client.get_secret_value(SecretId=SECRET)["SecretString"]

    def opened() -> SecretsManagerProvider:
        return SecretsManagerProvider.open(options, context)

    ours = (opened, lambda one: _fetched(one, ref))
    yield from _pairs("Secrets Manager", ("boto3", bare, read), ours)
    if peers.version("aws-secretsmanager-caching") is None:
        return
    from aws_secretsmanager_caching import SecretCache  # type: ignore[import-untyped]

    cache = SecretCache(client=bare())
    cache.get_secret_string(SECRET)
    toolkit = stack.enter_context(_toolkit(options, pair))
    broker = toolkit.broker()
    broker.lease("app")
    names = {"cache": cache, "broker": broker}
    yield (
        "Secrets Manager",
        "in hand",
        [
            Subject("aws-secretsmanager-caching", f"cache.get_secret_string({SECRET!r})", names),
            Subject("secretkit", "broker.lease('app')", names),
        ],
    )


def _toolkit(options: Mapping[str, object], pair: Mapping[str, str]) -> Toolkit:
    """Give what the configuration of one secret makes."""
    memory = MemoryProvider(clock=SystemClock())
    memory.set("pair", json.dumps(pair))
    config = Config(
        providers={"prod": ProviderConfig(type="aws-secrets-manager", options=options)},
        credentials={
            "app": CredentialConfig(name="app", kind="opaque", sources=(SecretRef("prod", SECRET),))
        },
    )
    return Toolkit(config, environ={}, providers={"memory": memory})


def _boto(service: str, url: str, pair: Mapping[str, str]) -> Any:
    import boto3

    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=pair["AccessKeyId"],
        aws_secret_access_key=pair["SecretAccessKey"],
    )


def _spiffe(socket: str, stack: contextlib.ExitStack) -> Iterator[Compared]:
    import spiffe

    table = {"type": "spiffe", "socket": socket}
    context = _context({})

    def bare() -> Any:
        return spiffe.WorkloadApiClient(socket)

    def ask(client: Any) -> Any:
        return client.fetch_jwt_svid({_AUDIENCE})

    def ask_once(client: Any) -> Any:
        with contextlib.closing(client):
            return ask(client)

    def opened() -> IdentitySource:
        return open_identity(table, audience=_AUDIENCE, context=context)

    kept = stack.enter_context(contextlib.closing(bare()))
    yield from _pairs("a JWT-SVID", ("spiffe", lambda: kept, ask), (opened, _asserted), "warm")
    yield from _pairs("a JWT-SVID", ("spiffe", bare, ask_once), (opened, _asserted), "cold")


def _pairs(
    what: str,
    bare: tuple[str, Callable[[], Any], Callable[[Any], Any]],
    ours: tuple[Callable[[], Any], Callable[[Any], Any]],
    *states: str,
) -> Iterator[Compared]:
    """Compare what was made once (warm), and what is made anew for each call (cold)."""
    name, make, use = bare
    opened, fetch = ours
    for state in states or ("warm", "cold"):
        call = "use(made)" if state == "warm" else "use(make())"
        pairs = [(name, make, use), ("secretkit", opened, fetch)]
        subjects = [
            Subject(
                one,
                call,
                {"use": used, "make": maker} | ({"made": maker()} if state == "warm" else {}),
            )
            for one, maker, used in pairs
        ]
        yield what, state, subjects


def _asserted(identity: IdentitySource) -> object:
    return identity.assertion(timeout=_ENOUGH)


def _fetched(provider: Provider, ref: SecretRef) -> object:
    return provider.fetch(ref, timeout=_ENOUGH)


def _acquired(source: aws.AwsSource) -> object:
    return source.acquire(timeout=_ENOUGH, refused=lambda _: False)


def _context(values: Mapping[str, str]) -> ProviderContext:
    memory = MemoryProvider(clock=SystemClock())
    for name, value in values.items():
        memory.set(name, value)
    return provider_context(providers={"memory": memory})
