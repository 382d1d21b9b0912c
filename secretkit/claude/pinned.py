"""Pinned: keeps a client to the broker's credential, whatever it or the environment is given."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from secretkit.broker.blocking import Broker
from secretkit.claude.sealing import CREDENTIAL_HEADERS
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    from secretkit.broker.aio import AsyncBroker
    from secretkit.core.target import Target

__all__ = ["PLACEHOLDER", "Pinned", "broker_for", "refuse_keys", "seconds_of", "target_of"]

PLACEHOLDER: Final = "secretkit-adds-the-key-on-the-wire"
_CARRIERS: Final = frozenset(
    {"api_key", "auth_token", "credentials", "config", "profile", "http_client", "_token_cache"}
    | {"aws_access_key", "aws_secret_key", "aws_session_token", "aws_profile", "skip_auth"}
)
_AMAZON: Final = frozenset({"bedrock", "bedrock-mantle", "claude-on-aws"})
_TRUST: Final = frozenset({"trust_env", "verify", "cert"})


class Pinned:
    """What our clients add to the SDK's: no headers of the environment, no credential but ours."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own options
        sdk: Any = super()
        sdk.__init__(**options)
        # ANTHROPIC_CUSTOM_HEADERS and ANTHROPIC_WEBHOOK_SIGNING_KEY are read whatever is passed,
        # and again in every with_options(); the SDK has no option against it.
        self._custom_headers: Mapping[str, str] = dict(options.get("default_headers") or {})
        self.webhook_key = options.get("webhook_key")

    def copy(self, **options: Any) -> Self:  # noqa: ANN401 - the SDK's own options
        """Give a client with other options and the same credential.

        Raises:
            TypeError: for an option that would carry a key past the broker, or for a region.
        """
        refuse_keys(options)
        sdk: Any = super()
        copied: Self = sdk.copy(**options)
        return copied

    with_options = copy


def refuse_keys(options: Mapping[str, Any]) -> None:
    """Refuse what would carry a key past the broker, or change what is trusted.

    Raises:
        TypeError: naming the option.
    """
    given = options.keys() | (options.get("_extra_kwargs") or {}).keys()
    carriers = sorted(_CARRIERS & given)
    if carriers:
        raise TypeError(
            f"{carriers[0]}= would carry a key past the broker; connect() takes the credential's "
            "name, and secretkit.claude.client_arguments() plugs it into a client of your own"
        )
    if "aws_region" in given:
        raise TypeError(
            "aws_region= would change a signed client's region, and its signatures and server are "
            "those of one region; make another with connect(name, platform=…, region=…)"
        )
    if _TRUST & options.keys():
        raise TypeError("connect() trusts nothing from the environment; use proxy= or ca_bundle=")
    headers = [*(options.get("default_headers") or {}), *(options.get("set_default_headers") or {})]
    found = sorted(one for one in headers if one.lower() in CREDENTIAL_HEADERS)
    if found:
        raise TypeError(f"the default header {found[0]!r} would carry a key past the broker")


def seconds_of(timeout: timedelta | None) -> dict[str, float]:
    """Give the SDK's option for a timeout, empty for the SDK's own.

    Raises:
        TypeError: for anything but a timedelta.
    """
    if timeout is None:
        return {}
    if not isinstance(timeout, timedelta):
        raise TypeError(
            f"timeout= is a datetime.timedelta, not {type(timeout).__name__}; "
            "write timedelta(seconds=30)"
        )
    return {"timeout": timeout.total_seconds()}


def broker_for(
    name: str, broker: Broker | AsyncBroker | None, *, undo: ExitStack
) -> tuple[Broker | AsyncBroker, Callable[[], None] | None]:
    """Give the broker, and what ends it with the client: a given broker is not ours to end.

    Raises:
        ConfigError: if it has no credential of this name.
    """
    if broker is None:
        own = undo.enter_context(Broker.from_config())
        _check_name(name, own)
        return own, own.close
    _check_name(name, broker)
    return broker, None


def target_of(name: str, broker: Broker | AsyncBroker, *, platform: str) -> Target:
    """Give where ``name`` is used, as configured; for another platform, only if both are AWS's.

    Raises:
        ConfigError: if the credential is meant for another platform.
    """
    target = (broker if isinstance(broker, Broker) else broker.blocking).target(name)
    meant = target.platform
    if meant in {platform, "anthropic"} or (platform in _AMAZON and meant in _AMAZON):
        return target
    how = f"connect({name!r}, platform={meant!r})"
    raise ConfigError(
        f"the credential {name!r} is for the platform {meant!r}",
        hint=how if meant in _AMAZON else "build the SDK's own client with cloud_arguments()",
    )


def _check_name(name: str, broker: Broker | AsyncBroker) -> None:
    names = broker.names()
    if name not in names:
        raise ConfigError(
            f"there is no credential {name!r}",
            hint=f"use one of {', '.join(names)}" if names else f"add [credentials.{name}]",
        )
