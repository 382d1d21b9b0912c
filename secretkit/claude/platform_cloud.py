"""Platform cloud: a bearer token for Claude on Google Cloud and on Microsoft Foundry.

The token is whatever credential of kind ``opaque`` holds it: secretkit gives the one that is held
at the moment of each request, and mints none. Not covered are Google's and Microsoft's own logins
(Application Default Credentials, managed identities), projects, quotas and model names: those are
the SDK's, or those of the program that writes the token to where the credential's source reads it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from secretkit.claude.client import async_sealed_client, sealed_client
from secretkit.claude.fault import CredentialFaultError, translated
from secretkit.claude.origin import checked_base_url
from secretkit.claude.pinned import PLACEHOLDER, broker_for, target_of
from secretkit.claude.sealing import SealingAuth
from secretkit.core.credential import Opaque, check_header_value
from secretkit.errors import ConfigError, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    import httpx2

    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.core.credential import Credential

__all__ = ["CloudPlatform", "async_cloud_arguments", "cloud_arguments"]

CloudPlatform = Literal["vertex", "google-cloud", "foundry"]


def _placeholder() -> str:
    return PLACEHOLDER


# What keeps each client from a login of its own; the transport replaces it on the wire. Not the
# token itself: AnthropicFoundry puts what its hook gives into the options it writes to DEBUG logs,
# and into an error's text if it is of the wrong type (anthropic 2.12, lib/foundry.py).
_HOOKS: Final[Mapping[str, Mapping[str, Any]]] = {
    "vertex": {"access_token": PLACEHOLDER},
    "google-cloud": {"skip_auth": True},
    "foundry": {"azure_ad_token_provider": _placeholder},
}


class _BearerAuth(SealingAuth):
    """Carries the current token of ``name`` to one origin; a 401 makes it ask for a newer one."""

    _REFUSALS: ClassVar[frozenset[int]] = frozenset({401})

    def _write(self, sealed: httpx2.Request, credential: Credential) -> None:
        if not isinstance(credential, Opaque):
            raise CredentialFaultError(
                f"{self._name!r} is of kind {credential.kind!r}, and a token for this platform is "
                f"of kind {Opaque.kind!r}",
                hint=f'set kind = "{Opaque.kind}" in [credentials.{self._name}]',
            )
        try:
            check_header_value(credential.secret, what="a bearer token")
        except SecretError as error:
            raise translated(error, name=self._name) from error
        sealed.headers.pop("api-key", None)  # Foundry's name for x-api-key
        sealed.headers["Authorization"] = f"Bearer {credential.secret.reveal()}"

    def _is_over(self, response: httpx2.Response, credential: Credential) -> bool:  # noqa: ARG002 - a 401 says it all
        return True


def cloud_arguments(  # noqa: PLR0913 - as connect
    name: str,
    *,
    platform: CloudPlatform,
    base_url: str | httpx2.URL | None = None,
    broker: Broker | AsyncBroker | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """Give what makes the SDK's own client carry the token: ``AnthropicFoundry(**…)``.

    Likewise ``AnthropicVertex`` and ``AnthropicGoogleCloud``; region, project and workspace are
    arguments of theirs that you add. The token goes to ``base_url``'s origin only, after a 401 a
    newer one is asked for once, and a client you build adds the headers of
    ANTHROPIC_CUSTOM_HEADERS, but none of them can be a credential.

    Raises:
        ConfigError: for a name, platform, URL, proxy or certificate file that cannot be used.
    """
    return _arguments(sealed_client, name, platform, base_url, broker, proxy, ca_bundle)


def async_cloud_arguments(  # noqa: PLR0913 - as connect
    name: str,
    *,
    platform: CloudPlatform,
    base_url: str | httpx2.URL | None = None,
    broker: Broker | AsyncBroker | None = None,
    proxy: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """Give the same for ``AsyncAnthropicFoundry(**…)`` and its siblings."""
    return _arguments(async_sealed_client, name, platform, base_url, broker, proxy, ca_bundle)


def _arguments(  # noqa: PLR0913, PLR0917 - as connect
    make: Callable[..., object],
    name: str,
    platform: str,
    base_url: str | httpx2.URL | None,
    broker: Broker | AsyncBroker | None,
    proxy: str | None,
    ca_bundle: str | PathLike[str] | None,
) -> dict[str, Any]:
    if platform not in _HOOKS:
        raise ConfigError(
            f"no token hook for the platform {platform!r}", hint=f"use one of {', '.join(_HOOKS)}"
        )
    with ExitStack() as undo:
        known, on_close = broker_for(name, broker, undo=undo)
        given = (
            base_url if base_url is not None else target_of(name, known, platform=platform).base_url
        )
        if not given:
            raise ConfigError(
                f"{platform} needs the base URL that the token is for",
                hint="pass base_url=, for example https://RESOURCE.services.ai.azure.com/anthropic/",
            )
        url = checked_base_url(given)
        auth = _BearerAuth(name, broker=known, base_url=url)
        client = make(auth, url=url, proxy=proxy, ca_bundle=ca_bundle, on_close=on_close)
        undo.pop_all()
    return {**_HOOKS[platform], "base_url": url, "http_client": client}
