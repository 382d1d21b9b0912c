"""Claims: what a JWT says, read before it is sent anywhere. Nothing is verified here.

Whoever gets the token verifies it (RFC 7519 §7.2); we have no key to do so. Looking at it first
keeps a token that is meant for somebody else, or is over, from leaving this machine, and gives an
error that says what is wrong. The functions that see clear text return their errors instead of
raising them, so that no traceback holds the token.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["LARGEST", "Claims", "read_claims"]

LARGEST: Final = 16_384
"""Bytes; what the Claude API takes as an assertion, and more than any identity needs."""

_LEEWAY: Final = timedelta(seconds=60)  # how far two clocks may differ
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515 §7.1
_SIGNED: Final = re.compile(r"(?:RS|PS|ES)(?:256|384|512)|EdDSA|Ed25519|ES256K")
_LATEST: Final = 253_402_300_799  # 9999-12-31, the last second that datetime knows
_NAME: Final = 1024  # characters of an issuer, a subject or an audience
_ALWAYS: Final = ("sub", "aud", "exp")
_AGAIN: Final = "the next attempt asks for a new one"


@record(kw_only=True)
class Claims:
    """What a token says of itself. Nobody has verified it. Holds nothing secret."""

    issuer: str
    subject: str
    audience: tuple[str, ...]
    expires_at: datetime
    issued_at: datetime | None = None


def read_claims(
    token: Secret,
    *,
    ref: str,
    audience: str,
    now: datetime,
    needs: Collection[str] = (),
) -> Claims:
    """Give what ``token`` says, if it can be used for ``audience`` at ``now``.

    ``sub``, ``aud`` and ``exp`` must be there, and what ``needs`` names: Claude wants ``iss`` and
    ``iat``, too. Costs about 50 µs.

    Raises:
        ProviderError: naming ``ref`` and what is wrong, never the token.
    """
    found = _read(token)
    problem = (
        found if isinstance(found, _Problem) else _unfit(found, audience, now, (*_ALWAYS, *needs))
    )
    if isinstance(problem, Claims):
        return problem
    error = ProviderError(f"{ref}: {problem.text}", ref=ref, hint=problem.hint)
    error.retryable = problem.passes
    raise error


@record(kw_only=True)
class _Problem:
    """What is wrong, what to do, and whether it may be right at the next attempt."""

    text: str
    hint: str
    passes: bool = False


_NO_TOKEN: Final = _Problem(
    text="this is no signed JWT in its compact form",
    hint="it has three parts with dots between them: header.claims.signature (RFC 7515)",
)


def _read(token: Secret) -> dict[str, Any] | _Problem:
    """Give the claims as they stand. Sees the token, so it raises nothing."""
    if not _is_token(token):
        return _NO_TOKEN
    header, claims = (_object(token, number) for number in (0, 1))
    if header is None or claims is None:
        return _NO_TOKEN
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or not _SIGNED.fullmatch(algorithm):
        return _Problem(
            text="the token is not signed with a private key (its alg is none, or HMAC)",
            hint="have it signed with RS256 or ES256; nobody could verify this one",
        )
    return claims


def _is_token(token: Secret) -> bool:
    return len(token.reveal()) <= LARGEST and _COMPACT.fullmatch(token.reveal()) is not None


def _object(token: Secret, number: int) -> dict[str, Any] | None:
    part = Secret(token.reveal().split(".")[number])
    try:
        document = json.loads(_plain(part), object_pairs_hook=_once)
    except (ValueError, binascii.Error, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _plain(part: Secret) -> bytes:
    missing = -len(part.reveal()) % 4
    return base64.b64decode(part.reveal() + "=" * missing, altchars=b"-_", validate=True)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a claim given twice: two readers would take two different values (RFC 7519 §4)."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a claim is given twice")
    return document


def _unfit(
    claims: dict[str, Any], audience: str, now: datetime, needs: Collection[str]
) -> Claims | _Problem:
    """Give the claims with their types, or say why they cannot be used."""
    for name in needs:
        if name not in claims:
            return _Problem(
                text=f"the token has no claim {name!r}",
                hint=_MISSING.get(name, "have its issuer put it in"),
            )
    audiences = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
    names = (claims.get("iss", ""), claims["sub"])
    moments = {name: _moment(claims[name]) for name in ("exp", "iat", "nbf") if name in claims}
    end = moments["exp"]
    if (
        end is None
        or None in moments.values()
        or not _are_names([*names])
        or not _are_names(audiences)
    ):
        return _Problem(
            text="a claim of the token is not of its type",
            hint="exp, iat and nbf are numbers; iss, sub and aud are text (RFC 7519 §4.1)",
        )
    if audience not in audiences:
        return _Problem(
            text=f"the token is meant for {_listed(audiences)}, not for {audience}",
            hint="ask for the audience that the other side expects, or write what it is: audience",
        )
    begin = max((at for name in ("iat", "nbf") if (at := moments.get(name))), default=now)
    if end <= now:
        return _Problem(
            text=f"the token ended at {end:%Y-%m-%dT%H:%M:%SZ}",
            hint=f"see that whoever writes it still does, and that the clock is right; {_AGAIN}",
            passes=True,
        )
    if begin > now + _LEEWAY:
        return _Problem(
            text=f"the token begins at {begin:%Y-%m-%dT%H:%M:%SZ}, which is still to come",
            hint="set the clock of this machine, or of the issuer",
            passes=True,
        )
    return Claims(
        issuer=names[0],
        subject=names[1],
        audience=tuple(audiences),
        expires_at=end,
        issued_at=moments.get("iat"),
    )


_MISSING: Final = {
    "iss": "a SPIFFE server needs its jwt_issuer set, so that the other side finds its keys",
    "iat": "the Claude API counts a token's life from it",
    "aud": "a token for everybody is for nobody; have it issued for one audience",
    "exp": "a token without an end is a password; have it issued with a short life",
}


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        return None
    return datetime.fromtimestamp(value, tz=UTC)


def _are_names(values: object) -> bool:
    return isinstance(values, list) and all(
        isinstance(one, str) and len(one) <= _NAME and one.isprintable() for one in values
    )


def _listed(audiences: list[str]) -> str:
    return ", ".join(audiences[:3]) + ("…" if len(audiences) > 3 else "") or "nobody"  # noqa: PLR2004
