"""AWS Signature Version 4 over one frozen snapshot of credentials: headers, or a presigned URL.

Pure: the moment is a parameter, nothing is asked and nothing is kept. Signing covers the bytes that
are sent, so call it last, with the URL exactly as it goes out. Signed are ``host``,
``content-type``, ``x-amz-*``, ``anthropic-*`` and what the caller names: nothing that a client
library or a proxy adds or changes on the way.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
The signing key is derived anew for each request: its four HMACs take 7 µs, less than a cache is
worth that would hold a key good for the whole day (docs/decisions/0017).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from secretkit.core.record import record
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from secretkit.core.credential import AwsCredentials

__all__ = ["Headers", "presign", "sign"]

Headers = Mapping[str, str] | tuple[tuple[str, str], ...]
"""Header lines as a mapping, or as pairs where a name may come twice."""

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SIGNED: Final = ("x-amz-", "anthropic-")
_DATE: Final = "x-amz-date"
_SESSION: Final = "x-amz-security-token"
_CONTENT: Final = "x-amz-content-sha256"
_PLAIN_PATH: Final = frozenset({"s3", "s3-object-lambda", "s3-outposts", "s3express"})
_UNSIGNED_BODY: Final = "UNSIGNED-PAYLOAD"
_LONGEST: Final = timedelta(days=7)  # X-Amz-Expires, in the source above
_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"https?://[\x21\x22\x24-\x7e]+")  # visible ASCII but "#": as it is sent
_SCOPE: Final = re.compile(r"[a-z0-9-]{1,64}")
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


@record(kw_only=True)
class _Scope:
    """What a signature is bound to beside the request."""

    stamp: str
    region: str
    service: str

    def text(self) -> str:
        return f"{self.stamp[:8]}/{self.region}/{self.service}/aws4_request"


def sign(  # noqa: PLR0913 - what a signature is bound to
    *,
    method: str,
    url: str,
    headers: Headers,
    body: bytes,
    credentials: AwsCredentials,
    service: str,
    region: str,
    at: datetime,
    also: Collection[str] = (),
) -> dict[str, str]:
    """Give the headers that make this request a signed one; put them over those of their names.

    They are ``authorization``, ``x-amz-date``, with a session ``x-amz-security-token``, and for S3
    ``x-amz-content-sha256``; values of these names in ``headers`` are not looked at. ``url`` and
    ``headers`` are as they are sent, ``also`` names further headers to sign, in lower case, ``at``
    is an aware moment. Thread-safe; costs about 35 µs and one SHA-256 of the body.

    Raises:
        ConfigError: for any of these that is malformed or could be read in two ways.
    """
    scope, parts = _scope(method, service, region, at), _split(url)
    payload = sha256(body).hexdigest()
    lines = _chosen(headers, parts, also)
    given = {_DATE: scope.stamp}
    if credentials.session_token is not None:
        given[_SESSION] = credentials.session_token.reveal()
    if service in _PLAIN_PATH:
        given[_CONTENT] = payload
    lines |= given
    names = ";".join(sorted(lines))
    path, query = _path(parts.path, service), _joined(_pairs(parts.query))
    request = _canonical(method, path, query, lines, payload)
    signature = _signature(credentials, scope, request)
    given["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope.text()}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return given


def presign(  # noqa: PLR0913 - what a signature is bound to
    *,
    method: str,
    url: str,
    credentials: AwsCredentials,
    service: str,
    region: str,
    at: datetime,
    expires: timedelta,
    headers: Headers = (),
    also: Collection[str] = (),
) -> str:
    """Give ``url`` with the signature in its query, good for ``expires`` from ``at``.

    Whoever holds the URL may send the request: treat it as a secret. It ends with the session, too.
    The headers signed are chosen as in :func:`sign` and have to be sent with it; the body is the
    empty one, for S3 any. Thread-safe.

    Raises:
        ConfigError: as :func:`sign`; for an ``expires`` that is not whole seconds, at least one and
            at most 7 days; for a URL that is presigned already.
    """
    scope, parts = _scope(method, service, region, at), _split(url)
    seconds = _seconds(expires)
    lines = _chosen(headers, parts, also)
    pairs = _pairs(parts.query)
    if any(name.lower().startswith("x-amz-") for name, _ in pairs):
        raise ConfigError("this URL is presigned already", hint="sign the URL without its query")
    pairs += _encoded(
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{credentials.access_key_id}/{scope.text()}"),
        ("X-Amz-Date", scope.stamp),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", ";".join(sorted(lines))),
    )
    if credentials.session_token is not None:
        pairs += _encoded(("X-Amz-Security-Token", credentials.session_token.reveal()))
    payload = _UNSIGNED_BODY if service in _PLAIN_PATH else sha256(b"").hexdigest()
    query = _joined(pairs)
    request = _canonical(method, _path(parts.path, service), query, lines, payload)
    signature = _signature(credentials, scope, request)
    return parts._replace(query=f"{query}&X-Amz-Signature={signature}").geturl()


def _scope(method: str, service: str, region: str, at: datetime) -> _Scope:
    if not _METHOD.fullmatch(method):
        raise ConfigError("an HTTP method is in upper case", hint='for example "POST"')
    if not (_SCOPE.fullmatch(service) and _SCOPE.fullmatch(region)):
        raise ConfigError(
            "an AWS service and region are lower-case letters, digits and hyphens",
            hint='for example "bedrock" and "us-east-1"',
        )
    if at.tzinfo is None:
        raise ConfigError("a signature needs a moment with a time zone", hint="use Clock.now()")
    return _Scope(stamp=f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}", region=region, service=service)


def _split(url: str) -> SplitResult:
    """Take the URL apart. urlsplit drops line breaks and tabs, so they are refused before."""
    if not _URL.fullmatch(url):
        raise ConfigError(
            "only an http or https URL as it is sent can be signed",
            hint="quote what is not visible ASCII, and leave the fragment out",
        )
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0 and "@" not in parts.netloc:
            return parts
    except ValueError:
        pass  # a port or an IPv6 address that is none
    raise ConfigError("a signed URL needs a host and no user in it", hint="https://HOST/PATH")


def _seconds(expires: timedelta) -> int:
    if not timedelta(seconds=1) <= expires <= _LONGEST or expires.microseconds:
        raise ConfigError(
            "a presigned URL lasts whole seconds, from 1 s to 7 days", hint="timedelta(hours=12)"
        )
    return round(expires.total_seconds())


def _chosen(headers: Headers, parts: SplitResult, also: Collection[str]) -> dict[str, str]:
    """Give the headers to sign, in lower case; one that comes twice is joined by a comma."""
    pairs: Iterable[tuple[str, str]] = headers.items() if isinstance(headers, Mapping) else headers
    lines: dict[str, str] = {}
    for given, value in pairs:
        name = given.lower()
        if name in {_DATE, _SESSION, _CONTENT}:
            continue
        if name in {"host", "content-type"} or name.startswith(_SIGNED) or name in also:
            if not _VALUE.fullmatch(value):
                raise ConfigError(f"header {name!r} cannot be signed", hint="use printable ASCII")
            text = " ".join(value.split())
            lines[name] = f"{lines[name]},{text}" if name in lines else text
    lines.setdefault("host", _host(parts))
    return lines


def _host(parts: SplitResult) -> str:
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    return host if parts.port in {None, _PORTS[parts.scheme]} else f"{host}:{parts.port}"


def _path(path: str, service: str) -> str:
    """Give the path as sent, quoted once more; S3 takes it as it stands."""
    if service in _PLAIN_PATH:
        return path or "/"
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in {"", "."}:
            kept.append(part)
    end = "/" if path.endswith("/") and kept else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


def _pairs(query: str) -> list[tuple[str, str]]:
    found = (pair.partition("=") for pair in query.split("&") if pair)
    return [(_quoted(name), _quoted(value)) for name, _, value in found]


def _quoted(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _encoded(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    return [(name, quote(value, safe="-_.~")) for name, value in pairs]


def _joined(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _canonical(method: str, path: str, query: str, lines: dict[str, str], payload: str) -> str:
    names = sorted(lines)
    headers = "".join(f"{name}:{lines[name]}\n" for name in names)
    return "\n".join((method, path, query, headers, ";".join(names), payload))


def _signature(credentials: AwsCredentials, scope: _Scope, request: str) -> str:
    hashed = sha256(request.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{scope.stamp}\n{scope.text()}\n{hashed}"
    return _hmac(
        _hmac(
            _hmac(
                _hmac(
                    _hmac(f"AWS4{credentials.secret.reveal()}".encode(), scope.stamp[:8]),
                    scope.region,
                ),
                scope.service,
            ),
            "aws4_request",
        ),
        text,
    ).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return digest(key, text.encode(), "sha256")
