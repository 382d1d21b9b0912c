"""What comes in and what goes out, and the two shapes in which AWS writes an error."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Answer", "AwsRefusedError", "Incoming", "json_answer", "refusal", "xml_answer"]

_STS: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
_SERVER: Final = 500
_BAD: Final = 400
# One fact has two names: that of the query protocol (STS) and that of the JSON ones.
_QUERY_NAMES: Final = {
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 403),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "AccessDeniedException": ("AccessDenied", 403),
    "ThrottlingException": ("Throttling", 400),
    "IdentityTokenExpired": ("ExpiredTokenException", 400),
}


class AwsRefusedError(Exception):
    """An answer that is an error: AWS's code, its message and the status."""

    def __init__(self, code: str, message: str, status: int = _BAD) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status
        self.headers: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One request as it came: path and query are the bytes of the request line, header names lower.

    ``region`` is that of the endpoint it came to.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    region: str

    def header(self, name: str) -> str:
        """Give a header's value, or an empty text."""
        return next((value for one, value in self.headers if one == name), "")


@dataclass(slots=True, kw_only=True)
class Answer:
    """A status, headers and a body; ``pieces`` is a body that is sent bit by bit."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    pieces: tuple[bytes, ...] | None = field(default=None, repr=False)


def json_answer(body: Mapping[str, object], *, kind: str = "application/x-amz-json-1.1") -> Answer:
    """Give a JSON answer."""
    headers = {"content-type": kind, "x-amzn-requestid": str(uuid.uuid4())}
    return Answer(headers=headers, body=json.dumps(body).encode())


def xml_answer(action: str, lines: Iterable[tuple[str, str]]) -> Answer:
    """Give an STS answer. A name may be a path, as ``Credentials/AccessKeyId``."""
    request_id = str(uuid.uuid4())
    body = (
        f'<{action}Response xmlns="{_STS}"><{action}Result>{_nested(lines)}</{action}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    )
    return Answer(
        headers={"content-type": "text/xml", "x-amzn-requestid": request_id}, body=body.encode()
    )


def refusal(error: AwsRefusedError, *, protocol: str) -> Answer:
    """Write the error for ``protocol``: "query" (STS), "json" (1.1), or "rest" (Bedrock)."""
    request_id = str(uuid.uuid4())
    headers = error.headers | {"x-amzn-requestid": request_id}
    if protocol == "query":
        code, status = _QUERY_NAMES.get(error.code, (error.code, error.status))
        status = max(status, error.status)
        fault = "Receiver" if status >= _SERVER else "Sender"
        text = (
            f'<ErrorResponse xmlns="{_STS}"><Error><Type>{fault}</Type><Code>{code}</Code>'
            f"<Message>{escape(error.message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Answer(
            status=status, headers=headers | {"content-type": "text/xml"}, body=text.encode()
        )
    if protocol == "json":
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        kind = {"content-type": "application/x-amz-json-1.1"}
        return Answer(status=error.status, headers=headers | kind, body=body)
    status = _QUERY_NAMES.get(error.code, ("", error.status))[1]
    status = 429 if error.code == "ThrottlingException" else max(status, error.status)
    kind = {"content-type": "application/json", "x-amzn-errortype": error.code}
    body = json.dumps({"message": error.message}).encode()
    return Answer(status=status, headers=headers | kind, body=body)


def _nested(lines: Iterable[tuple[str, str]]) -> str:
    text, inside = "", ""
    for path, value in lines:
        group, _, name = path.rpartition("/")
        if group != inside:
            text += (f"</{inside}>" if inside else "") + (f"<{group}>" if group else "")
            inside = group
        text += f"<{name}>{escape(value)}</{name}>"
    return text + (f"</{inside}>" if inside else "")
