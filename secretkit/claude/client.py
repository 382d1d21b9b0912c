"""Connect: ordinary anthropic clients whose every request carries the current credential."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import anthropic
import httpx2

from secretkit.broker.blocking import Broker
from secretkit.claude.auth import CREDENTIAL_HEADERS, Header, RotatingAuth
from secretkit.claude.network import AsyncPinnedClient, PinnedClient, transport_options
from secretkit.claude.origin import checked_base_url
from secretkit.claude.transport import AsyncSealedTransport, SealedTransport
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from secretkit.broker.aio import AsyncBroker

__all__ = ["async_client_arguments", "client_arguments", "connect", "connect_async"]

PLACEHOLDER: Final = "secretkit-adds-the-key-on-the-wire"
_CARRIERS: Final = frozenset(
    {"api_key", "auth_token", "credentials", "config", "profile", "http_client", "_token_cache"}
)
_TRUST: Final = frozenset({"trust_env", "verify", "cert"})


class _Anthropic(anthropic.Anthropic):
    """anthropic.Anthropic without the extra headers it takes from the environment."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own options
        super().__init__(**options)
        _drop_environment(self, options)

    def copy(self, **options: Any) -> Self:  # noqa: ANN401 - the SDK's own options
        """Give a client with other options and the same credential.

        Raises:
            TypeError: for an option that would carry a key past the broker.
        """
        _refuse_keys(options)
        return super().copy(**options)

    with_options = copy


class _AsyncAnthropic(anthropic.AsyncAnthropic):
    """The same for asyncio."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own options
        super().__init__(**options)
        _drop_environment(self, options)

    def copy(self, **options: Any) -> Self:  # noqa: ANN401 - the SDK's own options
        """Give a client with other options and the same credential.

        Raises:
            TypeError: for an option that would carry a key past the broker.
        """
        _refuse_keys(options)
        return super().copy(**options)

    with_options = copy


def _drop_environment(
    client: anthropic.Anthropic | anthropic.AsyncAnthropic, options: Mapping[str, Any]
) -> None:
    # ANTHROPIC_CUSTOM_HEADERS and ANTHROPIC_WEBHOOK_SIGNING_KEY are read whatever is passed, and
    # again in every with_options(); the SDK has no option against it.
    client._custom_headers = dict(options.get("default_headers") or {})  # noqa: SLF001
    client.webhook_key = options.get("webhook_key")


def connect(  # noqa: PLR0913 - each of them a setting of the connection, by keyword
    name: str = "claude",
    *,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    timeout: timedelta | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
    **client_options: Any,  # noqa: ANN401 - the SDK's own options
) -> anthropic.Anthropic:
    """Give a client that carries the current credential of ``name``, for as long as it lives.

    Thread-safe; ``with_options()`` keeps the credential and refuses another. The SDK's timeouts,
    limits and retries stay, and ``client_options`` are its own (``max_retries``,
    ``default_headers``, …). Nothing is taken from the environment: not a key, a header, a base URL,
    a proxy or a certificate; name a ``proxy`` or a ``ca_bundle`` here. Redirects are not followed;
    of a request's httpx2 extensions only ``timeout`` is kept. Without ``broker`` the
    configuration's is opened, and closed with the client.

    Raises:
        ConfigError: for a credential, URL, proxy or certificate file that cannot be used.
        TypeError: for an option that would carry a key past the broker.
    """
    _refuse_keys(client_options)
    client_options |= _timeout(timeout)
    arguments = client_arguments(
        name, broker=broker, base_url=base_url, proxy=proxy, ca_bundle=ca_bundle, header=header
    )
    try:
        return _Anthropic(**arguments, **client_options)
    except BaseException:
        arguments["http_client"].close()
        raise


def connect_async(  # noqa: PLR0913 - as connect
    name: str = "claude",
    *,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    timeout: timedelta | None = None,  # the client's own, not this call's
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
    **client_options: Any,  # noqa: ANN401 - the SDK's own options
) -> anthropic.AsyncAnthropic:
    """Give an asyncio client that carries the current credential; see :func:`connect`."""
    _refuse_keys(client_options)
    client_options |= _timeout(timeout)
    arguments = async_client_arguments(
        name, broker=broker, base_url=base_url, proxy=proxy, ca_bundle=ca_bundle, header=header
    )
    try:
        return _AsyncAnthropic(**arguments, **client_options)
    except BaseException:
        arguments["http_client"].abandon()
        raise


def client_arguments(  # noqa: PLR0913 - as connect
    name: str = "claude",
    *,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
) -> dict[str, Any]:
    """Give what makes your own client carry the credential: ``Anthropic(**client_arguments(…))``.

    They are ``api_key`` (a placeholder), ``base_url`` and ``http_client``. A client you build adds
    the headers of ANTHROPIC_CUSTOM_HEADERS, but none of them can be a credential. Raises like
    :func:`connect`.
    """
    url = checked_base_url(base_url)
    options = transport_options(base_url=url, proxy=proxy, ca_bundle=ca_bundle)
    with ExitStack() as undo:
        known, on_close = _broker_for(name, broker, undo=undo)
        auth = RotatingAuth(name, broker=known, base_url=url, header=header)
        transport = SealedTransport(httpx2.HTTPTransport(**options), auth=auth, on_close=on_close)
        undo.pop_all()
    return {"api_key": PLACEHOLDER, "base_url": url, "http_client": PinnedClient(transport)}


def async_client_arguments(  # noqa: PLR0913 - as connect
    name: str = "claude",
    *,
    broker: Broker | AsyncBroker | None = None,
    base_url: str | httpx2.URL | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
    header: Header = "authorization",
) -> dict[str, Any]:
    """Give the same for ``AsyncAnthropic(**async_client_arguments(…))``."""
    url = checked_base_url(base_url)
    options = transport_options(base_url=url, proxy=proxy, ca_bundle=ca_bundle)
    with ExitStack() as undo:
        known, on_close = _broker_for(name, broker, undo=undo)
        auth = RotatingAuth(name, broker=known, base_url=url, header=header)
        inner = httpx2.AsyncHTTPTransport(**options)
        transport = AsyncSealedTransport(inner, auth=auth, on_close=on_close)
        undo.pop_all()
    return {"api_key": PLACEHOLDER, "base_url": url, "http_client": AsyncPinnedClient(transport)}


def _broker_for(
    name: str, broker: Broker | AsyncBroker | None, *, undo: ExitStack
) -> tuple[Broker | AsyncBroker, Callable[[], None] | None]:
    """Give the broker, and what ends it with the client: a given broker is not ours to end."""
    if broker is None:
        own = undo.enter_context(Broker.from_config())
        _check_name(name, own)
        return own, own.close
    _check_name(name, broker)
    return broker, None


def _check_name(name: str, broker: Broker | AsyncBroker) -> None:
    names = broker.names()
    if name not in names:
        raise ConfigError(
            f"there is no credential {name!r}",
            hint=f"use one of {', '.join(names)}" if names else f"add [credentials.{name}]",
        )


def _timeout(timeout: timedelta | None) -> dict[str, float]:
    if timeout is None:
        return {}
    if not isinstance(timeout, timedelta):
        raise TypeError(
            f"timeout= is a datetime.timedelta, not {type(timeout).__name__}; "
            "write timedelta(seconds=30)"
        )
    return {"timeout": timeout.total_seconds()}


def _refuse_keys(options: Mapping[str, Any]) -> None:
    carriers = sorted(_CARRIERS & (options.keys() | (options.get("_extra_kwargs") or {}).keys()))
    if carriers:
        raise TypeError(
            f"{carriers[0]}= would carry a key past the broker; connect() takes the credential's "
            "name, and secretkit.claude.client_arguments() plugs it into a client of your own"
        )
    if _TRUST & options.keys():
        raise TypeError("connect() trusts nothing from the environment; use proxy= or ca_bundle=")
    headers = [*(options.get("default_headers") or {}), *(options.get("set_default_headers") or {})]
    found = sorted(one for one in headers if one.lower() in CREDENTIAL_HEADERS)
    if found:
        raise TypeError(f"the default header {found[0]!r} would carry a key past the broker")
