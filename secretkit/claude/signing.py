"""SigningAuth: signs each request for AWS with the credentials held at that moment.

Each signature is made from one frozen snapshot. The SDK's own signer reads key id, secret and
session token of a refreshing object one after the other, and with a session of 900 s, the shortest
AWS gives, it signed 0 of 5 requests validly (anthropic 2.12, botocore 1.44).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

from secretkit.claude.fault import CredentialFaultError, translated
from secretkit.claude.sealing import SealingAuth
from secretkit.core.credential import AwsCredentials, Opaque, check_header_value
from secretkit.core.sigv4 import sign
from secretkit.errors import SecretError

if TYPE_CHECKING:
    import httpx2

    from secretkit.broker.aio import AsyncBroker
    from secretkit.broker.blocking import Broker
    from secretkit.core.credential import Credential

__all__ = ["Service", "SigningAuth"]

Service = Literal["bedrock", "bedrock-mantle", "aws-external-anthropic"]
"""The names under which AWS signs for Claude: what stands in the scope of a signature."""

_BEARERS: Final = frozenset({"bedrock", "bedrock-mantle"})
# AWS names them in the x-amzn-errortype header or in the text, in the manner of each service:
# "The security token included in the request is expired" (or "is invalid"), "Bearer Token has
# expired", ExpiredToken, ExpiredTokenException, UnrecognizedClientException, InvalidClientTokenId.
_OVER: Final = ("expired", "security token", "unrecognizedclient", "invalidclienttokenid")
_BEARER_OVER: Final = ("authentication failed",)  # "…: Please make sure your API Key is valid."
# A clock that is wrong, or a signature that is: new credentials would be refused as well.
_NOT_OVER: Final = (
    *("signature expired", "not yet current", "invalidsignature", "signaturedoesnotmatch"),
    *("requestexpired", "requesttimetooskewed", "signature we calculated"),
)


class SigningAuth(SealingAuth):
    """Signs with the current AWS credentials of ``name`` (SigV4), for one origin. Thread-safe.

    It signs the bytes that are sent, so a body is read into memory first. ``region`` is bound into
    each signature: one object, one region. A credential of kind ``bedrock-token`` (or an ``opaque``
    one that holds a Bedrock API key) is sent as a bearer instead, to Bedrock and Mantle only.

    After a 401 or 403 that says the session or token has ended, the broker is asked once for newer
    credentials, and the request is sent once more. A plain 403 and one about the clock are given to
    the caller as they are: other credentials would not help. The broker's clock dates the
    signatures: AWS refuses one that is 5 minutes off.
    """

    _REFUSALS: ClassVar[frozenset[int]] = frozenset({401, 403})
    _SIGNS_BODY: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        *,
        broker: Broker | AsyncBroker,
        base_url: str | httpx2.URL,
        service: Service,
        region: str,
    ) -> None:
        super().__init__(name, broker=broker, base_url=base_url)
        self._service = service
        self._region = region
        self._clock = self._blocking.engine.clock

    def _write(self, sealed: httpx2.Request, credential: Credential) -> None:
        if sealed.headers.pop("transfer-encoding", None) is not None:
            sealed.headers["Content-Length"] = str(len(sealed.read()))
        if isinstance(credential, AwsCredentials):
            self._sign(sealed, credential)
        elif isinstance(credential, Opaque) and self._service in _BEARERS:
            self._bear(sealed, credential)
        else:
            raise CredentialFaultError(
                f"{self._name!r} is of kind {credential.kind!r}, and {self._service} does not "
                "take it",
                hint=f'set kind = "{AwsCredentials.kind}" in [credentials.{self._name}]',
            )

    def _sign(self, sealed: httpx2.Request, credentials: AwsCredentials) -> None:
        url = sealed.url
        sealed.headers.update(
            sign(
                method=sealed.method,
                url=f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}",
                headers=tuple(sealed.headers.multi_items()),
                body=sealed.read(),
                credentials=credentials,
                service=self._service,
                region=self._region,
                at=self._clock.now(),
            )
        )

    def _bear(self, sealed: httpx2.Request, credential: Opaque) -> None:
        try:
            check_header_value(credential.secret, what="a Bedrock API key")
        except SecretError as error:
            raise translated(error, name=self._name) from error
        sealed.headers["Authorization"] = f"Bearer {credential.secret.reveal()}"

    def _is_over(self, response: httpx2.Response, credential: Credential) -> bool:
        said = f"{response.headers.get('x-amzn-errortype', '')} {response.text}".lower()
        if isinstance(credential, Opaque):  # a bearer has no clock of ours in it
            return any(one in said for one in (*_OVER, *_BEARER_OVER))
        return any(one in said for one in _OVER) and not any(one in said for one in _NOT_OVER)
