"""Peers: other libraries' credential caches over the same stand-in upstream.

Each is used as its own documentation says, with its own defaults, and nothing of it is patched.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Self

from benchmarks.measure import Subject
from benchmarks.upstream import LONG
from benchmarks.world import fake_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.upstream import Upstream


@dataclass(frozen=True)
class Peer:
    """Another library's cache: what it is called, what must be installed, how it is made."""

    name: str
    distribution: str
    make: Callable[[Upstream], Subject]

    @property
    def installed(self) -> bool:
        """Whether its distribution is there."""
        return version(self.distribution) is not None


def version(distribution: str) -> str | None:
    """Give an installed distribution's version, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def silence() -> None:
    """Send log records nowhere, at the levels that Python has by default.

    Switching logging off would flatter the libraries that log at each call.
    """
    logging.basicConfig(handlers=[logging.NullHandler()])


def _token_cache(upstream: Upstream) -> Any:
    from anthropic.lib.credentials import AccessToken
    from anthropic.lib.credentials._cache import TokenCache

    def provider(*, force_refresh: bool = False) -> AccessToken:  # noqa: ARG001 - the SDK's
        return AccessToken(token=fake_key().reveal(), expires_at=int(upstream.fetch()))

    return TokenCache(provider)


def _anthropic(upstream: Upstream) -> Subject:
    cache = _token_cache(upstream)
    cache.get_token()
    return Subject("anthropic TokenCache", "cache.get_token()", {"cache": cache})


def _anthropic_async(upstream: Upstream) -> Subject:
    from anthropic.lib.credentials import AccessToken
    from anthropic.lib.credentials._cache import TokenCache

    async def provider(*, force_refresh: bool = False) -> AccessToken:  # noqa: ARG001 - the SDK's
        return AccessToken(token=fake_key().reveal(), expires_at=int(await upstream.fetch_async()))

    cache = TokenCache(provider)
    asyncio.run(cache.async_get_token())
    return Subject(
        "anthropic TokenCache, async provider",
        "cache.async_get_token()",
        {"cache": cache},
        coroutine=True,
    )


def _anthropic_hop(upstream: Upstream) -> Subject:
    cache = _token_cache(upstream)
    cache.get_token()
    return Subject(
        "anthropic TokenCache, sync provider",
        "cache.async_get_token()",
        {"cache": cache},
        coroutine=True,
    )


def _botocore(upstream: Upstream) -> Subject:
    from botocore.credentials import (  # type: ignore[import-untyped]
        RefreshableCredentials,
    )

    def refresh() -> dict[str, str]:
        return {
            "access_key": "AKIA" + "X" * 16,
            "secret_key": fake_key().reveal(),
            "token": "token",
            "expiry_time": upstream.fetch_date().isoformat(),
        }

    credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "stand-in")
    return Subject(
        "botocore get_frozen_credentials",
        "credentials.get_frozen_credentials()",
        {"credentials": credentials},
    )


def _google_credentials(upstream: Upstream) -> Any:
    from google.auth.credentials import Credentials

    class StandInCredentials(Credentials):
        def refresh(self, request: object) -> None:  # noqa: ARG002 - the library's
            self.expiry = upstream.fetch_date().replace(tzinfo=None)
            self.token = fake_key().reveal()

    credentials: Any = StandInCredentials()  # type: ignore[no-untyped-call]
    credentials.refresh(None)
    return credentials


def _google_valid(upstream: Upstream) -> Subject:
    credentials = _google_credentials(upstream)
    return Subject("google-auth valid", "credentials.valid", {"credentials": credentials})


def _google_before(upstream: Upstream) -> Subject:
    credentials = _google_credentials(upstream)
    return Subject(
        "google-auth before_request",
        "credentials.before_request(None, 'GET', 'https://example.com', {})",
        {"credentials": credentials},
    )


def _aws_caching(upstream: Upstream) -> Subject:
    from aws_secretsmanager_caching import (  # type: ignore[import-untyped]
        SecretCache,
        SecretCacheConfig,
    )

    config = SecretCacheConfig(secret_refresh_interval=int(upstream.life))

    class Client:
        def describe_secret(self, SecretId: str) -> dict[str, object]:  # noqa: ARG002, N803 - AWS's
            number = upstream.calls
            upstream.fetch()
            return {"VersionIdsToStages": {f"v{number}": ["AWSCURRENT"]}}

        def get_secret_value(self, SecretId: str, VersionId: str) -> dict[str, object]:  # noqa: ARG002, N803 - AWS's
            return {"SecretString": fake_key().reveal(), "VersionId": VersionId}

    cache = SecretCache(config=config, client=Client())
    cache.get_secret_string("claude")
    cache._config.secret_refresh_interval = int(LONG)  # the copy it keeps: from now on, an hour
    return Subject(
        "aws-secretsmanager-caching", "cache.get_secret_string('claude')", {"cache": cache}
    )


class _AzureAnswer:
    """The part of azure-core's HttpResponse that its pipeline reads."""

    status_code = 200
    reason = "OK"
    content_type = "application/json"
    block_size = 4096
    internal_response = None

    def __init__(self, request: object, body: dict[str, object]) -> None:
        self.request = request
        self.headers = {"content-type": self.content_type}
        self.context: dict[str, object] = {}
        self._body = json.dumps(body)

    def body(self) -> bytes:
        return self._body.encode()

    def text(self, encoding: str | None = None) -> str:  # noqa: ARG002 - azure-core's
        return self._body


class _AzureTransport:
    """An azure-core transport that answers by itself: discovery documents and tokens."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def open(self) -> None: ...

    def close(self) -> None: ...

    def send(self, request: Any, **_: object) -> _AzureAnswer:
        if "openid-configuration" in request.url:
            login = "https://login.microsoftonline.com/tenant"
            return _AzureAnswer(
                request,
                {
                    "token_endpoint": f"{login}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{login}/oauth2/v2.0/authorize",
                    "issuer": f"{login}/v2.0",
                },
            )
        life = int(self._upstream.life)
        self._upstream.fetch()
        body = {"access_token": fake_key().reveal(), "expires_in": life, "token_type": "Bearer"}
        return _AzureAnswer(request, body)


def _azure(upstream: Upstream) -> Subject:
    from azure.identity import ClientSecretCredential

    credential = ClientSecretCredential(
        "tenant",
        "client",
        fake_key().reveal(),
        transport=_AzureTransport(upstream),
        disable_instance_discovery=True,
    )
    scope = "https://example.com/.default"
    credential.get_token(scope)
    return Subject(
        "azure-identity get_token",
        f"credential.get_token({scope!r})",
        {"credential": credential},
        close=credential.close,
    )


BLOCKING: Final[Sequence[Peer]] = (
    Peer("anthropic TokenCache", "anthropic", _anthropic),
    Peer("google-auth valid", "google-auth", _google_valid),
    Peer("google-auth before_request", "google-auth", _google_before),
    Peer("botocore get_frozen_credentials", "botocore", _botocore),
    Peer("aws-secretsmanager-caching", "aws-secretsmanager-caching", _aws_caching),
    Peer("azure-identity get_token", "azure-identity", _azure),
)
ASYNCIO: Final[Sequence[Peer]] = (
    Peer("anthropic TokenCache, async provider", "anthropic", _anthropic_async),
    Peer("anthropic TokenCache, sync provider", "anthropic", _anthropic_hop),
)
MEASURED: Final = (
    "anthropic",
    "botocore",
    "google-auth",
    "azure-identity",
    "msal",
    "aws-secretsmanager-caching",
)
