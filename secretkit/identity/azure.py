"""azure: the access token of a managed identity, from IMDS, or from App Service's own endpoint.

https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity

On AKS with workload identity the pod has a projected token: use ``type = "kubernetes"`` with the
path in ``AZURE_FEDERATED_TOKEN_FILE`` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from secretkit.core.message import Request
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, ProviderUnavailableError
from secretkit.identity.answer import text_of
from secretkit.providers.options import Options
from secretkit.wire import failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["AzureIdentity", "open_azure"]

_IMDS: Final = "http://169.254.169.254"
_PATH: Final = "/metadata/identity/oauth2/token"
_OK: Final = 200
_NONE: Final = 400
_UPDATING: Final = (404, 410)  # how-to-use-vm-token, "Error handling": try again within 70 s
_ENDPOINT: Final = "IDENTITY_ENDPOINT"
_HEADER: Final = "IDENTITY_HEADER"


class AzureIdentity:
    """Asks for a token of a managed identity. Thread-safe; keeps nothing.

    Azure itself keeps a token for hours and gives the same one until it is old.
    """

    ref = "azure"

    def __init__(
        self, *, resource: str, client_id: str, endpoint: str, context: ProviderContext
    ) -> None:
        self._resource = resource
        self._client_id = client_id
        self._endpoint = endpoint
        self._context = context

    def token(self, *, timeout: timedelta) -> Secret:
        """Ask App Service where its two variables are set, else IMDS.

        Raises:
            ProviderUnavailableError: outside of Azure, or without a managed identity.
        """
        transport = self._context.transport()
        reply = transport.send(self._request(), ref=self.ref, timeout=timeout)
        if reply.status == _OK:
            return text_of(reply, "access_token", ref=self.ref)
        if reply.status == _NONE:
            raise ProviderUnavailableError(
                f"{self.ref}: there is no managed identity for this, or no such resource",
                ref=self.ref,
                hint="assign an identity to the machine; with several of them write client_id",
            )
        if reply.status in _UPDATING:
            raise ProviderError(
                f"{self.ref}: the managed identity endpoint is being updated",
                ref=self.ref,
                hint="it is back within 70 seconds",
            )
        what = "the managed identity endpoint"
        raise failure(reply, ref=self.ref, now=self._context.clock.now(), what=what)

    def _request(self) -> Request:
        world = self._context.environ
        asking = {"resource": self._resource} | (
            {"client_id": self._client_id} if self._client_id else {}
        )
        if world.get(_ENDPOINT) and world.get(_HEADER) and not self._endpoint:
            query = urlencode({"api-version": "2019-08-01", **asking})
            return Request(
                method="GET",
                url=f"{world[_ENDPOINT]}?{query}",
                headers={"X-IDENTITY-HEADER": Secret(world[_HEADER])},
            )
        query = urlencode({"api-version": "2018-02-01", **asking})
        server = (self._endpoint or _IMDS).rstrip("/")
        return Request(method="GET", url=f"{server}{_PATH}?{query}", headers={"Metadata": "true"})


def open_azure(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``resource`` (else the audience), ``client_id``, ``endpoint``.

    ``audience`` is what the token must say; Entra writes the resource into it, or for tokens of
    version 2 the bare id of the application.
    """
    known = ("audience", "resource", "client_id", "endpoint")
    read = Options(table, type_name="azure", known=known, noun="identity")
    resource = read.text("resource", default=audience)
    if not resource:
        raise read.wrong("resource", expected='the application that it is for: "api://…"')
    issuing = AzureIdentity(
        resource=resource,
        client_id=read.text("client_id"),
        endpoint=read.text("endpoint"),
        context=context,
    )
    return issuing, read.text("audience", default=resource)
