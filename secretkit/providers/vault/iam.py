"""IAM: a login by AWS identity, a signed GetCallerIdentity that Vault sends on to AWS itself.

https://developer.hashicorp.com/vault/docs/auth/aws#iam-auth-method. OpenBao 2.7 has no AWS auth
method. What is sent is good for AWS for some minutes; ``server_id`` binds it to one Vault.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.core.sigv4 import sign
from secretkit.errors import AccessDeniedError, ProviderUnavailableError, SecretkitError
from secretkit.providers.vault.login import granted

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ports import Clock, CredentialSource
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.client import Client
    from secretkit.providers.vault.token import Grant

__all__ = ["IamLogin"]

_BODY: Final = "Action=GetCallerIdentity&Version=2011-06-15"
_TYPE: Final = "application/x-www-form-urlencoded; charset=utf-8"
_GLOBAL: Final = "us-east-1"  # whose signatures the global endpoint takes
_SERVER: Final = "X-Vault-AWS-IAM-Server-ID"


class IamLogin:
    """Signs with the credential called ``credential`` of the configuration."""

    def __init__(  # noqa: PLR0913 - what a signed statement is bound to
        self,
        credential: Callable[[], CredentialSource],
        *,
        role: str,
        region: str,
        server_id: str,
        mount: str,
        clock: Clock,
    ) -> None:
        self._credential = credential
        self._role = role
        self._region = region
        self._server_id = server_id
        self._mount = mount
        self._clock = clock

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Log in; see :class:`secretkit.providers.vault.token.Login`."""
        credentials = self._acquired(ref, deadline)
        headers = self._signed(credentials)

        def call(hvac: Any) -> Any:  # noqa: ANN401 - hvac has no types
            statement = {
                "iam_http_request_method": "POST",
                "iam_request_url": _coded(self._url),
                "iam_request_body": _coded(_BODY),
                "iam_request_headers": _coded(headers.reveal()),
            }
            data = {**statement, **({"role": self._role} if self._role else {})}
            return hvac.write_data(f"auth/{self._mount}/login", data=data)

        reply = client.ask(call, ref=ref, deadline=deadline)
        return granted(reply, ref=ref, clock=self._clock, method="aws")

    @property
    def _url(self) -> str:
        """Where Vault sends it: the global endpoint, unless Vault's sts_region says another."""
        if not self._region:
            return "https://sts.amazonaws.com/"
        end = ".cn" if self._region.startswith("cn-") else ""
        return f"https://sts.{self._region}.amazonaws.com{end}/"

    def _signed(self, credentials: AwsCredentials) -> Secret:
        headers = {"Content-Type": _TYPE}
        if self._server_id:
            headers[_SERVER] = self._server_id
        signature = sign(
            method="POST",
            url=self._url,
            headers=headers,
            body=_BODY.encode(),
            credentials=credentials,
            service="sts",
            region=self._region or _GLOBAL,
            at=self._clock.now(),
            also={_SERVER.lower()},
        )
        return Secret(json.dumps({**headers, **signature}))

    def _acquired(self, ref: str, deadline: Deadline) -> AwsCredentials:
        try:
            acquired = self._credential().acquire(timeout=deadline.left, refused=_none)
        except AccessDeniedError as error:  # it is the only way in, so this is a no
            raise AccessDeniedError(
                f"{ref}: there are no AWS credentials to log in to Vault with: {error}",
                ref=ref,
                hint=error.hint,
            ) from None
        except SecretkitError as error:
            raise ProviderUnavailableError(
                f"{ref}: there are no AWS credentials to log in to Vault with: {error}",
                ref=ref,
                hint=error.hint,
            ) from None
        found = acquired.credential
        if not isinstance(found, AwsCredentials):
            raise ProviderUnavailableError(
                f"{ref}: the login's base {acquired.ref} is of the kind {found.kind}, not aws",
                ref=ref,
                hint='name a credential of kind "aws" as auth.base',
            )
        return found


def _none(_secret: Secret) -> bool:
    return False


def _coded(text: str) -> str:
    return b64encode(text.encode()).decode()
