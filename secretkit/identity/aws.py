"""aws: a web identity token of an AWS role, from STS GetWebIdentityToken.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html

The request is signed with another credential of the configuration (``base``), so a role on AWS
proves itself elsewhere without a key. The account must allow it once:
``aws iam enable-outbound-web-identity-federation``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from secretkit.core.credential import AwsCredentials
from secretkit.core.message import Request
from secretkit.core.secret import Secret
from secretkit.core.sigv4 import sign
from secretkit.errors import AccessDeniedError, ConfigError, ProviderError, SecretkitError
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options
from secretkit.wire import failure, read_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.message import Reply
    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["AwsIdentity", "open_aws"]

_ALGORITHMS: Final = ("ES384", "RS256")
_SHORTEST: Final = 60  # seconds, what STS gives at least
_USUAL: Final = 300  # used at once, so short; STS gives up to 3600
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]")
_TOKEN: Final = re.compile(rb"<WebIdentityToken>([A-Za-z0-9_.-]+)</WebIdentityToken>")
_CODE: Final = re.compile(rb"<Code>([A-Za-z.]{1,80})</Code>")
_OK: Final = 200
_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_SWITCH: Final = "have an administrator run: aws iam enable-outbound-web-identity-federation"
_ENDED: Final = "the session of base has ended; see that it is renewed, and that the clock is right"
_HINTS: Final = {
    "OutboundWebIdentityFederationDisabled": _SWITCH,
    "AccessDenied": "the role of base needs sts:GetWebIdentityToken",
    "SessionDurationEscalation": "the session of base ends too soon; see that it is renewed",
    "ExpiredToken": _ENDED,
    "SignatureDoesNotMatch": "see that the secret key of base and the clock are right",
    "RequestExpired": "set the clock of this machine",
}
_DENIED: Final = {"AccessDenied", "OutboundWebIdentityFederationDisabled"}
_THROTTLED: Final = {"Throttling", "RequestLimitExceeded"}


class AwsIdentity:
    """Asks STS for a token. Thread-safe; keeps nothing: ``base`` keeps its own session."""

    ref = "aws"

    def __init__(  # noqa: PLR0913 - what a request to STS is made of
        self,
        *,
        audience: str,
        region: str,
        algorithm: str,
        base: str,
        endpoint: str,
        context: ProviderContext,
    ) -> None:
        self._region = region
        self._base = context.credential(base)
        self._endpoint = endpoint or f"https://sts.{region}.amazonaws.com/"
        self._context = context
        self._asked = {
            "Action": "GetWebIdentityToken",
            "Version": "2011-06-15",
            "Audience.member.1": audience,
            "SigningAlgorithm": algorithm,
        }

    def token(self, *, timeout: timedelta) -> Secret:
        """Ask once, as the role that ``base`` gives.

        Raises:
            AccessDeniedError: if ``base``, the role or the account may not.
            ProviderError: for anything else that STS answers, naming its code.
        """
        deadline = Deadline(timeout, clock=self._context.clock)
        request = self._signed(self._credential(deadline))
        transport = self._context.transport()
        reply = transport.send(request, ref=self.ref, timeout=deadline.left)
        found = _token_in(reply)
        if found is not None:
            return found
        if reply.status == _OK:
            raise ProviderError(
                f"{self.ref}: the answer of STS has no token in it",
                ref=self.ref,
                hint="see that endpoint, if you wrote one, is STS",
            )
        raise self._failure(reply)

    def _signed(self, credential: AwsCredentials) -> Request:
        now = self._context.clock.now()
        life = _USUAL
        if credential.expires_at is not None:  # STS refuses a token that outlives the session
            left = int((credential.expires_at - now).total_seconds())
            life = max(_SHORTEST, min(_USUAL, left))
        body = urlencode({**self._asked, "DurationSeconds": life}).encode()
        signed = sign(
            method="POST",
            url=self._endpoint,
            headers={"content-type": _FORM},
            body=body,
            credentials=credential,
            service="sts",
            region=self._region,
            at=now,
        )
        headers: dict[str, str | Secret] = {"content-type": _FORM}
        headers |= {name: Secret(value) for name, value in signed.items()}
        return Request(method="POST", url=self._endpoint, headers=headers, body=body)

    def _credential(self, deadline: Deadline) -> AwsCredentials:
        try:
            found = self._base.acquire(timeout=deadline.left, refused=lambda _: False)
        except ProviderError as error:
            raise type(error)(
                f"{self.ref}: {error}",
                ref=self.ref,
                hint=error.hint,
                retry_after=error.retry_after,
            ) from None
        if not isinstance(found.credential, AwsCredentials):
            raise ConfigError(
                f"{self.ref}: base is a credential of kind {found.credential.kind}",
                key_path="base",
                hint='name one of kind "aws"',
            )
        return found.credential

    def _failure(self, reply: Reply) -> SecretkitError:
        error = failure(reply, ref=self.ref, now=self._context.clock.now(), what="STS")
        match = _CODE.search(reply.body)
        # Some codes end with "Exception", as their class in the SDKs does, and some do not.
        code = match[1].decode().removesuffix("Exception") if match else ""
        if not code:
            return error
        made = AccessDeniedError if code in _DENIED else ProviderError
        found = made(
            f"{self.ref}: STS refuses with {code} (HTTP {reply.status})",
            ref=self.ref,
            hint=_HINTS.get(code, ""),
            retry_after=error.retry_after,
        )
        if made is ProviderError:
            found.retryable = error.retryable or code in _THROTTLED or "Expired" in code
        return found


def open_aws(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``base`` (a credential of kind aws), ``region``, ``algorithm``, ``endpoint``."""
    known = ("audience", "base", "region", "algorithm", "endpoint")
    read = Options(table, type_name="aws", known=known, noun="identity")
    wanted = read.text("audience", default=audience)
    region = read.required("region", expected='a region such as "us-east-1"')
    if not _REGION.fullmatch(region):
        raise read.wrong("region", expected='a region such as "us-east-1"')
    endpoint = read.text("endpoint")
    if endpoint:
        read_address(endpoint)
    issuing = AwsIdentity(
        audience=wanted,
        region=region,
        algorithm=read.choice("algorithm", among=_ALGORITHMS),
        base=read.required("base", expected='the name of a credential of kind "aws"'),
        endpoint=endpoint,
        context=context,
    )
    return issuing, wanted


def _token_in(reply: Reply) -> Secret | None:
    """Give the token; raises nothing, as it sees the token."""
    match = _TOKEN.search(reply.body) if reply.status == _OK else None
    return Secret(match[1].decode()) if match else None
