"""STS: sessions of roles, and tokens for workloads. The query protocol of 2011-06-15.

Limits and codes: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html,
API_AssumeRoleWithWebIdentity.html, API_GetWebIdentityToken.html
"""

from __future__ import annotations

import secrets
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from secretkit.testing.aws.form import (
    LARGEST_POLICY,
    bounded_seconds,
    session_duration,
    session_grant,
    session_name,
    session_tags,
)
from secretkit.testing.aws.message import AwsRefusedError, xml_answer
from secretkit.testing.aws.webtoken import SigningKey, TokenError, issuer_of, read_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.testing.aws.account import Accounts, Holder, Role
    from secretkit.testing.aws.fault import Fault
    from secretkit.testing.aws.message import Answer

__all__ = ["Sts"]

_TOKEN_SHORTEST, _TOKEN_LONGEST, _TOKEN_USUAL = 60, 3_600, 300


class Sts:
    """The service. ``issuers`` are the identity providers of web identities, by issuer URL."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.issuers: dict[str, Mapping[str, Any]] = {}
        self.federation = True
        self.issuer = f"https://{uuid.uuid4()}.tokens.sts.global.api.aws"
        self._lock = threading.Lock()
        self._keys: dict[str, SigningKey] = {}

    @property
    def keys(self) -> dict[str, SigningKey]:
        """The keys its own tokens are signed by, made at first use: an RSA key takes 0.2 s."""
        with self._lock:
            if not self._keys:
                self._keys = {name: SigningKey(name) for name in ("RS256", "ES384")}
            return self._keys

    def jwks(self) -> dict[str, object]:
        """Give the public halves of :attr:`keys` (RFC 7517)."""
        return {"keys": [key.jwk() for key in self.keys.values()]}

    def caller_identity(self, holder: Holder) -> Answer:
        """GetCallerIdentity."""
        facts = [("Arn", holder.arn), ("UserId", holder.user_id), ("Account", holder.account)]
        return xml_answer("GetCallerIdentity", facts)

    def assume_role(self, form: dict[str, str], holder: Holder, fault: Fault | None) -> Answer:
        """AssumeRole."""
        role = self._accounts.role(form.get("RoleArn", ""))
        trust = None if role is None else role.trust
        if role is None or trust is None or not holder.principals() & set(trust.principals):
            raise _denied(holder, form)
        if trust.external_id and form.get("ExternalId") != trust.external_id:
            raise _denied(holder, form)
        has_mfa = self._second_factor(form)
        if trust.mfa and not has_mfa:
            raise _denied(holder, form)
        duration = session_duration(form, role, is_chained=bool(holder.role))
        grant = session_grant(form, holder, has_mfa=has_mfa)
        session = self._accounts.start_session(
            role, name=session_name(form), duration=duration, grant=grant
        )
        return xml_answer("AssumeRole", _session_lines(session, fault))

    def assume_with_token(self, form: dict[str, str], fault: Fault | None) -> Answer:
        """AssumeRoleWithWebIdentity; it is not signed."""
        claims = self._claims(form.get("WebIdentityToken", ""))
        role = self._accounts.role(form.get("RoleArn", ""))
        if role is None or not _trusted(role, claims):
            message = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
            raise AwsRefusedError("AccessDeniedException", message)
        audiences = _audiences(claims)
        if role.trust.audience not in audiences:
            raise AwsRefusedError("InvalidIdentityToken", "Incorrect token audience")
        duration = session_duration(form, role, is_chained=False)
        session = self._accounts.start_session(
            role,
            name=session_name(form),
            duration=duration,
            grant=session_grant(form, None, has_mfa=False),
        )
        lines = [
            ("SubjectFromWebIdentityToken", str(claims["sub"])),
            ("Provider", str(claims["iss"])),
            ("Audience", role.trust.audience),
        ]
        return xml_answer("AssumeRoleWithWebIdentity", lines + _session_lines(session, fault))

    def web_identity_token(self, form: dict[str, str], holder: Holder, region: str) -> Answer:
        """GetWebIdentityToken."""
        if not self.federation:
            raise AwsRefusedError(
                "OutboundWebIdentityFederationDisabledException",
                "Outbound web identity federation is not enabled for your account",
                403,
            )
        key = self.keys.get(form.get("SigningAlgorithm", ""))
        audiences = [value for name, value in form.items() if name.startswith("Audience.member.")]
        if key is None or not audiences:
            raise AwsRefusedError("ValidationError", "SigningAlgorithm and Audience are required")
        seconds = bounded_seconds(
            form, _TOKEN_USUAL, shortest=_TOKEN_SHORTEST, longest=_TOKEN_LONGEST
        )
        now = self._accounts.clock.now().replace(microsecond=0)
        end = now + timedelta(seconds=seconds)
        if holder.ends_at is not None and end > holder.ends_at and not self._accounts.life:
            message = "The token would outlive the session"
            raise AwsRefusedError("SessionDurationEscalationException", message, 403)
        claims = {
            "iss": self.issuer,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "sub": holder.role or holder.arn,
            "iat": int(now.timestamp()),
            "exp": int(end.timestamp()),
            "jti": secrets.token_hex(16),
            "https://sts.amazonaws.com/": {
                "aws_account": holder.account,
                "source_region": region,
                "principal_id": holder.arn,
                "request_tags": session_tags(form),
            },
        }
        lines = [("WebIdentityToken", key.sign(claims)), ("Expiration", _iso(end))]
        return xml_answer("GetWebIdentityToken", lines)

    def _second_factor(self, form: dict[str, str]) -> bool:
        serial, code = form.get("SerialNumber", ""), form.get("TokenCode", "")
        if not serial and not code:
            return False
        if not self._accounts.take_code(serial, code):
            message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
            raise AwsRefusedError("AccessDeniedException", message)
        return True

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            issuer = issuer_of(token)
            if issuer not in self.issuers:
                message = "No OpenIDConnect provider found in your account for the issuer"
                raise AwsRefusedError("InvalidIdentityToken", message)
            claims = read_token(token, self.issuers[issuer])
            now = self._accounts.clock.now().timestamp()
            ended = now >= float(claims["exp"])
            early = float(claims["iat"]) > now + _TOKEN_USUAL
        except (TokenError, KeyError, TypeError, ValueError):
            early = ended = True
            claims = {}
        if early or not isinstance(claims.get("sub"), str):
            message = "The ID Token provided is not a valid JWT, or it is not signed by its issuer."
            raise AwsRefusedError("InvalidIdentityToken", message)
        if ended:
            message = "Token expired: the expiration date/time must be after the current one"
            raise AwsRefusedError("IdentityTokenExpired", message)
        return claims


def _trusted(role: Role, claims: dict[str, Any]) -> bool:
    trust, subject = role.trust, str(claims["sub"])
    start, star, _ = trust.subject.partition("*")
    fits = subject.startswith(start) if star else subject == trust.subject
    return bool(trust.issuer) and trust.issuer == claims["iss"] and bool(trust.subject) and fits


def _audiences(claims: dict[str, Any]) -> list[str]:
    given = claims.get("aud", [])
    return [given] if isinstance(given, str) else [str(one) for one in given]


def _denied(holder: Holder, form: dict[str, str]) -> AwsRefusedError:
    role = form.get("RoleArn", "")
    message = f"User: {holder.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"
    return AwsRefusedError("AccessDeniedException", message)


def _session_lines(session: Holder, fault: Fault | None) -> list[tuple[str, str]]:
    bent = {} if fault is None else fault.answer
    arn, kept = session.arn, session.credentials
    parts = arn.split(":")
    _, role, name = parts[5].split("/")
    parts[4], role = bent.get("account", parts[4]), bent.get("role", role)
    arn = ":".join(parts[:5]) + f":assumed-role/{role}/{bent.get('session', name)}"
    token = "" if kept.session_token is None else kept.session_token.reveal()
    end = datetime.max.replace(tzinfo=UTC) if session.ends_at is None else session.ends_at
    lines = [
        ("AssumedRoleUser/AssumedRoleId", session.user_id),
        ("AssumedRoleUser/Arn", arn),
        ("Credentials/AccessKeyId", kept.access_key_id),
        ("Credentials/SecretAccessKey", kept.secret.reveal()),
        ("Credentials/SessionToken", token),
        ("Credentials/Expiration", bent.get("expiration", _iso(end))),
    ]
    if session.grant.policy:
        lines.append(("PackedPolicySize", str(len(session.grant.policy) * 100 // LARGEST_POLICY)))
    if session.grant.source_identity:
        lines.append(("SourceIdentity", session.grant.source_identity))
    return lines


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
