"""Client: hvac says what to send, our transport sends it, all within one deadline.

hvac would send over ``requests``: its timeouts bound single reads and not the whole, it follows
redirects with the token, it looks into the environment for proxies and addresses, and its errors
carry the answer. So hvac only writes the request here, and no frame of it is left when one fails.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from secretkit.core.message import Request
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, ProviderUnavailableError, SecretError
from secretkit.providers.vault.reason import unwell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from secretkit.core.message import Reply
    from secretkit.ports import Transport
    from secretkit.providers.deadline import Deadline

__all__ = ["Client"]

_INSTALL: Final = 'pip install "secretkit[vault]"'


class Client:
    """Sends what an ``hvac.Client`` would send. Thread-safe; keeps no token and no connection."""

    def __init__(self, *, address: str, namespace: str, transport: Transport) -> None:
        self.address = address.rstrip("/")
        self.namespace = namespace
        self._transport = transport
        self._hvac: Any = None

    def ask(
        self,
        call: Callable[[Any], Request | SecretError],
        *,
        ref: str,
        deadline: Deadline,
        token: Secret | None = None,
    ) -> Reply:
        """Send one request and give the reply, whatever its status. Nothing is sent twice.

        ``call`` takes an ``hvac.Client`` and gives what one of its methods returns.

        Raises:
            ProviderUnavailableError: if hvac is missing, or nobody was reached.
            ProviderTimeoutError, ProviderError: as :class:`secretkit.ports.Transport`.
        """
        written = call(self._writer(ref))
        if isinstance(written, SecretError):
            raise written
        headers: dict[str, str | Secret] = {"X-Vault-Request": "true"}  # Agents ask for it (SSRF)
        if written.body:
            headers["Content-Type"] = "application/json"
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        if token is not None:
            headers["X-Vault-Token"] = token
        request = Request(
            method=written.method,
            url=self.address + written.url,
            headers=headers,
            body=written.body,
        )
        return self._transport.send(request, ref=ref, timeout=deadline.left)

    def unwell(self, *, ref: str, deadline: Deadline, now: datetime) -> ProviderError:
        """Ask a server that answered 503 what is wrong with it; give that as an error."""
        try:
            health = self.ask(
                lambda hvac: hvac.sys.read_health_status(method="GET"), ref=ref, deadline=deadline
            )
        except ProviderError:
            health = None
        return unwell(health, ref=ref, now=now)

    def _writer(self, ref: str) -> Any:  # noqa: ANN401 - hvac has no types
        # Without a lock, which a fork could leave locked: two of them do no harm.
        if self._hvac is None:
            self._hvac = _opened(ref, self.address)
        return self._hvac


def _opened(ref: str, address: str) -> Any:  # noqa: ANN401 - hvac has no types
    try:
        import hvac  # noqa: PLC0415 - 150 ms, and an extra
    except ImportError:
        raise ProviderUnavailableError(
            f"{ref}: reading Vault needs the package hvac", ref=ref, hint=_INSTALL
        ) from None
    # Each of these would be looked for in the environment if it were left out.
    return hvac.Client(url=address, token="", cert=(), verify=True, adapter=_Writer)


class _Writer:
    """Stands where hvac has an adapter: gives back the request instead of sending it."""

    def __init__(self, **_settings: object) -> None:
        """Take nothing: address, token and trust are ours."""

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, object] | None = None,
        **_settings: object,
    ) -> Request | SecretError:
        body = _body(json)
        if isinstance(body, SecretError):
            return body  # raised here, the frames above would show what was to be written
        query = f"?{urlencode(params)}" if params else ""
        return Request(method=method.upper(), url=url + query, body=body)

    def get(self, url: str, **given: Any) -> Request | SecretError:  # noqa: ANN401
        return self.request("GET", url, **given)

    def post(self, url: str, **given: Any) -> Request | SecretError:  # noqa: ANN401
        return self.request("POST", url, **given)

    def put(self, url: str, **given: Any) -> Request | SecretError:  # noqa: ANN401
        return self.request("PUT", url, **given)

    def delete(self, url: str, **given: Any) -> Request | SecretError:  # noqa: ANN401
        return self.request("DELETE", url, **given)

    def list(self, url: str, **given: Any) -> Request | SecretError:  # noqa: ANN401
        return self.request("LIST", url, **given)

    def login(self, url: str, *, use_token: bool, **given: Any) -> Request | SecretError:  # noqa: ANN401
        del use_token  # hvac would keep the token; ours is kept wrapped
        return self.request("POST", url, **given)


def _body(document: Mapping[str, object] | None) -> Secret | bytes | SecretError:
    if document is None:
        return b""
    try:
        return Secret(json.dumps(document))
    except SecretError:
        return SecretError("what was to be written is too large", hint="Vault takes 1 MiB at most")
