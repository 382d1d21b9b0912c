"""Read by ``mypy --strict`` in test_typing.py, never run: what users may and may not write.

Each ``type: ignore`` names the error that must be there; mypy reports one that is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import assert_type

from secretkit.broker.clock import SystemClock
from secretkit.core.credential import (
    AccessToken,
    ApiKey,
    AwsCredentials,
    Credential,
    Opaque,
    check_header_value,
    of_kind,
)
from secretkit.core.freshness import LeasePolicy, Verdict, Window, backoff, judge, window
from secretkit.core.lease import Lease
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, LeaseExpiredError, ProviderError, SecretkitError
from secretkit.ports import Clock, Fetched, Listable, Provider
from secretkit.testing.clock import FakeClock

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def secrets() -> None:
    secret = Secret("value")
    assert_type(secret, Secret)
    assert_type(secret.reveal(), str)
    assert_type(f"{secret}", str)
    Secret(b"value")  # type: ignore[arg-type]
    Secret()  # type: ignore[call-arg]
    len(secret)  # type: ignore[arg-type]
    bytes(secret)  # type: ignore[call-overload]
    secret + "text"  # type: ignore[operator]
    "text" + secret  # type: ignore[operator]
    ",".join([secret])  # type: ignore[list-item]  # noqa: FLY002 - join is under test
    secret[0]  # type: ignore[index]
    print(secret.value)  # type: ignore[attr-defined]
    for _ in secret:  # type: ignore[attr-defined]
        pass
    takes_text(secret)  # type: ignore[arg-type]


def takes_text(text: str) -> None: ...


def references() -> None:
    ref = SecretRef.parse("env:KEY")
    assert_type(ref, SecretRef)
    assert_type(ref.field, str | None)
    assert_type(sorted([ref, ref]), list[SecretRef])
    SecretRef("env", "KEY", version="1")
    SecretRef("env")  # type: ignore[call-arg]
    SecretRef.parse(None)  # type: ignore[arg-type]
    ref.path = "other"  # type: ignore[misc]


def credentials(some: Credential) -> str:
    assert_type(of_kind("opaque", Secret("x")), Credential)
    check_header_value(Secret("x"), what="an API key")
    check_header_value(Secret("x"), "an API key")  # type: ignore[call-arg]
    ApiKey("text")  # type: ignore[arg-type]
    Opaque("text")  # type: ignore[arg-type]
    AccessToken(Secret("x"), expires_at=NOW)
    AwsCredentials("id", "text")  # type: ignore[arg-type]
    ApiKey(Secret("x")).secret = Secret("y")  # type: ignore[misc]
    assert_type(some.secret, Secret)
    assert_type(some.expires_at, datetime | None)
    match some:  # every kind is named here, or mypy reports a missing return
        case ApiKey():
            return some.kind
        case AccessToken() | Opaque():
            return some.kind
        case AwsCredentials():
            assert_type(some.session_token, Secret | None)
            return some.access_key_id


def leases(lease: Lease) -> None:
    with lease as held:
        assert_type(held, Lease)
        assert_type(held.credential, Credential)
        assert_type(held.generation, int)
    lease.generation = 2  # type: ignore[misc]


async def leases_in_asyncio(lease: Lease) -> None:
    async with lease as held:
        assert_type(held, Lease)


def freshness() -> None:
    policy = LeasePolicy(ttl=timedelta(minutes=5))
    LeasePolicy(300)  # type: ignore[call-arg, arg-type]
    LeasePolicy(ttl=300)  # type: ignore[arg-type]
    placed = window(now=NOW, monotonic=0.0, expires_at=NOW, policy=policy, dice=0.5)
    assert_type(placed, Window)
    assert_type(judge(placed, 1.0), Verdict)
    assert_type(backoff(1, policy=policy, dice=0.5), float)


def errors() -> None:
    error = ProviderError("no answer", ref="env:KEY", retry_after=timedelta(seconds=5))
    assert_type(error.fresh(), ProviderError)
    assert_type(error.hint, str)
    assert_type(error.retryable, bool)
    assert_type(error.retry_after, timedelta | None)
    assert_type(LeaseExpiredError("over").ended_at, datetime | None)
    root: SecretkitError = ConfigError("bad", file="secretkit.toml")
    assert_type(root.fresh(), SecretkitError)
    ConfigError("bad", "a hint")  # type: ignore[call-arg]


def ports() -> None:
    clocks: list[Clock] = [SystemClock(), FakeClock()]
    assert_type(clocks[0].now(), datetime)
    assert_type(clocks[0].monotonic, Callable[[], float])
    provider: Provider = OneValue()
    assert_type(provider.fetch(SecretRef("own", "a"), timeout=timedelta(seconds=1)), Fetched)
    Fetched(secret="text")  # type: ignore[arg-type]
    listable: Listable = OneValue()  # type: ignore[assignment]
    del listable


class OneValue:
    """A provider needs this method and nothing else, no base class either."""

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        return Fetched(secret=Secret("value"))
