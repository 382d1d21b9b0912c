"""gcp: the identity token of a Google Cloud workload, from its metadata server.

https://cloud.google.com/compute/docs/instances/verifying-instance-identity
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from secretkit.core.message import Request
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretError, SecretNotFoundError
from secretkit.identity.answer import asked
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.message import Reply
    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["GcpIdentity", "open_gcp"]

_SERVER: Final = "http://metadata.google.internal"
_PATH: Final = "/computeMetadata/v1/instance/service-accounts"
_FLAVOR: Final = "Metadata-Flavor"


class GcpIdentity:
    """Asks the metadata server for a token. Thread-safe; keeps nothing.

    The server itself may answer with a token that it gave before, as long as that is valid.
    """

    ref = "gcp"

    def __init__(
        self, *, audience: str, account: str, endpoint: str, context: ProviderContext
    ) -> None:
        self._url = (
            f"{endpoint.rstrip('/')}{_PATH}/{quote(account, safe='@')}/identity"
            f"?audience={quote(audience, safe='')}&format=full"
        )
        self._context = context

    def token(self, *, timeout: timedelta) -> Secret:
        """Ask once.

        Raises:
            SecretNotFoundError: if the machine has no such service account.
            ProviderUnavailableError: outside of Google Cloud.
        """
        request = Request(method="GET", url=self._url, headers={_FLAVOR: "Google"})
        what = "the metadata server"
        try:
            reply = asked(request, self, context=self._context, what=what, timeout=timeout)
        except SecretNotFoundError as error:
            error.hint = "attach a service account to the machine, or name it: account"
            raise
        if reply.headers.get(_FLAVOR.lower()) != "Google":
            raise ProviderError(
                f"{self.ref}: what answered is not Google's metadata server",
                ref=self.ref,
                hint="something else has its address; look at the network and at /etc/hosts",
            )
        found = _text(reply)
        if isinstance(found, Secret):
            return found
        raise ProviderError(
            f"{self.ref}: the answer is no token",
            ref=self.ref,
            hint="ask it by hand: curl -H 'Metadata-Flavor: Google' with this machine's account",
        )


def open_gcp(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``account`` (``default``, or a service account's address) and ``endpoint``."""
    known = ("audience", "account", "endpoint")
    read = Options(table, type_name="gcp", known=known, noun="identity")
    wanted = read.text("audience", default=audience)
    issuing = GcpIdentity(
        audience=wanted,
        account=read.text("account", default="default"),
        endpoint=read.text("endpoint", default=_SERVER),
        context=context,
    )
    return issuing, wanted


def _text(reply: Reply) -> Secret | None:
    """Give the body as text; sees the token, so it raises nothing."""
    try:
        return Secret(reply.body.decode("ascii").strip())
    except (UnicodeDecodeError, SecretError):
        return None
