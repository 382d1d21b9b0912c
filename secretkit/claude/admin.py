"""AdminApi: the part of Claude's Admin API that federation needs. Nothing is sent twice.

It takes an OAuth access token with the scope ``org:admin``, and no API key:
https://platform.claude.com/docs/en/manage-claude/wif-admin-api.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.message import Request
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ConfigError, ProviderError
from secretkit.wire import failure, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.message import Reply
    from secretkit.ports import Clock, Transport

__all__ = ["ACCOUNTS", "ISSUERS", "RULES", "AdminApi"]

ISSUERS: Final = "federation_issuers"
ACCOUNTS: Final = "service_accounts"
RULES: Final = "federation_rules"

_REF: Final = "admin-api"
_PAGES: Final = 100
_DONE: Final = {200, 201}
_CONFLICT: Final = 409
_BAD: Final = {400, 404, 422}
_DENIED: Final = {401, 403}
_KEYS: Final = ("sk-ant-api", "sk-ant-admin")
_LONGEST: Final = 200


class AdminApi:
    """Lists and creates; never changes or archives what is there. Thread-safe.

    Raises:
        ConfigError: if ``token`` is an API key, which the Admin API refuses here.
    """

    def __init__(
        self,
        token: Secret,
        *,
        base_url: str,
        transport: Transport,
        clock: Clock,
        timeout: timedelta,
    ) -> None:
        self._base_url = base_url
        if _is_key(token):
            raise ConfigError(
                "this is an API key, and the Admin API takes none for federation",
                hint="log in for a token: ant auth login --scope org:admin; or use the Console",
            )
        self._headers: Mapping[str, str | Secret] = {
            "authorization": _bearer(token),
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "oauth-2025-04-20",
            "content-type": "application/json",
        }
        self._transport = transport
        self._clock = clock
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<AdminApi {self._base_url}>"

    def found(self, path: str) -> list[dict[str, Any]]:
        """Give everything at ``path``, archived things too.

        Raises:
            AccessDeniedError: if the token may not.
            ProviderError: as for any store.
        """
        every: list[dict[str, Any]] = []
        query = "?limit=100&include_archived=true" if "/" not in path else "?limit=100"
        page = ""
        for _ in range(_PAGES):
            reply = self._sent("GET", path, f"{query}{page}")
            document = self._read(reply)
            data, following = document.get("data"), document.get("next_page")
            if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
                break
            every += data
            if not isinstance(following, str) or not following:
                return every
            page = f"&page={_quoted(following)}"
        raise ProviderError(f"{_REF}: this is no list as the Admin API gives it", ref=_REF)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create one, and give it; None if the name is taken. Raises like :meth:`found`.

        Raises:
            ConfigError: if the service refuses what was asked for.
        """
        reply = self._sent("POST", path, "", json.dumps(body).encode())
        return None if reply.status == _CONFLICT else self._read(reply)

    def _sent(self, method: str, path: str, query: str, body: bytes = b"") -> Reply:
        return self._transport.send(
            Request(
                method=method,
                url=f"{self._base_url}/v1/organizations/{path}{query}",
                headers=self._headers,
                body=body,
            ),
            ref=_REF,
            timeout=self._timeout,
        )

    def _read(self, reply: Reply) -> dict[str, Any]:
        if reply.status in _DONE:
            return json_object(reply, ref=_REF)
        reason = _reason(reply)
        if reply.status in _DENIED:
            raise AccessDeniedError(
                f"{_REF}: the Admin API refuses this token (HTTP {reply.status}{reason})",
                ref=_REF,
                hint="it takes an access token with the scope org:admin; without one, an "
                "administrator makes what `secretkit federation plan` prints in the Console, "
                "under Settings, Workload identity",
            )
        if reply.status in _BAD:
            raise ConfigError(
                f"{_REF}: the Admin API refuses what was asked for (HTTP {reply.status}{reason})",
                hint="look at what `secretkit federation plan` prints",
            )
        raise failure(reply, ref=_REF, now=self._clock.now(), what="the Admin API")


def _is_key(token: Secret) -> bool:
    return token.reveal().startswith(_KEYS)


def _bearer(token: Secret) -> Secret:
    return Secret(f"Bearer {token.reveal()}")


def _quoted(text: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - only for more than a hundred of something

    return quote(text, safe="")


def _reason(reply: Reply) -> str:
    """Give the message of an error, which holds nothing that we sent but names and ids."""
    try:
        error = json.loads(reply.body)["error"]
        message = error["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    if not isinstance(message, str) or not message.isprintable() or "sk-ant" in message:
        return ""
    return f": {message[:_LONGEST]}"
