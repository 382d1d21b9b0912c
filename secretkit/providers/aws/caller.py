"""Caller: as whom credentials are known to AWS. Everybody may ask, whatever the policies.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.errors import ProviderError
from secretkit.providers.aws.markup import read_markup
from secretkit.providers.aws.reason import Meanings, explained, refusal_of

if TYPE_CHECKING:
    from secretkit.core.credential import AwsCredentials
    from secretkit.providers.aws.service import Service
    from secretkit.providers.deadline import Deadline

__all__ = ["Caller"]

_OK: Final = 200
_MEANINGS: Final = Meanings(hints={})
_ARN: Final = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:[\w+=,.@/-]{1,300}", re.ASCII)


@record()
class Caller:
    """Asks STS who signed."""

    service: Service
    ref: str

    def arn(self, credentials: AwsCredentials, *, deadline: Deadline) -> str:
        """Give the ARN of who ``credentials`` are.

        Raises:
            ProviderError: as every question to STS.
        """
        form = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
        reply = self.service.form(
            form, credentials=credentials, ref=self.ref, timeout=deadline.left
        )
        now = self.service.clock.now()
        if reply.status != _OK:
            refusal = refusal_of(reply, now=now)
            raise explained(refusal, ref=self.ref, what="STS", now=now, meanings=_MEANINGS)
        arn = (read_markup(reply.body) or {}).get("GetCallerIdentityResult/Arn", "")
        if not _ARN.fullmatch(arn):
            raise ProviderError(
                f"{self.ref}: STS does not say who this is",
                ref=self.ref,
                hint="look whether the endpoint is STS itself",
            )
        return arn
