"""Api: a well-formed request in, an answer out. No sockets.

The order of checks is: route, method, credential, version, body. A script's step comes last, so a
client's own mistake is never hidden by it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from secretkit.testing.stub.oauth import BETAS
from secretkit.testing.stub.refused import RefusedError
from secretkit.testing.stub.resource import COLLECTIONS
from secretkit.testing.stub.schema import check_count_tokens, check_messages, read_object
from secretkit.testing.stub.sse import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.testing.stub.head import Head
    from secretkit.testing.stub.keys import KeyRing, Verdict
    from secretkit.testing.stub.limits import Meter
    from secretkit.testing.stub.oauth import Exchange
    from secretkit.testing.stub.organization import Organization

__all__ = ["MODELS", "VERSIONS", "Answer", "Api", "route_of"]

VERSIONS: Final = frozenset({"2023-06-01", "2026-10-21"})
MODELS: Final = ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5")
_OAUTH_BETA: Final = "oauth-2025-04-20"
_MODEL_PATH: Final = re.compile(r"/v1/models/([^/]+)")
_METHODS: Final = {
    "/v1/messages": "POST",
    "/v1/messages/count_tokens": "POST",
    "/v1/models": "GET",
    "/v1/models/{id}": "GET",
    "/v1/oauth/token": "POST",
}
_ORGANIZATION: Final = "/v1/organizations/"
_JSON: Final = re.compile(r'application/json(?:[ \t]*;[ \t]*charset="?utf-8"?)?', re.IGNORECASE)
_MAX_PAGE: Final = 1_000


@dataclass(slots=True)
class Answer:
    """A success: a JSON body, or events if it is streamed."""

    body: bytes = b""
    events: list[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0


def route_of(path: str) -> str:
    """Give the route's name, which is safe to log, or an empty string for none."""
    if path in _METHODS:
        return "" if "{" in path else path
    if path.startswith(_ORGANIZATION):
        kind = path.removeprefix(_ORGANIZATION).partition("/")[0]
        return f"{_ORGANIZATION}{kind}" if kind in COLLECTIONS else ""
    return "/v1/models/{id}" if _MODEL_PATH.fullmatch(path) else ""


class Api:
    """The endpoints. ``reply`` is the text of every message and may be set at any time."""

    def __init__(
        self,
        *,
        keys: KeyRing,
        meter: Meter,
        exchange: Exchange,
        organization: Organization,
        reply: str,
    ) -> None:
        self.reply = reply
        self._organization = organization
        self._keys = keys
        self._meter = meter
        self._exchange = exchange

    def verdict(self, head: Head) -> Verdict | None:
        """Say what is known of the credential presented, for the log; None if there is none."""
        secret = head.presented.secret
        return None if secret is None else self._keys.judge(secret)

    def check(self, head: Head, verdict: Verdict | None) -> str:
        """Check route, method and credential; give the route.

        Raises:
            RefusedError: 400, 401, 404 or 405.
        """
        route = route_of(head.path)
        if not route:
            raise RefusedError(404, "there is nothing at this path")
        allowed = _METHODS.get(route, "GET, POST")
        if head.method not in allowed.split(", "):
            refused = RefusedError(405, "this method is not allowed here")
            refused.headers["allow"] = allowed
            raise refused
        if route == "/v1/oauth/token":
            if head.presented.spelling:
                raise RefusedError(400, "send no credential here", oauth="invalid_request")
            return route
        _check_credential(head, verdict)
        _check_version(head.headers)
        if route.startswith(_ORGANIZATION) and verdict is not None:
            self._organization.check(verdict.label, is_token=verdict.is_token)
        return route

    def answer(self, route: str, head: Head, body: bytes, *, request_id: str) -> Answer:
        """Check the body and give the success.

        Raises:
            RefusedError: 400, 401 (token endpoint) or 404.
        """
        if head.method == "GET":
            return self._got(route, head, body)
        if not _JSON.fullmatch(head.headers.get("content-type", "")):
            raise RefusedError(400, "content-type: application/json is expected")
        if route.startswith(_ORGANIZATION):
            return self._administration(head, read_object(body or b"{}"))
        given = read_object(body)
        if route == "/v1/oauth/token":
            return self._token(head, given)
        # Older SDKs add ?beta=true; nothing else belongs into this query.
        if head.query and dict(head.query) != {"beta": "true"}:
            raise RefusedError(400, "an unknown query parameter")
        check: Callable[..., None] = check_messages
        if route == "/v1/messages/count_tokens":
            check = check_count_tokens
        check(given, with_betas=head.betas - {_OAUTH_BETA})
        if not str(given["model"]).startswith("claude-"):
            raise RefusedError(404, "model: there is no such model")
        tokens = _input_tokens(given)
        if route == "/v1/messages/count_tokens":
            return Answer(json.dumps({"input_tokens": tokens}).encode())
        return self._message(given, tokens, request_id=request_id)

    def meter(self, answer: Answer) -> dict[str, str]:
        """Count the answer against the rate limits and give their headers.

        Raises:
            RefusedError: 429.
        """
        try:
            self._meter.take(input_tokens=answer.input_tokens, output_tokens=answer.output_tokens)
        except RefusedError as refused:
            refused.headers.update(self._meter.headers())
            raise
        return self._meter.headers()

    def meter_headers(self) -> dict[str, str]:
        """Give the rate-limit headers without counting anything."""
        return self._meter.headers()

    def _message(self, given: Mapping[str, object], tokens: int, *, request_id: str) -> Answer:
        most = given["max_tokens"]
        reply = Reply(
            text=self.reply,
            model=str(given["model"]),
            message_id=request_id.replace("req_", "msg_"),
            input_tokens=tokens,
            max_tokens=most if isinstance(most, int) else 1,
        )
        answer = Answer(input_tokens=tokens, output_tokens=len(reply.pieces))
        if given.get("stream"):
            answer.events = reply.events()
        else:
            answer.body = reply.message()
        return answer

    def _token(self, head: Head, given: Mapping[str, object]) -> Answer:
        if not head.betas >= BETAS:
            raise RefusedError(
                400, f"anthropic-beta: {','.join(sorted(BETAS))}", oauth="invalid_request"
            )
        if head.query:
            raise RefusedError(400, "an unknown query parameter", oauth="invalid_request")
        return Answer(self._exchange.mint(given).body(), headers={"cache-control": "no-store"})

    def _got(self, route: str, head: Head, body: bytes) -> Answer:
        if body:
            raise RefusedError(400, "a GET has no body here")
        if route.startswith(_ORGANIZATION):
            return self._administration(head, {})
        return self._models(route, head)

    def _administration(self, head: Head, given: Mapping[str, object]) -> Answer:
        return Answer(
            self._organization.answer(head.method, head.path, query=head.query, given=given)
        )

    def _models(self, route: str, head: Head) -> Answer:
        if route == "/v1/models":
            return Answer(json.dumps(_page(head.query)).encode())
        name = head.path.removeprefix("/v1/models/")
        if name not in MODELS:
            raise RefusedError(404, "there is no such model")
        return Answer(json.dumps(_model(name)).encode())


def _check_credential(head: Head, verdict: Verdict | None) -> None:
    if verdict is None:
        raise RefusedError(401, head.presented.problem)
    if verdict.state != "accepted":
        reasons = {"expired": "the credential has expired", "refused": "the credential was revoked"}
        raise RefusedError(401, reasons.get(verdict.state, "invalid credential"))
    if not verdict.is_token:
        return
    if head.presented.spelling != "bearer":
        raise RefusedError(401, "an access token belongs into Authorization: Bearer")
    if _OAUTH_BETA not in head.betas:
        raise RefusedError(401, f"an access token needs anthropic-beta: {_OAUTH_BETA}")


def _check_version(headers: Mapping[str, str]) -> None:
    version = headers.get("anthropic-version")
    if version is None:
        raise RefusedError(400, "anthropic-version: header is required")
    if version not in VERSIONS:
        raise RefusedError(400, f"anthropic-version: one of {', '.join(sorted(VERSIONS))}")


def _input_tokens(given: Mapping[str, object]) -> int:
    """Count four characters of JSON as a token: stable, and no tokenizer."""
    counted = {name: given[name] for name in ("system", "messages", "tools") if name in given}
    return max(1, len(json.dumps(counted)) // 4)


def _page(query: Mapping[str, str]) -> dict[str, object]:
    if query.keys() - {"limit", "after_id", "before_id"}:
        raise RefusedError(400, "an unknown query parameter")
    limit = query.get("limit", "20")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", limit) or int(limit) > _MAX_PAGE:
        raise RefusedError(400, f"limit: a whole number from 1 to {_MAX_PAGE} is expected")
    for name in ("after_id", "before_id"):
        if name in query and query[name] not in MODELS:
            raise RefusedError(400, f"{name}: there is no such model")
    first = MODELS.index(query["after_id"]) + 1 if "after_id" in query else 0
    end = MODELS.index(query["before_id"]) if "before_id" in query else len(MODELS)
    backwards = "before_id" in query and "after_id" not in query
    page = MODELS[first:end][-int(limit) :] if backwards else MODELS[first:end][: int(limit)]
    return {
        "data": [_model(name) for name in page],
        "has_more": len(MODELS[first:end]) > len(page),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _model(name: str) -> dict[str, object]:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": datetime(2025, 10, 1, tzinfo=UTC).isoformat(),
        "lifecycle": "active",
    }
