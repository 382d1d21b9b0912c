"""Answer: the token in what the token endpoint gave, or what is wrong with it.

Errors are given back and not raised: these frames hold the token in clear.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.credential import AccessToken
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretError
from secretkit.wire import json_object

if TYPE_CHECKING:
    from datetime import datetime

    from secretkit.core.message import Reply

__all__ = ["read_token"]

_LONGEST: Final = 86_400  # the most that a rule may say: rule_create_params.py of the SDK


def read_token(reply: Reply, *, asked_at: datetime, ref: str) -> AccessToken | ProviderError:
    """Give the token of an answer with status 200 (RFC 6749 §5.1), counted from ``asked_at``.

    A life that is no whole number above zero is refused; one over a day counts as a day.
    """
    try:
        document = json_object(reply, ref=ref)
    except ProviderError as error:
        return error.fresh()
    found = _token(document, asked_at)
    if isinstance(found, AccessToken):
        return found
    return ProviderError(
        f"{ref}: the answer of Claude's token endpoint cannot be used: {found}",
        ref=ref,
        hint="look whether base_url names the Claude API itself",
    )


def _token(document: dict[str, Any], asked_at: datetime) -> AccessToken | str:
    kind, life = document.get("token_type"), document.get("expires_in")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "token_type is not Bearer"
    if isinstance(life, bool) or not isinstance(life, int) or life <= 0:
        return "expires_in is no whole number of seconds"
    if not isinstance(document.get("access_token"), str):
        return "access_token is missing"
    end = asked_at + timedelta(seconds=min(life, _LONGEST))
    try:
        return AccessToken(Secret(document["access_token"]), end)
    except SecretError:
        return "access_token cannot stand in a header"
