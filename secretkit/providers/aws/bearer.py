"""Bearer: short-term Bedrock API keys, made from AWS credentials without asking anybody.

Such a key is a presigned URL, in base64, of a call that only Bedrock makes. It works until 12 hours
are over or the session that signed it ends, whichever is first, and it holds the access key id and
the session token of that session: as secret as they are, so never decode it into a log.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-generate.html and the package
aws-bedrock-token-generator, whose keys these are equal to (tests/providers/aws/test_bearer.py).
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.credential import AwsCredentials, Opaque
from secretkit.core.record import replace
from secretkit.core.secret import Secret
from secretkit.core.sigv4 import presign
from secretkit.errors import ConfigError, ProviderError, SecretError
from secretkit.ports import Probe, Probing
from secretkit.providers.aws.reason import relabelled
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from secretkit.ports import Acquired, Clock, CredentialSource, ProviderContext

__all__ = ["BearerSource", "open_source"]

_KNOWN: Final = ("base", "duration", "platform", "region", "workspace_id", "base_url")
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")
_A_REGION: Final = 'an AWS region such as "us-east-1"'
_LONGEST: Final = timedelta(hours=12)
_URL: Final = "https://bedrock.amazonaws.com/?Action=CallWithBearerToken"
_PREFIX: Final = "bedrock-api-key-"


def open_source(
    options: Mapping[str, object], *, ref: str, context: ProviderContext
) -> CredentialSource:
    """Open a ``[credentials.NAME]`` table of kind ``bedrock-token``. No network, no file.

    ``base`` names a credential of kind ``aws``; ``duration`` is 12 hours unless it says less.

    Raises:
        ConfigError: naming the option that is missing or cannot be used.
    """
    known = Options(options, type_name="bedrock-token", known=_KNOWN, noun="credential")
    base = known.required("base", expected='the name of a credential of kind "aws"')
    region = known.required("region", expected=_A_REGION)
    if not _REGION.fullmatch(region):
        raise known.wrong("region", expected=_A_REGION)
    duration = known.duration("duration", default=_LONGEST)
    if not timedelta(seconds=1) <= duration <= _LONGEST or duration.microseconds:
        raise known.wrong("duration", expected='whole seconds up to "12h"')
    try:
        source = context.credential(base)
    except ConfigError as error:
        raise ConfigError(error.args[0], hint=error.hint, key_path="base") from None
    return BearerSource(source, region=region, duration=duration, clock=context.clock, ref=ref)


class BearerSource:
    """Gives a Bedrock API key for one region, signed by ``base``'s credentials. Thread-safe.

    A ``CredentialSource``: each key is made over fresh credentials of ``base``, so it costs what
    they cost, and ends with them. Its refusals carry ``ref``, its own reference.
    """

    def __init__(
        self,
        base: CredentialSource,
        *,
        region: str,
        duration: timedelta,
        clock: Clock,
        ref: str,
    ) -> None:
        self.ref = ref
        self._base = base
        self._region = region
        self._duration = duration
        self._clock = clock
        self._made: tuple[Secret, Secret] | None = None  # the last key, and what signed it

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        """Make a key; if the last one is refused, from other credentials than it was made from.

        Raises what ``base`` raises, and SecretError if that gives no AWS credentials.
        """
        made = self._made
        over = made[1] if made is not None and refused(made[0]) else None
        try:
            given = self._base.acquire(
                timeout=timeout, refused=lambda one: over is not None and one == over
            )
        except ProviderError as error:
            raise relabelled(error, ref=self.ref) from None
        if not isinstance(given.credential, AwsCredentials):
            raise SecretError(
                f"{self.ref}: base is of kind {given.credential.kind!r}, not AWS credentials",
                hint='name a credential of kind "aws" as base',
            )
        key = self._key(given.credential)
        self._made = key.secret, given.credential.secret
        return replace(given, credential=key, ref=self.ref, version=None)

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Give the credentials back that the key was made from."""
        self._base.revoke(handle, timeout=timeout)

    def probe(self, *, timeout: timedelta) -> Probe:
        """Say who ``base`` is; the key itself is made here, and nobody is asked for it."""
        if not isinstance(self._base, Probing):
            return Probe(reached=self._base.ref)
        try:
            found = self._base.probe(timeout=timeout)
        except ProviderError as error:
            raise relabelled(error, ref=self.ref) from None
        own = self._clock.now() + self._duration
        return replace(found, expires_at=_end(own, found.expires_at))

    def _key(self, credentials: AwsCredentials) -> Opaque:
        now = self._clock.now()
        url = presign(
            method="POST",
            url=_URL,
            credentials=credentials,
            service="bedrock",
            region=self._region,
            at=now,
            expires=self._duration,
        )
        text = f"{url.removeprefix('https://')}&Version=1"
        key = Secret(_PREFIX + b64encode(text.encode()).decode())
        return Opaque(key, _end(now + self._duration, credentials.expires_at))


def _end(own: datetime, session: datetime | None) -> datetime:
    return own if session is None else min(own, session)
