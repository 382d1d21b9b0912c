"""Grant: which rule a workload asks Claude for a token by, and what its assertion says of it."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError
from secretkit.wire import read_address

if TYPE_CHECKING:
    from secretkit.providers.options import Options

__all__ = [
    "AUDIENCE",
    "CLAUDE_API",
    "PENDING",
    "Grant",
    "Said",
    "checked_origin",
    "read_grant",
    "said",
]

AUDIENCE: Final = "https://api.anthropic.com"
"""What an assertion's ``aud`` is, unless the rule names another."""
CLAUDE_API: Final = "https://api.anthropic.com"
PENDING: Final = "pending"
"""Stands in a configuration for an id that ``secretkit federation apply`` has yet to make."""

_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SHAPES: Final = {
    "federation_rule_id": (re.compile(r"fdrl_[A-Za-z0-9]{1,64}|pending"), "an id like fdrl_01…"),
    "organization_id": (
        re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        "the organization's UUID, from Settings in the Claude Console",
    ),
    "service_account_id": (re.compile(r"svac_[A-Za-z0-9]{1,64}|pending"), "an id like svac_01…"),
    "workspace_id": (re.compile(r"wrkspc_[A-Za-z0-9]{1,64}|default"), 'wrkspc_01… or "default"'),
}
_LONGEST: Final = 200
_PARTS: Final = 3


@record(kw_only=True)
class Grant:
    """The ids that go with an assertion, and where it goes. No secret."""

    federation_rule_id: str
    organization_id: str
    service_account_id: str = ""
    workspace_id: str = ""
    base_url: str = CLAUDE_API

    def body(self, assertion: Secret) -> Secret:
        """Write the request (RFC 7523 §2.1, with the ids that the Claude API adds)."""
        ids = {name: getattr(self, name) for name in _SHAPES}
        stated = {name: value for name, value in ids.items() if value}
        return Secret(json.dumps({"grant_type": _TYPE, "assertion": assertion.reveal()} | stated))


@record(kw_only=True)
class Said:
    """What an assertion says of itself. Nobody has verified it. For messages, no secret.

    ``mark`` tells one single-use assertion from another; empty where it has no ``jti``.
    """

    issuer: str = ""
    subject: str = ""
    audience: str = ""
    mark: str = ""
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it as hints do."""
        return f"iss {self.issuer or '-'}, sub {self.subject or '-'}, aud {self.audience or '-'}"


def read_grant(table: Options) -> Grant:
    """Read the ids of a ``[credentials.NAME]`` table.

    Raises:
        ConfigError: for one that is missing or malformed.
    """
    found = {}
    for name, (shape, expected) in _SHAPES.items():
        needed = name in {"federation_rule_id", "organization_id"}
        text = table.required(name, expected=expected) if needed else table.text(name)
        if text and not shape.fullmatch(text):
            raise table.wrong(name, expected=expected)
        found[name] = text
    base_url = table.text("base_url", default=CLAUDE_API)
    return Grant(**found, base_url=checked_origin(base_url))


def checked_origin(url: str) -> str:
    """Give a base URL to which an assertion or a token may be sent, without a slash at its end.

    Raises:
        ConfigError: if it is not https (http is for loopback only).
    """
    try:
        address = read_address(url)
    except ConfigError as error:
        raise ConfigError(error.args[0], key_path="base_url", hint=error.hint) from None
    if "?" in url or "#" in url:
        raise ConfigError(
            "a base URL has no query and no fragment",
            key_path="base_url",
            hint="leave out what stands from ? or # on",
        )
    if address.scheme != "https" and not _is_loopback(address.host):
        raise ConfigError(
            f"http://{address.host} would carry the identity in clear text",
            key_path="base_url",
            hint="use https://; plain http is only for loopback, as in tests",
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def said(assertion: Secret) -> Said | None:
    """Read what a JWT says, or give None for what is none. Costs 20 µs."""
    claims = _claims(assertion)
    if claims is None:
        return None
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    issuer, jti = _shown(claims.get("iss")), claims.get("jti")
    return Said(
        issuer=issuer,
        subject=_shown(claims.get("sub")),
        audience=", ".join(filter(None, map(_shown, several))),
        mark=f"{issuer} {jti}" if isinstance(jti, str) else "",
        missing=tuple(name for name in ("iss", "iat") if name not in claims),
    )


def _claims(assertion: Secret) -> dict[str, Any] | None:
    if assertion.reveal().count(".") != _PARTS - 1:
        return None
    part = Secret(assertion.reveal().split(".")[1] or ".")
    try:
        padding = "=" * (-len(part.reveal()) % 4)
        claims = json.loads(
            base64.b64decode(part.reveal() + padding, altchars=b"-_", validate=True)
        )
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def _shown(value: object) -> str:
    """Give a claim as a message may show it."""
    if not isinstance(value, str) or not value.isprintable():
        return ""
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
