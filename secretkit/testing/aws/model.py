"""Claude on AWS: three endpoints over the stand-in's own messages, as JSON or as a stream.

Bedrock streams ``application/vnd.amazon.eventstream`` (prelude, headers, payload, each with its
CRC-32: https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html); the others stream SSE.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import struct
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from secretkit.testing.aws.message import Answer, AwsRefusedError, Incoming
from secretkit.testing.stub.api import VERSIONS
from secretkit.testing.stub.refused import RefusedError
from secretkit.testing.stub.schema import check_messages, read_object
from secretkit.testing.stub.sse import Reply

if TYPE_CHECKING:
    from secretkit.testing.aws.account import Holder
    from secretkit.testing.aws.signature import Verifier

__all__ = ["Claude", "service_of"]

_BEDROCK: Final = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)")
_VERSIONS: Final = VERSIONS | {"bedrock-2023-05-31"}  # AWS's page has this one, SDK 2.12 the newest
_BEARER: Final = "bedrock-api-key-"
_SERVICES: Final = {
    "/anthropic/v1/messages": "bedrock-mantle",
    "/v1/messages": "aws-external-anthropic",
}
_ACTIONS: Final = {
    "bedrock": "bedrock:InvokeModel",
    "bedrock-mantle": "bedrock-mantle:CreateInference",
    "aws-external-anthropic": "aws-external-anthropic:CreateInference",
}
_INVALID: Final = "Authentication failed: Please make sure your API Key is valid."


def service_of(request: Incoming) -> tuple[str, str]:
    """Give the signing service and the action of a path, or two empty texts."""
    service = "bedrock" if _BEDROCK.fullmatch(request.path) else _SERVICES.get(request.path, "")
    action = _ACTIONS.get(service, "")
    return service, f"{action}WithResponseStream" if request.path.endswith("-stream") else action


class Claude:
    """The endpoints. ``reply`` is the text of every message; ``workspace`` the one that exists."""

    def __init__(self, verifier: Verifier, *, reply: str) -> None:
        self.reply, self.workspace = reply, "wrkspc_test"
        self._verifier = verifier

    def holder(self, request: Incoming, *, service: str) -> Holder:
        """Give who sent it: by a bearer made of a presigned URL, or by the request's signature."""
        kind, _, token = request.header("authorization").partition(" ")
        if request.header("x-api-key"):
            kind, token = "Bearer", request.header("x-api-key")
        if kind != "Bearer":
            return self._verifier.holder(request, service=service)
        try:
            if not token.startswith(_BEARER):
                raise AwsRefusedError("AccessDeniedException", _INVALID, 403)
            text = base64.b64decode(token.removeprefix(_BEARER), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            raise AwsRefusedError("AccessDeniedException", _INVALID, 403) from None
        host, _, query = text.removesuffix("&Version=1").partition("/?")
        if host != "bedrock.amazonaws.com" or "Action=CallWithBearerToken" not in query:
            raise AwsRefusedError("AccessDeniedException", _INVALID, 403)
        presigned = Incoming(
            method="POST",
            path="/",
            query=query,
            headers=(("host", host),),
            body=b"",
            region=request.region,
        )
        return self._verifier.holder(presigned, service="bedrock")

    def answer(self, request: Incoming, *, service: str) -> Answer:
        """Give the message, whole or as a stream."""
        try:
            given = read_object(request.body)
            model, is_stream = self._checked(request, given, service)
        except RefusedError as refused:
            raise AwsRefusedError("ValidationException", str(refused), 400) from None
        reply = Reply(
            text=self.reply,
            model=model,
            message_id=f"msg_bdrk_{secrets.token_hex(8)}",
            input_tokens=8,
            max_tokens=int(str(given["max_tokens"])),
        )
        if not is_stream:
            return Answer(headers={"content-type": "application/json"}, body=reply.message())
        if service == "bedrock":
            kind, pieces = "application/vnd.amazon.eventstream", _event_stream(reply)
        else:
            kind, pieces = "text/event-stream; charset=utf-8", tuple(reply.events())
        return Answer(headers={"content-type": kind}, pieces=pieces)

    def _checked(
        self, request: Incoming, given: dict[str, object], service: str
    ) -> tuple[str, bool]:
        """Give the model and whether a stream is asked for."""
        betas = frozenset(filter(None, request.header("anthropic-beta").split(",")))
        match = _BEDROCK.fullmatch(request.path)
        if match is None:
            workspace = request.header("anthropic-workspace-id")
            if service == "aws-external-anthropic" and workspace != self.workspace:
                raise AwsRefusedError("AccessDeniedException", "no such workspace", 403)
            if not request.header("anthropic-version"):
                raise AwsRefusedError("ValidationException", "anthropic-version is required")
            check_messages(given, with_betas=betas)
            return str(given["model"]), bool(given.get("stream"))
        model = unquote(match[1])
        if given.get("anthropic_version") not in _VERSIONS or "model" in given:
            message = "anthropic_version is required, and the model stands in the path"
            raise AwsRefusedError("ValidationException", message)
        plain = {k: v for k, v in given.items() if k not in {"anthropic_version", "anthropic_beta"}}
        check_messages(plain | {"model": model}, with_betas=betas)
        return model, match[2] != "invoke"


def _event_stream(reply: Reply) -> tuple[bytes, ...]:
    frames = []
    for event in reply.events():
        data = event.partition(b"data: ")[2].rstrip()
        payload = json.dumps({"bytes": base64.b64encode(data).decode()}).encode()
        frames.append(_frame(payload))
    return tuple(frames)


def _frame(payload: bytes) -> bytes:
    headers = b"".join(
        struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value
        for name, value in (
            (b":event-type", b"chunk"),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    prelude = struct.pack("!II", 12 + len(headers) + len(payload) + 4, len(headers))
    start = prelude + struct.pack("!I", zlib.crc32(prelude))
    frame = start + headers + payload
    return frame + struct.pack("!I", zlib.crc32(frame))
