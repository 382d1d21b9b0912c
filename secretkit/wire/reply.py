"""Replies: JSON read strictly, the wait a server asks for, and the error that a status means."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from secretkit.errors import AccessDeniedError, ProviderError, SecretNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretkit.core.message import Reply

__all__ = ["failure", "json_object", "retry_after"]

_LONGEST: Final = timedelta(hours=1)
_DEPTH: Final = 32
_SECONDS: Final = re.compile(r"[0-9]{1,20}")
_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
_DENIED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_WAIT: Final = frozenset({408, 425, 429})
_FIRST_SERVER: Final = 500
_REDIRECT: Final = range(300, 400)
_REFUSED: Final = range(400, 500)


def json_object(reply: Reply, *, ref: str) -> dict[str, Any]:
    """Read the body as one JSON object, whatever the status.

    Strict: UTF-8, no key twice (RFC 8259 §4), no NaN or Infinity, at most 32 levels deep.

    Raises:
        ProviderError: if it is anything else. It names the content type, never the body.
    """
    document = _object(reply.body)
    if document is None:
        raise ProviderError(
            f"{ref}: the answer is not a JSON object as it should be ({_kind(reply)})",
            ref=ref,
            hint="look whether the address names the service itself, and not a proxy's page",
        )
    return document


def retry_after(reply: Reply, *, now: datetime) -> timedelta | None:
    """Give how long the server asks to wait, at most an hour; None where it does not say.

    Reads Retry-After as seconds or as a date (RFC 9110 §10.2.3); ``now`` is aware.
    """
    text = reply.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(timedelta(seconds=min(int(text), 86_400)), _LONGEST)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    wait = moment - now
    return min(wait, _LONGEST) if wait >= timedelta() else None


def failure(reply: Reply, *, ref: str, now: datetime, what: str) -> ProviderError:
    """Give the error that a reply's status means; the caller raises it, or a better one.

    ``what`` names the service in the message. The body is not looked at. 401 and 403 mean
    AccessDeniedError, which drops a credential in hand: where the service says so of something
    else, make an error of your own.
    """
    status = reply.status
    if status in _DENIED:
        return AccessDeniedError(
            f"{ref}: {what} refuses (HTTP {status})",
            ref=ref,
            hint=f"look at what {what} lets this identity do",
        )
    if status == _NOT_FOUND:
        return SecretNotFoundError(
            f"{ref}: {what} does not have it (HTTP {status})",
            ref=ref,
            hint="look at the name, and whether the address is right",
        )
    if status in _WAIT or status >= _FIRST_SERVER:
        return ProviderError(
            f"{ref}: {what} cannot answer now (HTTP {status})",
            ref=ref,
            hint=f"look at the state of {what}; asking again later may help",
            retry_after=retry_after(reply, now=now),
        )
    if status in _REDIRECT:
        return ProviderError(
            f"{ref}: {what} answers with a redirect, which is not followed (HTTP {status})",
            ref=ref,
            hint="write the address that answers itself",
        )
    error = ProviderError(
        f"{ref}: {what} answers with HTTP {status}", ref=ref, hint=f"look at the log of {what}"
    )
    error.retryable = status not in _REFUSED  # the same request would get the same answer
    return error


def _kind(reply: Reply) -> str:
    """Give the content type, where it is one."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) else "no content type"


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(
            body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and _is_shallow(document) else None


def _is_shallow(document: object) -> bool:
    level = [document]
    for _ in range(_DEPTH):
        level = [inner for one in level for inner in _inside(one) if isinstance(inner, dict | list)]
        if not level:
            return True
    return False


def _inside(one: object) -> Iterable[object]:
    if isinstance(one, dict):
        return one.values()
    return one if isinstance(one, list) else ()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is given twice")
    return document


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("a number that JSON does not have")
