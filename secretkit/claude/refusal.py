"""Refusal: what an answer of the token endpoint means, when it is no token.

No text of the answer is shown: an error may repeat the assertion. What is shown is the code that
RFC 6749 §5.2 gives it, and the request's id.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from secretkit.wire import failure

if TYPE_CHECKING:
    from datetime import datetime

    from secretkit.claude.grant import Grant, Said
    from secretkit.core.message import Reply
    from secretkit.errors import SecretkitError

__all__ = ["refusal", "unidentified", "used_before"]

_DENIED: Final = {401, 403}
_CONFIG: Final = {400, 404, 405, 413, 415, 422}
# RFC 6749 §5.2; the service is known to answer 400 as well as 401 with the first of them.
_DENIALS: Final = {"invalid_grant", "invalid_client", "unauthorized_client", "access_denied"}
_CODE: Final = re.compile(r"[a-z_]{1,40}")
_REQUEST: Final = re.compile(r"req_[A-Za-z0-9]{1,64}")
_EVENTS: Final = "the Claude Console lists the attempt under Workload identity"


def refusal(reply: Reply, *, ref: str, grant: Grant, said: Said, now: datetime) -> SecretkitError:
    """Give the error that an answer other than 200 means; the caller raises it."""
    code = _code(reply)
    what = f"HTTP {reply.status}" + (f", {code}" if code else "") + _request(reply)
    if reply.status in _DENIED or (reply.status in _CONFIG and code in _DENIALS):
        return AccessDeniedError(
            f"{ref}: Claude gives no token by rule {grant.federation_rule_id} ({what})",
            ref=ref,
            hint=_denied_hint(grant, said),
        )
    if reply.status in _CONFIG:
        return ConfigError(
            f"{ref}: Claude cannot read the request for a token ({what})",
            hint="look at federation_rule_id, organization_id, service_account_id and workspace_id "
            f"of this credential, and at base_url; {_EVENTS}",
        )
    return failure(reply, ref=ref, now=now, what="Claude's token endpoint")


def used_before(denied: AccessDeniedError, *, ref: str, grant: Grant) -> ProviderError:
    """Give the error for an assertion that was sent before: that says nothing of a token in hand.

    The service takes an assertion with a ``jti`` once, unless its issuer has ``check_jti = false``.
    """
    return ProviderError(
        f"{denied.args[0]}; the identity gave the same token as before, and Claude takes it once",
        ref=ref,
        hint="use an identity that gives a new token each time, or set check_jti = false for the "
        f"issuer of rule {grant.federation_rule_id}; {_EVENTS}",
    )


def unidentified(error: ProviderError, *, ref: str, identity: str) -> ProviderError:
    """Give the error for an identity that gives nothing. A token in hand is good to its end.

    So it is never AccessDeniedError: Claude was not asked, and has not said no.
    """
    kind = ProviderTimeoutError if isinstance(error, ProviderTimeoutError) else None
    made = (kind or ProviderUnavailableError)(
        f"{ref}: no identity to show to Claude: {error.args[0] if error.args else identity}",
        ref=ref,
        hint=error.hint,
        retry_after=error.retry_after,
    )
    made.retryable = error.retryable
    return made


def _denied_hint(grant: Grant, said: Said) -> str:
    account = grant.service_account_id or "(service_account_id is not set)"
    where = "" if grant.workspace_id else "; set workspace_id if the rule has several workspaces"
    return (
        f"rule {grant.federation_rule_id} with service account {account} has to match what was "
        f"sent: {said}{where}; {_EVENTS}"
    )


def _code(reply: Reply) -> str:
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    code = document.get("error") if isinstance(document, dict) else None
    if isinstance(code, dict):  # the shape of the rest of the API
        code = code.get("type")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _request(reply: Reply) -> str:
    found = reply.headers.get("request-id", "")
    return f", {found}" if _REQUEST.fullmatch(found) else ""
