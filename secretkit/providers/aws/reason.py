"""Reason: what AWS refuses with, and the error that it means.

A refusal is a value, not an exception: whether to ask once more with fresh credentials is decided
by who asked. Codes: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and the
pages of each action.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.errors import AccessDeniedError, ProviderError, SecretNotFoundError
from secretkit.providers.aws.markup import read_markup
from secretkit.wire import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from secretkit.core.message import Reply

__all__ = ["Meanings", "Refusal", "clock_hint", "explained", "refusal_of", "relabelled"]

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}")
_WHO: Final = re.compile(
    r"(arn:aws[a-z-]*:[a-z]+::[0-9]{12}:[\w+=,.@/-]{1,200}) is not authorized to perform: "
    r"([a-z0-9-]{1,40}:[A-Za-z]{1,60})",
    re.ASCII,
)
_EXPIRED: Final = "ExpiredToken"
_STALE: Final = {_EXPIRED, "InvalidClientTokenId", "UnrecognizedClient", "InvalidAccessKeyId"}
_DENIED: Final = {"AccessDenied", "NotAuthorized", "UnauthorizedOperation", "OptInRequired"}
_SIGNATURE: Final = {"SignatureDoesNotMatch", "InvalidSignature"}
_CLOCK: Final = {"RequestExpired", "RequestTimeTooSkewed"}
_THROTTLED: Final = {
    "Throttling", "Throttled", "RequestThrottled", "TooManyRequests",
    "RequestLimitExceeded", "SlowDown", "LimitExceeded", "PriorRequestNotComplete",
}  # fmt: skip
_FAILING: Final = {"InternalFailure", "InternalServiceError", "InternalServerError",
                   "ServiceUnavailable", "IDPCommunicationError"}  # fmt: skip
_WAIT: Final = {408, 425, 429}
_SERVER: Final = 500
_SKEW: Final = timedelta(minutes=4)  # AWS refuses at 5: reference_sigv.html, "timestamp"


@record(kw_only=True, hidden=("message",))
class Refusal:
    """An answer that is no success.

    ``code`` is AWS's, without the end ``Exception``; ``meaning`` is a word of ours for it, where
    AWS gives one code to several things. ``message`` is only searched: it may repeat what was
    sent. ``wait`` is what the server asks for, ``behind`` how far our clock is behind the server's.
    """

    code: str
    status: int
    meaning: str = ""
    message: str = ""
    wait: timedelta | None = None
    behind: timedelta = timedelta()

    @property
    def is_stale(self) -> bool:
        """Whether the credentials that signed are over or unknown: fresh ones may be taken."""
        return self.code in _STALE

    @property
    def is_expired(self) -> bool:
        """Whether they are over by the time that has passed: nothing was forbidden."""
        return self.code == _EXPIRED

    @property
    def is_failing(self) -> bool:
        """Whether the service cannot answer now, to anybody."""
        if self.status >= _SERVER or self.status in _WAIT:
            return True
        return bool({self.code, self.meaning} & (_THROTTLED | _FAILING))

    @property
    def is_early_or_late(self) -> bool:
        """Whether a clock is the reason."""
        if self.code in _CLOCK:
            return True
        told = "Signature expired" in self.message or "not yet current" in self.message
        return self.code in _SIGNATURE and (told or abs(self.behind) > _SKEW)


@record(kw_only=True)
class Meanings:
    """What one service's own codes mean: not there, not allowed; and what to do, by code."""

    hints: Mapping[str, str]
    missing: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()


def refusal_of(reply: Reply, *, now: datetime) -> Refusal:
    """Read an answer whose status is not 200: XML of the query protocol, or JSON."""
    told = _from_json(reply) or _from_markup(reply)
    code = told[0].rpartition("#")[2].partition(":")[0] if told else ""
    return Refusal(
        code=code.removesuffix("Exception") if _CODE.fullmatch(code) else "",
        status=reply.status,
        message=told[1] if told else "",
        wait=retry_after(reply, now=now),
        behind=_behind(reply, now),
    )


def explained(
    refusal: Refusal, *, ref: str, what: str, now: datetime, meanings: Meanings
) -> ProviderError:
    """Give the error that ``refusal`` means; the caller raises it."""
    code = refusal.code
    shown = f"{code}, HTTP {refusal.status}" if code else f"HTTP {refusal.status}"
    key = refusal.meaning or code
    hint = meanings.hints.get(key, "")
    if refusal.is_early_or_late:
        return ProviderError(
            f"{ref}: {what} refuses the time of the request ({shown})",
            ref=ref,
            hint=clock_hint(refusal.behind, now=now),
        )
    if key in meanings.missing:
        return SecretNotFoundError(f"{ref}: {what} does not have it ({shown})", ref=ref, hint=hint)
    if refusal.is_failing:
        return ProviderError(
            f"{ref}: {what} cannot answer now ({shown})",
            ref=ref,
            hint=hint or "it is asked again later",
            retry_after=refusal.wait,
        )
    if refusal.is_expired:  # a session of their own may last: what is held is not dropped
        return ProviderError(
            f"{ref}: {what} says that who asks has expired credentials ({shown})",
            ref=ref,
            hint="renew them where they come from, for example: aws sso login",
        )
    denied = key in meanings.denied or code in _DENIED | _STALE | _SIGNATURE
    if denied or refusal.status in {401, 403}:
        return AccessDeniedError(
            f"{ref}: {what} refuses ({shown})", ref=ref, hint=hint or _who_may_not(refusal)
        )
    error = ProviderError(
        f"{ref}: {what} answers with an error ({shown})",
        ref=ref,
        hint=hint or f"look up this code in the reference of {what}",
    )
    error.retryable = False  # the same request would get the same answer
    return error


def clock_hint(behind: timedelta, *, now: datetime) -> str:
    """Say what both clocks show; ``behind`` is how far ours is behind."""
    if abs(behind) <= _SKEW:
        return "set this machine's clock: AWS takes requests that are at most 5 minutes off"
    theirs = (now + behind).astimezone(UTC)
    return (
        f"set this machine's clock: it shows {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, "
        f"and AWS's {theirs:%Y-%m-%d %H:%M:%S}"
    )


def relabelled(error: ProviderError, *, ref: str) -> ProviderError:
    """Give an error of another store as one of ``ref``, which needs that store."""
    if error.ref == ref:
        return error
    made = type(error)(f"{ref}: {error}", ref=ref, hint=error.hint, retry_after=error.retry_after)
    made.retryable = error.retryable
    return made


def _who_may_not(refusal: Refusal) -> str:
    """Name who was refused what, where AWS says so in its usual sentence."""
    if refusal.code in _STALE:
        return "these credentials are over, inactive or deleted; look at where they come from"
    if refusal.code in _SIGNATURE:
        return "the secret access key does not belong to its id; store the pair again"
    match = _WHO.search(refusal.message)
    if match is None:
        return "look at the policies of who asks, of the resource, and of the organization"
    return f"allow {match[2]} to {match[1]}, or ask for something it may"


def _from_json(reply: Reply) -> tuple[str, str] | None:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    code = found.get("__type") or reply.headers.get("x-amzn-errortype", "")
    return str(code), str(found.get("message") or found.get("Message") or "")


def _from_markup(reply: Reply) -> tuple[str, str] | None:
    found = read_markup(reply.body) or {}
    code = found.get("Error/Code", "")
    return (code, found.get("Error/Message", "")) if code else None


def _behind(reply: Reply, now: datetime) -> timedelta:
    try:
        moment = parsedate_to_datetime(reply.headers.get("date", ""))
    except (ValueError, TypeError):
        return timedelta()
    return timedelta() if moment.tzinfo is None else moment - now
