"""Checks a request's signature. Written from AWS's page alone, not from what signs in secretkit.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from secretkit.testing.aws.message import AwsRefusedError

if TYPE_CHECKING:
    from secretkit.testing.aws.account import Accounts, Holder
    from secretkit.testing.aws.message import Incoming

__all__ = ["Verifier"]

_SKEW: Final = timedelta(minutes=5)
_LONGEST: Final = timedelta(days=7)
_HEADER: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^, ]+), ?SignedHeaders=(?P<names>[^, ]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_INVALID: Final = "The security token included in the request is invalid."
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What stands after ``Credential=``."""

    key_id: str
    day: str
    region: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What a request says of its signature."""

    scope: _Scope
    names: tuple[str, ...]
    signature: str
    stamp: str
    token: str
    payload: str
    life: timedelta | None = None


class Verifier:
    """Says who signed a request, or refuses it. Thread-safe."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def holder(self, request: Incoming, *, service: str) -> Holder:
        """Give who signed ``request`` for ``service`` in its endpoint's region.

        Raises:
            AwsRefusedError: with the code AWS gives for what is wrong.
        """
        claim = _presigned(request) if "X-Amz-Signature=" in request.query else _headed(request)
        _check_scope(claim, request, service)
        moment = _moment(claim.stamp)
        holder = self._accounts.find(claim.scope.key_id)
        if holder is None or holder.inactive:
            raise AwsRefusedError("UnrecognizedClientException", _INVALID)
        token = holder.credentials.session_token
        expected = "" if token is None else token.reveal()
        if not hmac.compare_digest(claim.token.encode(), expected.encode()):
            raise AwsRefusedError("UnrecognizedClientException", _INVALID)
        key = holder.credentials.secret.reveal()
        made = _signature(key, claim, request)
        if not hmac.compare_digest(made, claim.signature):
            raise AwsRefusedError("InvalidSignatureException", _MISMATCH)
        self._check_time(claim, moment)
        if holder.ends_at is not None and self._accounts.clock.now() >= holder.ends_at:
            message = "The security token included in the request is expired"
            raise AwsRefusedError("ExpiredTokenException", message)
        return holder

    def _check_time(self, claim: _Claim, moment: datetime) -> None:
        now = self._accounts.clock.now()
        latest = moment + (_SKEW if claim.life is None else claim.life)
        if now > latest:
            raise AwsRefusedError(
                "InvalidSignatureException",
                f"Signature expired: {claim.stamp} is now earlier than "
                f"{now - _SKEW:%Y%m%dT%H%M%SZ} ({now:%Y%m%dT%H%M%SZ} - 5 min.)",
            )
        if moment > now + _SKEW:
            raise AwsRefusedError(
                "InvalidSignatureException",
                f"Signature not yet current: {claim.stamp} is still later than "
                f"{now + _SKEW:%Y%m%dT%H%M%SZ} ({now:%Y%m%dT%H%M%SZ} + 5 min.)",
            )


def _headed(request: Incoming) -> _Claim:
    given = request.header("authorization")
    if not given:
        raise AwsRefusedError(
            "MissingAuthenticationTokenException", "Request is missing Authentication Token"
        )
    match = _HEADER.fullmatch(given)
    stamp = request.header("x-amz-date")
    if match is None or not stamp:
        raise AwsRefusedError(
            "IncompleteSignatureException", "Authorization header or X-Amz-Date is not as expected."
        )
    names = tuple(match["names"].split(";"))
    payload = hashlib.sha256(request.body).hexdigest()
    if request.header("x-amz-content-sha256") not in {"", payload}:
        raise AwsRefusedError("InvalidSignatureException", _MISMATCH)
    _check_names(names, request)
    return _Claim(
        scope=_scope_of(match["credential"]),
        names=names,
        signature=match["signature"],
        stamp=stamp,
        token=request.header("x-amz-security-token"),
        payload=payload,
    )


def _presigned(request: Incoming) -> _Claim:
    given = dict(_pairs(request.query))
    try:
        names = tuple(_text(given["X-Amz-SignedHeaders"]).split(";"))
        _check_names(names, request)
        return _Claim(
            scope=_scope_of(_text(given["X-Amz-Credential"])),
            names=names,
            signature=given["X-Amz-Signature"],
            stamp=given["X-Amz-Date"],
            token=_text(given.get("X-Amz-Security-Token", "")),
            payload=hashlib.sha256(request.body).hexdigest(),
            life=min(timedelta(seconds=int(given["X-Amz-Expires"])), _LONGEST),
        )
    except (KeyError, ValueError):
        message = "AWS query-string parameters must include X-Amz-*."
        raise AwsRefusedError("IncompleteSignatureException", message) from None


def _check_names(names: tuple[str, ...], request: Incoming) -> None:
    """The host, what is Amazon's own and the type of the body have to be signed."""
    there = {name for name, _ in request.headers}
    must = {name for name in there if name.startswith("x-amz-") or name == "content-type"}
    if list(names) != sorted(set(names)) or (must | {"host"}) - set(names):
        raise AwsRefusedError("InvalidSignatureException", _MISMATCH)


def _scope_of(credential: str) -> _Scope:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":  # noqa: PLR2004 - id/day/region/service/end
        message = "Credential must have exactly 5 slash-delimited elements."
        raise AwsRefusedError("IncompleteSignatureException", message)
    return _Scope(key_id=parts[0], day=parts[1], region=parts[2], service=parts[3])


def _check_scope(claim: _Claim, request: Incoming, service: str) -> None:
    wrong = (
        (claim.scope.region != request.region, "region"),
        (claim.scope.service != service, "service"),
        (claim.scope.day != claim.stamp[:8], "date"),
    )
    for is_wrong, what in wrong:
        if is_wrong:
            message = f"Credential should be scoped to a valid {what}."
            raise AwsRefusedError("InvalidSignatureException", message)


def _moment(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        message = "Date must be in ISO-8601 'basic format'."
        raise AwsRefusedError("IncompleteSignatureException", message) from None


def _signature(key: str, claim: _Claim, request: Incoming) -> str:
    canonical = "\n".join(
        [
            request.method,
            _path(request.path),
            _query(request.query),
            *[f"{name}:{_value(request, name)}" for name in claim.names],
            "",
            ";".join(claim.names),
            claim.payload,
        ]
    )
    parts = (claim.scope.day, claim.scope.region, claim.scope.service, "aws4_request")
    digest = hashlib.sha256(canonical.encode("latin-1", "replace")).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{claim.stamp}\n{'/'.join(parts)}\n{digest}"
    step = f"AWS4{key}".encode()
    for part in parts:
        step = hmac.new(step, part.encode(), hashlib.sha256).digest()
    return hmac.new(step, text.encode(), hashlib.sha256).hexdigest()


def _value(request: Incoming, name: str) -> str:
    values = [" ".join(value.split()) for one, value in request.headers if one == name]
    if not values:
        raise AwsRefusedError("InvalidSignatureException", _MISMATCH)
    return ",".join(values)


def _path(path: str) -> str:
    """Take the dots out (RFC 3986 §5.2.4) and empty segments, and quote the rest again."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == ".." and segments:
            segments.pop()
        elif segment not in {"", ".", ".."}:
            segments.append(quote(segment, safe="~"))
    tail = "/" if segments and path[-1] == "/" else ""
    return "/" + "/".join(segments) + tail


def _pairs(query: str) -> list[tuple[str, str]]:
    found = [pair.partition("=") for pair in query.split("&") if pair]
    return [(name, value) for name, _, value in found]


def _query(query: str) -> str:
    coded = [
        (quote(unquote_to_bytes(name), safe="~"), quote(unquote_to_bytes(value), safe="~"))
        for name, value in _pairs(query)
        if name != "X-Amz-Signature"
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(coded))


def _text(quoted: str) -> str:
    return unquote_to_bytes(quoted).decode("latin-1")
