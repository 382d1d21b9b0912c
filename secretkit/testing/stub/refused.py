"""RefusedError: an answer that is an error, in the shape the Claude API gives it."""

from __future__ import annotations

import json
from typing import Final

__all__ = ["ERROR_TYPES", "RefusedError", "error_body"]

# platform.claude.com, "Errors": the type that stands in the body for each status.
ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    411: "invalid_request_error",
    413: "request_too_large",
    417: "invalid_request_error",
    421: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    500: "api_error",
    504: "timeout_error",
    505: "invalid_request_error",
    529: "overloaded_error",
}


class RefusedError(Exception):
    """One request is refused; the message is constant text or names fields, never values."""

    def __init__(self, status: int, message: str, *, oauth: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.oauth = oauth
        self.headers: dict[str, str] = {}

    @property
    def type(self) -> str:
        """The error type in the body."""
        return self.oauth or ERROR_TYPES.get(self.status, "api_error")


def error_body(refused: RefusedError, *, request_id: str, kind: str = "") -> bytes:
    """Write the body: the API's shape, or RFC 6749 §5.2 where ``oauth`` names its code.

    ``kind`` takes the place of the status' own error type.
    """
    if refused.oauth:
        body: dict[str, object] = {
            "error": refused.oauth,
            "error_description": refused.message,
        }
    else:
        body = {
            "type": "error",
            "error": {"type": kind or refused.type, "message": refused.message},
            "request_id": request_id,
        }
    return json.dumps(body, separators=(",", ":")).encode()
