"""Reasons: what an answer of Vault or OpenBao means, as an error with the next thing to do.

Statuses: https://developer.hashicorp.com/vault/api-docs#http-status-codes. Measured on OpenBao
2.7.2: sealed and uninitialised both answer 503 with "Vault is sealed"; a token that is not valid
and a policy that does not allow both answer 403. The answer's text is compared with known phrases
and never shown: it may repeat what was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderUnavailableError,
    SecretNotFoundError,
)
from secretkit.wire import failure, json_object, retry_after

if TYPE_CHECKING:
    from datetime import datetime

    from secretkit.core.message import Reply

__all__ = [
    "AwayError",
    "document",
    "has_text",
    "inner",
    "is_denial",
    "login_refused",
    "reason",
    "unwell",
]

_OK: Final = 200
_EMPTY: Final = 204
_BAD: Final = 400
_UNAUTHORISED: Final = 401
_DENIED: Final = 403
_MISSING: Final = 404
_NOT_ALLOWED: Final = 405
_THROTTLED: Final = 429
_SECONDARY: Final = 472
_PERFORMANCE: Final = 473
_NOT_INITIALISED: Final = 501
_AWAY: Final = 503
_ANSWERS: Final = frozenset({400, 401, 403, 404, 405})
_REDIRECT: Final = range(300, 400)
_LARGE: Final = 413

_STANDBY_HINT: Final = "write the address of the active node, or of the load balancer before it"
_POLICY_HINT: Final = (
    "look at the policies of the login: secretkit provider test shows as whom it is known; "
    "a path that does not exist is refused in the same way"
)


class AwayError(ProviderError):
    """HTTP 503: the server's health says why; :func:`unwell` makes the error to show of it."""


def document(reply: Reply, *, ref: str) -> dict[str, Any]:
    """Give the answer's JSON object, empty where there is no body.

    Raises:
        ProviderError: if it is anything else, such as a proxy's page.
    """
    return {} if reply.status == _EMPTY else json_object(reply, ref=ref)


def inner(reply: Reply, key: str, *, ref: str) -> dict[str, Any]:
    """Give the object under ``key`` of the answer, empty if there is none.

    Raises:
        ProviderError: as :func:`document`.
    """
    found = document(reply, ref=ref).get(key)
    return found if isinstance(found, dict) else {}


def has_text(reply: Reply, *phrases: str) -> bool:
    """Say whether the answer's errors hold one of ``phrases``, which are in lower case."""
    return any(phrase.encode() in reply.body.lower() for phrase in phrases)


def is_denial(reply: Reply) -> bool:
    """Say whether Vault itself answers 403, and not a proxy before it with a page."""
    return reply.status == _DENIED and _is_vaults(reply)


def reason(reply: Reply, *, ref: str, now: datetime) -> ProviderError | None:
    """Give the error that an answer on a path means, or None if it is none."""
    if reply.status in {_OK, _EMPTY}:
        return None
    if reply.status in _ANSWERS and not _is_vaults(reply):
        return _of_another(reply, ref)
    if reply.status == _DENIED:
        return AccessDeniedError(
            f"{ref}: Vault does not allow it (HTTP 403)", ref=ref, hint=_POLICY_HINT
        )
    if reply.status == _MISSING:
        return _absent(reply, ref)
    if reply.status in {_BAD, _NOT_ALLOWED}:
        return _unusable(reply, ref)
    return _elsewhere(reply, ref, now)


def _is_vaults(reply: Reply) -> bool:
    try:
        json_object(reply, ref="")
    except ProviderError:
        return False
    return True


def _of_another(reply: Reply, ref: str) -> ProviderError:
    """Give the error of an answer that is not Vault's: nobody refused us there."""
    return ProviderError(
        f"{ref}: what answers with HTTP {reply.status} is not Vault",
        ref=ref,
        hint="look whether the address names Vault itself, and at what stands before it",
    )


def _absent(reply: Reply, ref: str) -> SecretNotFoundError:
    if has_text(reply, "no handler for route"):
        return SecretNotFoundError(
            f"{ref}: no secrets engine is mounted there",
            ref=ref,
            hint="look at the mounts: bao secrets list; mind the namespace",
        )
    if has_text(reply, '"deletion_time":"2', '"destroyed":true'):
        return SecretNotFoundError(
            f"{ref}: this version was deleted or destroyed",
            ref=ref,
            hint="a deleted one comes back with: bao kv undelete -versions=N PATH",
        )
    return SecretNotFoundError(
        f"{ref}: Vault has no such secret",
        ref=ref,
        hint="look what is there: bao kv list MOUNT/; mind the namespace",
    )


def _unusable(reply: Reply, ref: str) -> ProviderError:
    if has_text(reply, "disallowed by policy (too old)"):
        return _final(
            f"{ref}: this was encrypted by a key version that transit no longer takes",
            ref,
            "encrypt it anew: bao write transit/rewrap/KEY ciphertext=…, before raising "
            "min_decryption_version",
        )
    if has_text(reply, "upgrading from non-versioned"):
        return ProviderError(
            f"{ref}: this KV mount is being made version 2",
            ref=ref,
            hint="it takes a moment after mounting: try again",
        )
    if has_text(reply, "check-and-set parameter required"):
        return _final(
            f"{ref}: this mount wants to know which version is written over",
            ref,
            "say it: secretkit set REF --expect-version N, 0 for none",
        )
    if has_text(reply, "unsupported operation", "missing client token"):
        return _final(
            f"{ref}: this path cannot be read like that (HTTP {reply.status})",
            ref,
            "a path that wants a request, such as pki/issue/ROLE, takes it from parameters",
        )
    return _final(
        f"{ref}: Vault cannot do this as it was asked (HTTP {reply.status})",
        ref,
        "try the same by hand with bao; Vault's own words are withheld, they may hold a value",
    )


def _final(message: str, ref: str, hint: str) -> ProviderError:
    error = ProviderError(message, ref=ref, hint=hint)
    error.retryable = False
    return error


def _elsewhere(reply: Reply, ref: str, now: datetime) -> ProviderError:
    """Give the error of a server that is not the one to answer, or not now."""
    status = reply.status
    if status in _REDIRECT or status in {_SECONDARY, _PERFORMANCE}:
        return ProviderUnavailableError(
            f"{ref}: this node of Vault is a standby (HTTP {status}); it is not followed elsewhere",
            ref=ref,
            hint=_STANDBY_HINT,
        )
    if status == _THROTTLED:
        return ProviderError(
            f"{ref}: Vault asks for fewer requests (HTTP 429)",
            ref=ref,
            hint="look at its rate limit quotas: bao list sys/quotas/rate-limit",
            retry_after=retry_after(reply, now=now),
        )
    if status == _LARGE:
        return _final(f"{ref}: Vault refuses the size (HTTP 413)", ref, "store less in one secret")
    if status == _AWAY:
        return AwayError(f"{ref}: Vault cannot answer now (HTTP 503)", ref=ref)
    error = failure(reply, ref=ref, now=now, what="Vault")
    error.hint = error.hint or "look at Vault's own log and at what stands before it"
    return error


def unwell(health: Reply | None, *, ref: str, now: datetime) -> ProviderError:
    """Give the error of a server that answered 503; ``health`` is what it says of itself."""
    status = 0 if health is None else health.status
    if status == _AWAY:
        return ProviderUnavailableError(
            f"{ref}: Vault is sealed", ref=ref, hint="unseal it: bao operator unseal"
        )
    if status == _NOT_INITIALISED:
        return ProviderUnavailableError(
            f"{ref}: Vault is not initialised", ref=ref, hint="set it up: bao operator init"
        )
    if status in {_THROTTLED, _SECONDARY, _PERFORMANCE}:
        return ProviderUnavailableError(
            f"{ref}: this node of Vault is a standby (health {status})",
            ref=ref,
            hint=_STANDBY_HINT,
        )
    return ProviderError(
        f"{ref}: Vault cannot answer now (HTTP 503)",
        ref=ref,
        hint="look at Vault's own log and at what stands before it",
        retry_after=None if health is None else retry_after(health, now=now),
    )


def login_refused(reply: Reply, *, ref: str, now: datetime, method: str) -> ProviderError | None:
    """Give the error that the answer to a login means, or None if it is none.

    Logins answer 400 to what is wrong (measured: AppRole, userpass, JWT), and some 403.
    """
    if reply.status in {_OK, _EMPTY}:
        return None
    if reply.status in {_BAD, _UNAUTHORISED, _DENIED} and _is_vaults(reply):
        return AccessDeniedError(
            f"{ref}: Vault refuses the login by {method} (HTTP {reply.status})",
            ref=ref,
            hint="look at auth: role, mount and namespace, and whether what it shows has ended "
            "or holds a line end",
        )
    return reason(reply, ref=ref, now=now)
